"""Your own texts: a folder of .txt files, as characters or bytes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import (
    BaseDataModule,
    EndlessDataset,
    Facts,
    GeneratedSamples,
    Part,
    ResumableLoader,
    UsageError,
    at_least,
    fractions,
    one_of,
)

Window = tuple[Tensor, Tensor]
ENDLESS = 10**9


class TextWindows(Dataset[Window]):
    """Windows of a text that follow one another: each symbol is predicted once.

    Args:
        symbols: int64 (L,).
        context: Symbols of a window.
    """

    def __init__(self, symbols: Tensor, context: int) -> None:
        self.symbols, self.context = symbols, context

    def __len__(self) -> int:
        return max(0, (len(self.symbols) - 1) // self.context)

    def __getitem__(self, index: int) -> Window:
        begin = index * self.context
        window = self.symbols[begin : begin + self.context + 1]
        return window[:-1], window[1:]


class TextFolder(BaseDataModule["TextWindows | EndlessDataset"]):
    """Texts ``*.txt`` in UTF-8, in the order of their names, divided by place.

    A batch is ``(symbols, next symbols)``, int64 (N, context) each. Training takes windows that
    begin anywhere; validation and test take windows that follow one another, so that a window's
    first symbols are predicted from little. Of each file the first part is trained on, the next is
    validation, the end is test: no window lies in two parts or files.

    Args:
        root: The folder, or one file; folders within are read too.
        level: ``characters``, or ``bytes`` of UTF-8, with which no symbol is unknown.
        context: Symbols of a window.
        val_fraction: Part of each text for validation.
        test_fraction: Part of each text for the test.
        vocabulary: The characters, such as those of the model that is tested; those of the
            training part, if empty.
        batch_size: Windows in a batch.
        num_workers: Processes that prepare batches; the text lies in memory, 0 is quickest.
        seed: Seed of the places of training windows.
        split: ``standard``, or ``all`` to make everything test data.

    Raises:
        UsageError: there are no texts, one is not UTF-8, a part is shorter than a window, or a
            character does not occur in the training part or vocabulary.
    """

    keep_best = True
    conformance_arguments: ClassVar[dict[str, Any]] = {"context": 8, "batch_size": 4}
    sample_name = "window"

    def __init__(
        self,
        root: str,
        level: Literal["characters", "bytes"] = "characters",
        context: int = 128,
        val_fraction: float = 0.05,
        test_fraction: float = 0.05,
        vocabulary: str = "",
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        one_of("level", level, ("characters", "bytes"))
        at_least("context", context, 2)
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.level, self.context, self.given = level, context, vocabulary
        self.fractions = (val_fraction, test_fraction)
        self._read: dict[Part, list[Tensor]] | None = None
        self._vocabulary = ""

    @property
    def facts(self) -> Facts:
        """``vocabulary``, the characters in the order of their numbers, empty for bytes;
        ``vocab_size`` and ``context``."""
        self.setup()
        size = len(self._vocabulary) if self.level == "characters" else 256
        return {"vocabulary": self._vocabulary, "vocab_size": size, "context": self.context}

    def setup(self, stage: str | None = None) -> None:
        """Read and check the texts, once."""
        if self._read is not None:
            return
        texts = {path: _read(path) for path in self._paths()}
        cut = {path: self._divide(text) for path, text in texts.items()}
        if self.level == "characters":
            trained = self.given or "".join(
                sorted(set().union(*(parts["train"] or parts["test"] for parts in cut.values())))
            )
            self._vocabulary = trained
            for path, text in texts.items():
                encode(text, trained, str(path))
        read: dict[Part, list[Tensor]] = {"train": [], "val": [], "test": []}
        for path, parts in cut.items():
            for part in read:
                if len(parts[part]) > 0:
                    read[part].append(encode(parts[part], self._vocabulary, str(path)))
        self._read = read

    def _paths(self) -> list[Path]:
        root = Path(self.root)
        if root.is_file():
            return [root]
        if not root.is_dir():
            raise UsageError(
                f"there is no folder or file {root}: give --data.root a folder of .txt"
            )
        if not (paths := sorted(root.rglob("*.txt"))):
            raise UsageError(f"{root} holds no .txt file")
        return paths

    def _divide(self, text: str) -> dict[Part, str]:
        if self.split == "all":
            return {"train": "", "val": "", "test": text}
        val, test = (round(len(text) * share) for share in self.fractions)
        end = len(text) - val - test
        return {"train": text[:end], "val": text[end : end + val], "test": text[end + val :]}

    def samples(self, part: Part) -> TextWindows | EndlessDataset:
        """Windows of a part: anywhere for training, in order for the others."""
        self.setup()
        assert self._read is not None
        texts = [text for text in self._read[part] if len(text) > self.context]
        if not texts:
            if part == "val" or self.split == "all":
                return TextWindows(torch.empty(0, dtype=torch.long), self.context)
            raise UsageError(
                f"{self.root}: the {part} part of no text is longer than a window of "
                f"{self.context}: give a smaller --data.context, or more text"
            )
        if part != "train":
            joined = [text[: (len(text) - 1) // self.context * self.context + 1] for text in texts]
            return _Joined(joined, self.context)
        starts: Tensor = torch.tensor([len(text) - self.context for text in texts]).cumsum(0)

        def window(random: torch.Generator) -> Window:
            place = torch.randint(int(starts[-1]), (1,), generator=random)
            number = int(torch.searchsorted(starts, place, right=True))
            begin = int(place) - (int(starts[number - 1]) if number else 0)
            found = texts[number][begin : begin + self.context + 1]
            return found[:-1], found[1:]

        return GeneratedSamples(window, ENDLESS, self.seed)

    def describe_found(self) -> list[str]:
        """How long the parts are, and how many symbols they are made of."""
        self.setup()
        assert self._read is not None
        sizes = "/".join(str(sum(map(len, texts))) for texts in self._read.values())
        return [f"{self.facts['vocab_size']} symbols", f"{sizes} {self.level} train/val/test"]

    def train_loader(self, samples: TextWindows | EndlessDataset) -> ResumableLoader:
        """Windows from anywhere, without an end: ``trainer.max_steps`` ends the training."""
        return self.loader(samples)


class _Joined(TextWindows):
    """Windows of several texts, none of which reaches into the next."""

    def __init__(self, texts: list[Tensor], context: int) -> None:
        super().__init__(torch.cat(texts), context)
        self.starts: list[int] = []
        begin = 0
        for text in texts:
            self.starts += range(begin, begin + len(text) - 1, context)
            begin += len(text)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Window:
        begin = self.starts[index]
        window = self.symbols[begin : begin + self.context + 1]
        return window[:-1], window[1:]


def encode(text: str, vocabulary: str, where: str) -> Tensor:
    """Numbers of a text's symbols, int64 (L,): bytes where the vocabulary is empty.

    Args:
        text: What to encode.
        vocabulary: The characters in the order of their numbers.
        where: What the text is called in a message.

    Raises:
        UsageError: a character is not in the vocabulary; names the most frequent ones.
    """
    if not vocabulary:
        return torch.tensor(list(text.encode("utf-8")), dtype=torch.long)
    numbers = {symbol: number for number, symbol in enumerate(vocabulary)}
    if unknown := Counter(symbol for symbol in text if symbol not in numbers):
        names = ", ".join(f"{symbol!r} ({count})" for symbol, count in unknown.most_common(5))
        raise UsageError(
            f"{where} has {len(unknown)} characters that the training text does not have, among "
            f"them {names}: remove them, or train with --data.level bytes"
        )
    return torch.tensor([numbers[symbol] for symbol in text], dtype=torch.long)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a text in UTF-8: {error}") from error
