"""What sentences are written in: characters or words, as numbers for CTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from zoo.plugin import one_of

Unit = Literal["word", "sentence"]
Tokens = Literal["characters", "words"]
UNITS = get_args(Unit)
TOKENS = get_args(Tokens)
BLANK = "<blank>"
"""The name of symbol 0, CTC's blank."""


class Vocabulary:
    """The symbols of sentences.

    Args:
        words: All words there are.
        tokens: ``characters``, of which the space parts words, or ``words``.

    Attributes:
        symbols: What each number means; the first is the blank.
    """

    def __init__(self, words: Sequence[str], tokens: Tokens) -> None:
        self.words = frozenset(words)
        self.tokens = tokens
        each = sorted({" ", *"".join(words)}) if tokens == "characters" else list(words)
        self.symbols = [BLANK, *each]
        self._numbers = {symbol: number for number, symbol in enumerate(self.symbols)}

    def encode(self, words: Sequence[str]) -> tuple[int, ...]:
        """Numbers of a sentence, from 1 on.

        Raises:
            ValueError: a word is not in the vocabulary.
        """
        for word in words:
            if word not in self.words:
                raise ValueError(f"the word {word!r} is not in the vocabulary")
        parts = " ".join(words) if self.tokens == "characters" else words
        return tuple(self._numbers[part] for part in parts)


def check_units(unit: str, tokens: str) -> None:
    """Refuse what is neither.

    Raises:
        UsageError: naming the argument.
    """
    one_of("unit", unit, UNITS)
    one_of("tokens", tokens, TOKENS)
