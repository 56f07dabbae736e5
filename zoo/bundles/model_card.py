"""The model card of a bundle: text for people, with Hugging Face metadata on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.bundles.card_metadata import card_metadata
from zoo.io.stages import measured
from zoo.plugin.entries import Dataset, Model


def model_card(
    content: Mapping[str, Any], entry: Model, dataset: Dataset, address: str = ""
) -> str:
    """The text of ``README.md`` for a bundle.

    Args:
        content: The content of ``bundle.json``.
        entry: The registered model.
        dataset: The registered dataset that it was trained on.
        address: Where it is published, such as ``hf://owner/repo``; empty for a folder.
    """
    about = content["recipe"]["about"]
    name = content["recipe"]["name"]
    values = content["metrics"]["values"]
    tests = measured(values)
    goal = about.get("target") or {}
    if goal.get("value") is None:
        goal = {}
    lines = [
        "---",
        card_metadata(content, entry, dataset),
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
    if cost := content.get("cost"):
        lines.append(f"- **Parameters:** {cost['trainable'] + cost['frozen']:,}")
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
        f"    model = zoo.load('{address or 'this folder'}')",
        "",
        "or `zoo test`, `zoo predict`, `zoo finetune` and `zoo export` with "
        f"{f'`{address}`' if address else 'this folder'}.",
        "",
    ]
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.6g}"
