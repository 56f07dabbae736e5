"""Strings of the embedded Reber grammar, one by one or in streams without an end.

Source: Hochreiter, Schmidhuber, Neural Computation 9(8), 1997, section 5.1; continual: Gers,
Schmidhuber, Cummins: Learning to Forget, Neural Computation 12(10), 2000.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from random import Random
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Dataset

from zoo.plugin import EndlessDataset, Part, at_least
from zoo_sequence.data.battery import Battery, Sample, collate
from zoo_sequence.data.recordings import generator

SYMBOLS = "BTPSXVE"
ARCS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)
"""Of each state of the grammar the symbols and where they lead, each with the same probability."""
_SUCCESSORS = ["".join(symbol for symbol, _ in arcs) for arcs in ARCS]
_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def reber_string(random: Random) -> tuple[str, list[str]]:
    """A string of the grammar, and the legal successors of each of its symbols but the last."""
    text, legal, state = "", [], 0
    while state < 7:
        symbol, state = random.choice(ARCS[state])
        text += symbol
        if state < 7:
            legal.append(_SUCCESSORS[state])
    return text, legal


def embedded_string(random: Random) -> tuple[str, list[str]]:
    """B, T or P, a string of the grammar, the same T or P, E; and the legal successors of each
    symbol but the last."""
    side = random.choice("TP")
    inner, legal = reber_string(random)
    return f"B{side}{inner}{side}E", ["TP", "B", *legal, side, "E"]


def _one_hot(text: str) -> Tensor:
    return torch.eye(len(SYMBOLS))[[_NUMBERS[symbol] for symbol in text]]


def _legal(sets: Sequence[str]) -> Tensor:
    kinds = {each: number for number, each in enumerate(sorted(set(sets)))}
    rows = torch.tensor([[symbol in legal for symbol in SYMBOLS] for legal in kinds])
    return rows[[kinds[each] for each in sets]]


def as_sample(text: str, legal: Sequence[str]) -> Sample:
    """What is told at each symbol is the next one; right is whatever prefers the legal ones."""
    coded = _one_hot(text)
    return {
        "inputs": coded[:-1],
        "targets": coded[1:],
        "mask": torch.ones(len(text) - 1, dtype=torch.bool),
        "legal": _legal(legal),
    }


@cache
def string_sets(seed: int, count: int = 256) -> tuple[list[Sample], list[Sample]]:
    """As many strings to train, and others to test, as the grammar has them.

    Short strings are likely ones, and come more than once; those of the test are not among those to
    train, and longer on average. Source: section 5.1, "Training/Testing".
    """
    random = Random(f"reber/{seed}")
    drawn = [embedded_string(random) for _ in range(count)]
    known = {text for text, _ in drawn}
    others: list[Sample] = []
    while len(others) < count:
        text, legal = embedded_string(random)
        if text not in known:
            others.append(as_sample(text, legal))
    return [as_sample(*each) for each in drawn], others


class _Strings(Dataset[Sample]):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


class _Picked(EndlessDataset):
    """Strings picked at random, each as likely as any other, whatever came before."""

    def __init__(self, samples: Sequence[Sample], length: int, seed: int) -> None:
        super().__init__(length)
        self._samples, self._seed = samples, seed

    def __getitem__(self, number: int) -> Sample:
        random = generator("picked", self._seed, number)
        return self._samples[int(torch.randint(len(self._samples), (), generator=random))]


class Reber(Battery):
    """Embedded Reber strings: 256 to train, picked at random, and 256 others.

    As in the paper a net has solved it once all 512 are right at every symbol: the validation has
    all of them, the test the 256 others. The seed draws both sets and the order.

    Args:
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    features = outputs = len(SYMBOLS)
    tolerance = 0.5
    conformance_arguments: ClassVar[dict[str, Any]] = {"epoch": 64}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def samples(self, part: Part) -> Any:
        train, test = string_sets(self.seed)
        if part == "train":
            return _Picked(train, self.epoch, self.seed)
        return _Strings([*train, *test] if part == "val" else test)

    def train_loader(self, samples: Any) -> Any:
        return self.loader(samples, collate_fn=collate)


