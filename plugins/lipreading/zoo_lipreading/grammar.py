"""Sentences with a fixed number of places, as what may follow a beginning."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.plugin import UsageError

END = -1
"""What a sentence that is complete may be followed by."""


class Grammar:
    """All sentences with one word of each place, in symbols.

    GRID's has six places: command, color, preposition, letter, digit, adverb.

    Args:
        places: The words possible at each place.
        symbols: What each number means, CTC's blank first: characters, among them the space that
            parts words, or words.

    Raises:
        UsageError: a word cannot be written in the symbols, or a place has none.
    """

    def __init__(self, places: Sequence[Sequence[str]], symbols: Sequence[str]) -> None:
        numbers = {symbol: number for number, symbol in enumerate(symbols)}
        self._characters = " " in numbers
        self._places: list[list[tuple[int, ...]]] = []
        for place in places:
            if not place:
                raise UsageError("a place of the grammar has no words")
            self._places.append([self._spell(word, numbers) for word in place])
        self._space = numbers.get(" ", END)
        self._after: dict[tuple[int, ...], frozenset[int]] = {}

    def _spell(self, word: str, numbers: dict[str, int]) -> tuple[int, ...]:
        parts = tuple(word) if self._characters else (word,)
        if missing := [part for part in parts if part not in numbers]:
            raise UsageError(
                f"the grammar's word {word!r} needs {missing[0]!r}, which is none of the model's "
                "symbols; omit the grammar, or train with its words"
            )
        return tuple(numbers[part] for part in parts)

    def after(self, beginning: tuple[int, ...]) -> frozenset[int]:
        """Symbols that may follow a beginning; ``END`` among them if it is a whole sentence, none
        at all if no sentence begins so."""
        if beginning not in self._after:
            self._after[beginning] = self._find(beginning)
        return self._after[beginning]

    def _find(self, beginning: tuple[int, ...]) -> frozenset[int]:
        if not self._characters:
            words = [beginning[index : index + 1] for index in range(len(beginning))]
            words.append(())
        else:
            words = [()]
            for symbol in beginning:
                if symbol == self._space:
                    words.append(())
                else:
                    words[-1] = (*words[-1], symbol)
        place = len(words) - 1
        if place > len(self._places) or (self._characters and place == len(self._places)):
            return frozenset()
        if any(
            word not in possible for word, possible in zip(words[:-1], self._places, strict=False)
        ):
            return frozenset()
        if place == len(self._places):
            return frozenset({END})
        begun = words[-1]
        found: set[int] = set()
        for word in self._places[place]:
            if word[: len(begun)] != begun:
                continue
            if len(word) > len(begun):
                found.add(word[len(begun)])
            else:
                found.add(END if place == len(self._places) - 1 else self._space)
        return frozenset(found)
