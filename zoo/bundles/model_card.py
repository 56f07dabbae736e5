"""The model card of a bundle: what a person reads, with Hugging Face metadata on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from zoo.plugin.entries import Model


def model_card(content: Mapping[str, Any], entry: Model) -> str:
    """The text of ``README.md`` for a bundle.

    Args:
        content: What ``bundle.json`` will say.
        entry: The registered model.
    """
    about = content["recipe"]["about"]
    name = content["recipe"]["name"]
    values = content["metrics"]["values"]
    tests = {key: value for key, value in values.items() if key.startswith("test/")}
    head = {
        "library_name": "zoo",
        "tags": ["pytorch", "lightning", content["model"]["name"], content["plugin"]["name"]],
        "datasets": [content["recipe"]["data"]["name"]],
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": content["plugin"]["name"]},
                        "dataset": {
                            "type": content["recipe"]["data"]["name"],
                            "name": content["recipe"]["data"]["name"],
                        },
                        "metrics": [
                            {"type": key.removeprefix("test/"), "value": value}
                            for key, value in tests.items()
                            if value is not None
                        ],
                    }
                ],
            }
        ],
    }
    goal = about.get("target") or {}
    if goal.get("value") is None:
        goal = {}
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False, allow_unicode=True).rstrip(),
        "---",
        "",
        f"# {name}",
        "",
        about.get("summary", entry.summary),
        "",
        f"- **Model:** `{content['model']['name']}` of {content['plugin']['distribution']} "
        f"{content['plugin']['version']}: {entry.summary}",
    ]
    if entry.paper:
        lines.append(f"- **Paper:** {entry.paper}")
    lines += [
        f"- **Data:** `{content['recipe']['data']['name']}`; terms: "
        f"{content['license']['data'] or 'not stated'}",
        f"- **Terms of the weights:** {content['license']['weights']}",
    ]
    if content["origin"]:
        lines.append(f"- **Fine-tuned from:** {content['origin'].get('reference')}")
    lines += ["", "## Metrics", "", "| metric | value |", "|---|---|"]
    lines += [f"| `{key}` | {_text(value)} |" for key, value in sorted(tests.items())]
    if goal:
        lines += [
            "",
            f"The recipe is meant to reach `{goal.get('metric')}` {goal.get('value')} "
            f"({about.get('source', 'no source given')}).",
        ]
    lines += [
        "",
        f"Measured with seed {content['metrics']['seed']} by",
        "",
        f"    {content['metrics']['command']}",
        "",
        "## Use",
        "",
        "    import zoo",
        "    model = zoo.load('this folder')",
        "",
        "or `zoo test`, `zoo predict`, `zoo finetune` and `zoo export` with this folder.",
        "",
    ]
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.6g}"
