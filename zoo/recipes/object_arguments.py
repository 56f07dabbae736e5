"""Arguments that no recipe can hold: objects, as other people's constructors ask for."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

_PLAIN = (bool, int, float, str, type(None))


def is_plain(kind: Any) -> bool:
    """Whether a type is of values that YAML and JSON hold: primitives, lists and dicts of them."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return is_plain(inner[0])
    if kind in (*_PLAIN, list, dict, Any) or origin is Literal:
        return True
    if origin in (Union, types.UnionType, list):
        return all(is_plain(each) for each in inner)
    return origin is dict and inner[0] is str and is_plain(inner[1])


def object_fault(cls: type, missing: Iterable[str]) -> str:
    """What to write where a constructor needs objects that nobody gave it; empty if it needs none.

    Args:
        cls: The class of a model or dataset.
        missing: Its arguments that have no value.
    """
    names = [name for name in missing if not is_plain(annotation(cls, name))]
    if not names:
        return ""
    listed = " and ".join(
        f"{name} ({inspect.formatannotation(annotation(cls, name))})" for name in names
    )
    return (
        f"{cls.__name__} needs {listed}, which a recipe cannot hold: register a subclass whose "
        f"__init__ takes numbers and text, makes {' and '.join(names)} of them and hands that to "
        "super().__init__"
    )


def annotation(cls: type, name: str) -> Any:
    """The annotation of an argument, wherever it is handed on to, with its marks (``Annotated``);
    Any where nothing says it."""
    for owner in cls.__mro__:
        init = vars(owner).get("__init__")
        if init is None or name not in inspect.signature(init).parameters:
            continue
        return _hints(init).get(name, Any)
    return Any


@lru_cache(maxsize=64)  # all of a constructor's are read at once, which takes milliseconds
def _hints(init: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(init, include_extras=True)
    except Exception:  # noqa: BLE001  # a type that cannot be read at run time
        return {}
