"""Lists of thousands of elements on their way through jsonargparse.

It copies the whole list for each element, once when it reads and once when it looks at what it has
read: the names of twenty thousand classes took minutes.
"""

from __future__ import annotations

import copy
from typing import Any

_LONG = 100


class _Uncopied(list[Any]):
    def __deepcopy__(self, memo: dict[int, Any]) -> _Uncopied:
        return self


def uncopied(value: Any) -> Any:
    """A copy in which no list is copied again; it may be written into."""
    if isinstance(value, dict):
        return {key: uncopied(inner) for key, inner in value.items()}
    if type(value) is list:
        return _Uncopied(map(uncopied, value))
    return value if isinstance(value, str | int | float | None) else copy.deepcopy(value)


def plain(value: Any) -> Any:
    """The same with lists as they were."""
    if isinstance(value, _Uncopied):
        return list(map(plain, value))
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(plain, value))
    if type(value) is dict:
        return {key: plain(inner) for key, inner in value.items()}
    return value


def is_long(value: Any) -> bool:
    """Whether it is a list whose elements need no second look: many, and all of them plain."""
    return (
        isinstance(value, list)
        and len(value) > _LONG
        and all(isinstance(each, str | int | float) for each in value)
    )
