"""Trained models that arguments name: found before a training begins, and described in its bundle,
which then loads without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.bundles.bundle import WEIGHTS, read_bundle
from zoo.errors import UsageError, ZooError
from zoo.recipes.recipe import Recipe
from zoo.recipes.references import references


def require_trained_models(recipe: Recipe, *sections: str) -> None:
    """Refuse a recipe whose arguments name trained models that are not there.

    Args:
        recipe: Its arguments, checked against signatures.
        sections: Those to look at; ``model`` and ``data`` if none is given.

    Raises:
        UsageError: one is not there, or damaged; the sentence has the argument.
    """
    for key, reference in references(recipe):
        if sections and key.partition(".")[0] not in sections:
            continue
        try:
            read_bundle(reference)
        except ZooError as error:
            raise UsageError(
                f"'{key}' names the trained model {reference!r}: {error}; name another with "
                f"--{key} REF"
            ) from error


def describe_references(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """What builds the trained models that a recipe's arguments name, by their references."""
    return {reference: _describe(reference) for _, reference in references(recipe)}


def require_same_references(noted: Mapping[str, Any], recipe: Recipe, where: str) -> None:
    """Refuse to continue with other trained models than a run began with.

    Args:
        noted: As ``describe_references`` gave it then.
        recipe: That of the run.
        where: Its folder.

    Raises:
        UsageError: one has other weights now.
    """
    for key, reference in references(recipe):
        before, now = noted.get(reference), _describe(reference)
        if before is not None and before["sha256"] != now["sha256"]:
            raise UsageError(
                f"'{key}': {reference} holds other weights than the run {where} began with: put "
                "those back, or start another run without --resume"
            )


def _describe(reference: str) -> dict[str, Any]:
    content = read_bundle(reference).content
    return {
        "sha256": content["files"][WEIGHTS]["sha256"],
        "model": content["model"],
        "references": content.get("references", {}),
    }