def stream_chunks(random: Random, streams: int, steps: int, chunk: int) -> list[Sample]:
    """Streams of embedded strings without resets, side by side, cut into chunks."""
    texts, sets = [], []
    for _ in range(streams):
        strings: list[str] = []
        legal: list[str] = []
        while len(legal) <= steps:
            string, successors = embedded_string(random)
            strings.append(string)
            legal += [*successors, "B"]
        texts.append(_one_hot("".join(strings)[:steps]))
        sets.append(_legal(legal[:steps]))
    inputs, legal_sets = torch.stack(texts), torch.stack(sets)
    return [
        {
            "inputs": inputs[:, start : start + chunk],
            "targets": legal_sets[:, start : start + chunk].float(),
            "mask": torch.ones(streams, min(chunk, steps - start), dtype=torch.bool),
            "begins": torch.tensor(start == 0),
        }
        for start in range(0, steps, chunk)
    ]


class _Chunks(EndlessDataset):
    """The chunks of a group of streams, then those of the next group."""

    def __init__(self, make: Callable[[int], list[Sample]], chunks: int, length: int) -> None:
        super().__init__(length)
        self._make, self._chunks = make, chunks
        self._group: tuple[int, list[Sample]] = (-1, [])

    def __getitem__(self, number: int) -> Sample:
        group, place = divmod(number, self._chunks)
        if self._group[0] != group:
            self._group = (group, self._make(group))
        return self._group[1][place]


class ContinualReber(Battery):
    """Embedded Reber strings joined without an end mark: the state is never reset from outside.

    A batch is a chunk of ``batch_size`` streams side by side; a model keeps its states from chunk
    to chunk. What should be told are all legal successors, and a symbol is right if every output's
    error is below 0.49. Training streams begin anew after ``stream`` symbols; the test has 10
    streams of ``test_steps`` symbols.

    Args:
        stream: Symbols of a training stream.
        chunk: Symbols of a training step.
        test_steps: Symbols of each of the 10 streams of the test.
        options: Those of ``Battery``; ``epoch`` counts chunks.

    Raises:
        UsageError: an argument is out of its range.
    """

    features = outputs = len(SYMBOLS)
    tolerance = 0.49
    sample_name = "chunk"
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "stream": 60, "chunk": 20, "test_steps": 100, "epoch": 12,
    }  # fmt: skip

    def __init__(
        self, stream: int = 2000, chunk: int = 50, test_steps: int = 100_000, **options: Any
    ) -> None:
        super().__init__(**options)
        at_least("chunk", chunk, 1)
        at_least("stream", stream, chunk)
        at_least("test_steps", test_steps, 1)
        self.stream, self.chunk, self.test_steps = stream, chunk, test_steps

    def samples(self, part: Part) -> Any:
        if part == "train":
            make = partial(self._group, self.batch_size, self.stream, self.chunk)
            return _Chunks(make, -(-self.stream // self.chunk), self.epoch)
        steps = self.test_steps if part == "test" else min(self.test_steps, 5000)
        return _Strings(stream_chunks(Random(f"stream/{part}"), 10, steps, 1000))

    def _group(self, streams: int, steps: int, chunk: int, number: int) -> list[Sample]:
        return stream_chunks(Random(f"stream/{self.seed}/{number}"), streams, steps, chunk)

    def train_loader(self, samples: Any) -> Any:
        """A sample is a batch already."""
        return self.loader(samples, batch_size=1, collate_fn=_only)

    def eval_loader(self, samples: Any) -> Any:
        return self.loader(samples, batch_size=1, collate_fn=_only)


def _only(samples: list[Sample]) -> Sample:
    return samples[0]
