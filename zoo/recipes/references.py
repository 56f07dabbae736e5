"""Which values of a recipe name trained models (``zoo.plugin.Reference``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args

from zoo.plugin.references import TRAINED_MODEL
from zoo.recipes.object_arguments import annotation
from zoo.recipes.recipe import Recipe
from zoo.recipes.signatures import argument_names
from zoo.registry.registry import registry


def reference_arguments(cls: type) -> tuple[str, ...]:
    """The constructor arguments of a model or dataset that name trained models."""
    return tuple(name for name in argument_names(cls) if _is_marked(annotation(cls, name)))


def references(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Every reference among the arguments of a recipe's model and data, with its dotted key."""
    for section, cls in zip(("model", "data"), _classes(recipe), strict=True):
        values: Mapping[str, Any] = getattr(recipe, section)
        for name in reference_arguments(cls):
            for reference in _texts(values.get(name)):
                yield f"{section}.{name}", reference


def with_references(recipe: Recipe, change: Callable[[str], str]) -> Recipe:
    """The same recipe with other references among the arguments of its model and data."""
    model, data = _classes(recipe)
    return replace(
        recipe,
        model=change_references(model, recipe.model, change),
        data=change_references(data, recipe.data, change),
    )


def change_references(
    cls: type, arguments: Mapping[str, Any], change: Callable[[str], str]
) -> dict[str, Any]:
    """Constructor arguments of a model or dataset with other references among them."""
    names = reference_arguments(cls)
    return {k: _changed(value, change) if k in names else value for k, value in arguments.items()}


def _classes(recipe: Recipe) -> tuple[type, type]:
    """The classes of model and data."""
    model = registry().load(registry().model(recipe.model_name).entry)
    return model, registry().load(registry().dataset(recipe.data_name))


def _is_marked(kind: Any) -> bool:
    return TRAINED_MODEL in getattr(kind, "__metadata__", ()) or any(
        map(_is_marked, get_args(kind))
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        yield from _texts(list(value.values()))


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        return [_changed(each, change) for each in value]
    if isinstance(value, dict):
        return {key: _changed(each, change) for key, each in value.items()}
    return value
