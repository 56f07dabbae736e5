"""What a run's recipe has otherwise than the registered one of its name."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from zoo.errors import UsageError
from zoo.recipes.recipe import Recipe, make_recipe, read_recipe_file
from zoo.registry.registry import registry


def named_recipe(name: str) -> Recipe | None:
    """The registered recipe of a name; None if there is none that can be read."""
    path = registry().recipes.get(name)
    if path is None:
        return None
    try:
        return make_recipe(read_recipe_file(path), name, path)
    except UsageError:  # `zoo doctor` says what is wrong with it
        return None


def changes(
    before: Recipe, after: Recipe, overridden: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """The keys whose values differ: dotted key to the two values as text, empty where a recipe
    has none.

    A resolved recipe has every default written out. A key that ``before`` lacks is a difference
    only if it was given.

    Args:
        before: Where one starts from, such as the registered recipe.
        after: What it became.
        overridden: Dotted keys that were given in addition to ``before``.
    """
    old, new = flat(before.as_dict()), flat(after.as_dict())
    given = tuple(overridden)
    named = [
        key
        for key in new
        if key in old or any(key == each or key.startswith(f"{each}.") for each in given)
    ]
    left = [key for key in old if key not in new]
    return {
        key: (_text(old, key), _text(new, key))
        for key in (*named, *left)
        if (key in old) != (key in new) or old[key] != new[key]
        if not key.startswith("about.")
    }


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys to values.

    Args:
        content: Mappings of plain values.
        prefix: Before each key.
    """
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _text(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return ""
    value = values[key]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
