"""The parser of one command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any


class CommandParser(argparse.ArgumentParser):
    """A parser that passes ``--key value`` on where it does not know the key.

    argparse itself would take the value for a positional argument. Commands that say
    ``takes_overrides`` get such words as ``options.rest``.
    """

    def __init__(self, prog: str | None = None, **kwargs: Any) -> None:
        self._known: set[str] = set()
        super().__init__(prog, **{**kwargs, "allow_abbrev": False})

    def add_argument(self, *names: Any, **kwargs: Any) -> argparse.Action:
        """As argparse's."""
        self._known.update(names)
        return super().add_argument(*names, **kwargs)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse's, with unknown options and their values in the second list."""
        words = list(args or ())
        if not self.get_default("takes_overrides"):
            return super().parse_known_args(words, namespace)
        mine: list[str] = []
        rest: list[str] = []
        while words:
            word = words.pop(0)
            key, equals, _ = word.partition("=")
            if not key.startswith("--") or len(key) == 2 or key in self._known:
                mine.append(word)
                continue
            rest.append(word)
            if not equals and words and not words[0].startswith("--"):
                rest.append(words.pop(0))
        found, more = super().parse_known_args(mine, namespace)
        return found, more + rest
