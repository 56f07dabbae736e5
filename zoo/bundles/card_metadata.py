"""The metadata on top of a model card, in the names that the Hugging Face Hub knows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zoo.plugin.entries import Dataset, Model

HUB_METRICS = {
    "accuracy": "accuracy",
    "auroc": "roc_auc",
    "cer": "cer",
    "f1": "f1",
    "mae": "mae",
    "mean_iou": "mean_iou",
    "mse": "mse",
    "perplexity": "perplexity",
    "return": "mean_reward",
    "wer": "wer",
}
"""Our names of metrics, and those of the Hub. Others keep their name there, as it allows."""

_LICENSES = {
    "agpl 3.0": "agpl-3.0",
    "apache 2.0": "apache-2.0",
    "bsd 2 clause": "bsd-2-clause",
    "bsd 3 clause": "bsd-3-clause",
    "cc by 3.0": "cc-by-3.0",
    "cc by 4.0": "cc-by-4.0",
    "cc by nc 3.0": "cc-by-nc-3.0",
    "cc by nc 4.0": "cc-by-nc-4.0",
    "cc by nc nd 4.0": "cc-by-nc-nd-4.0",
    "cc by nc sa 4.0": "cc-by-nc-sa-4.0",
    "cc by nd 4.0": "cc-by-nd-4.0",
    "cc by sa 3.0": "cc-by-sa-3.0",
    "cc by sa 4.0": "cc-by-sa-4.0",
    "cc0": "cc0-1.0",
    "cc0 1.0": "cc0-1.0",
    "gpl 2.0": "gpl-2.0",
    "gpl 3.0": "gpl-3.0",
    "isc": "isc",
    "lgpl 3.0": "lgpl-3.0",
    "mit": "mit",
    "mpl 2.0": "mpl-2.0",
    "odc by": "odc-by",
    "unlicense": "unlicense",
}
"""Licenses as publishers write them, without hyphens, and their identifiers on the Hub."""


def card_metadata(content: Mapping[str, Any], model: Model, dataset: Dataset) -> str:
    """The YAML that the Hub reads: license, library, task, tags, datasets and metrics.

    Args:
        content: The content of ``bundle.json``.
        model: The registered model, for its task.
        dataset: The registered dataset, for its identifier on the Hub.
    """
    from huggingface_hub import EvalResult, ModelCardData  # `zoo list` does without

    data, name = content["recipe"]["data"]["name"], content["recipe"]["name"]
    tests = {
        key.removeprefix("test/"): value
        for key, value in content["metrics"]["values"].items()
        if key.startswith("test/") and value is not None
    }
    results = [
        EvalResult(
            task_type=model.task or "other",
            dataset_type=dataset.hub_id or data,
            dataset_name=data,
            dataset_split="test",
            metric_type=HUB_METRICS.get(key, key),
            metric_name=f"test/{key}",
            metric_value=value,
        )
        for key, value in sorted(tests.items())
        if "/" not in key  # those of single classes are in the table
    ]
    known = sorted({HUB_METRICS[key] for key in tests if key in HUB_METRICS})
    return ModelCardData(
        **license_metadata(content["license"], dataset.homepage),
        library_name="zoo",
        pipeline_tag=model.task or None,
        tags=["pytorch", "lightning", content["model"]["name"], content["plugin"]["name"]],
        datasets=[dataset.hub_id] if dataset.hub_id else None,
        base_model=_base_model(content["origin"]),
        metrics=known or None,
        model_name=name,
        eval_results=results or None,
    ).to_yaml()


def hub_license(text: str) -> str:
    """The Hub's identifier of a license; ``"other"`` for terms of a publisher's own.

    Args:
        text: The terms as a publisher states them, such as ``"CC BY-SA 4.0"``. What stands
            behind a parenthesis, comma or semicolon is left out.
    """
    plain = re.split(r"[(,;]", text)[0].replace("-", " ").casefold()
    plain = " ".join(plain.split()).removesuffix(" license").removesuffix(" only")
    return _LICENSES.get(plain, "other")


def license_metadata(stated: Mapping[str, str], homepage: str) -> dict[str, Any]:
    """The fields that tell the Hub the terms of the weights.

    Args:
        stated: Terms of ``weights`` and ``data``, as a bundle keeps them.
        homepage: Where the data's terms are told; empty if nowhere.
    """
    terms = stated["data"] if stated["weights"] == "as the data's" else stated["weights"]
    found = hub_license(terms)
    if found != "other":
        return {"license": found}
    slug = re.sub(r"[^a-z0-9.]+", "-", terms.casefold()).strip("-")
    link = {"license_link": homepage} if homepage and terms == stated["data"] else {}
    return {"license": "other", "license_name": slug or "not-stated", **link}


def _base_model(origin: Mapping[str, Any]) -> str | None:
    """The repository on the Hub that a model was fine-tuned from."""
    found = re.match(r"hf://([\w.-]+/[\w.-]+)", str(origin.get("reference", "")))
    return found[1] if found else None
