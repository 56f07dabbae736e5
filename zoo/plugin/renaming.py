"""Arguments that a class once had under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rename_keys(arguments: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Saved constructor arguments under today's names, for ``upgrade_arguments`` of a class.

    Args:
        arguments: As a bundle or a run folder holds them; mappings inside are renamed too.
        names: Old name to new.
    """
    return {
        names.get(key, key): rename_keys(value, names) if isinstance(value, Mapping) else value
        for key, value in arguments.items()
    }
