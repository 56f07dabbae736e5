"""The model card of a bundle: text for people, with Hugging Face metadata on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.plugin.entries import Model


def model_card(content: Mapping[str, Any], entry: Model) -> str:
    """The text of ``README.md`` for a bundle.

    Args:
        content: The content of ``bundle.json``.
        entry: The registered model.
    """
    about = content["recipe"]["about"]
    name = content["recipe"]["name"]
    values = content["metrics"]["values"]
    tests = {key: value for key, value in values.items() if key.startswith("test/")}
    goal = about.get("target") or {}
    if goal.get("value") is None:
        goal = {}
    lines = [
        "---",
        _metadata(content, {key: value for key, value in tests.items() if value is not None}),
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


def _metadata(content: Mapping[str, Any], tests: Mapping[str, float]) -> str:
    """The YAML that Hugging Face reads: library, tags, dataset and the metrics of the test."""
    from huggingface_hub import EvalResult, ModelCardData  # `zoo list` does without

    plugin, data = content["plugin"]["name"], content["recipe"]["data"]["name"]
    results = [
        EvalResult(
            task_type=plugin,
            dataset_type=data,
            dataset_name=data,
            metric_type=key.removeprefix("test/"),
            metric_value=value,
        )
        for key, value in tests.items()
    ]
    return ModelCardData(
        library_name="zoo",
        tags=["pytorch", "lightning", content["model"]["name"], plugin],
        datasets=[data],
        model_name=content["recipe"]["name"],
        eval_results=results,
    ).to_yaml()


def _text(value: float | None) -> str:
    return "not a number" if value is None else f"{value:.6g}"
