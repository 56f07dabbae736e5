"""Bundles of zoo 0.1.0, whose manifest had other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.recipes.format_1 import upgrade_recipe


def upgrade_manifest(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a verified ``bundle.json`` of format 1 under the names of format 2."""
    upgraded = {("license" if key == "licence" else key): value for key, value in content.items()}
    if isinstance(recipe := upgraded.get("recipe"), dict):
        upgraded["recipe"] = upgrade_recipe(recipe)
    return upgraded
