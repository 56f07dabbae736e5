"""Recipes inside bundles and run folders of zoo 0.1.0, whose sections had other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ABOUT = {"figure": "target", "paper_figure": "paper_result"}
_START = {"from": "reference", "thaw_at_epoch": "unfreeze_at_epoch"}


def upgrade_recipe(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a saved recipe under the names of today; one of today stays as it is.

    Arguments of models and datasets are their classes' matter, see
    ``zoo.plugin.declarations.current_arguments``.
    """
    upgraded = dict(content)
    if isinstance(about := upgraded.get("about"), dict):
        upgraded["about"] = {_ABOUT.get(key, key): value for key, value in about.items()}
    if isinstance(start := upgraded.pop("start", None), dict):
        upgraded["init_from"] = {_START.get(key, key): value for key, value in start.items()}
    return upgraded
