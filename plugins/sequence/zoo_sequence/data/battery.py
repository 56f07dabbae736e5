"""The tests of 1997 as endless streams: adding, multiplication, temporal order, long lags.

Source: Hochreiter, Schmidhuber: Long Short-Term Memory, Neural Computation 9(8), 1997, section 5.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from zoo.plugin import (
    BaseDataModule,
    Facts,
    GeneratedSamples,
    Part,
    at_least,
    one_of,
    require,
)

Sample = dict[str, Tensor]
"""``inputs`` float32 (T, features), ``targets`` float32 (T, outputs) from 0 to 1, and ``mask`` bool
(T,): the steps at which there is an error."""

TESTED = 2560
"""Sequences of the test, as in the paper."""


def collate(samples: Sequence[Sample]) -> Sample:
    """A batch: each entry padded with zeros to the longest, with a batch axis in front."""
    return {
        name: pad_sequence([sample[name] for sample in samples], batch_first=True)
        for name in samples[0]
    }


def at_the_end(inputs: Tensor, target: Tensor) -> Sample:
    """A sequence whose error is at its last step alone."""
    steps = len(inputs)
    targets, mask = torch.zeros(steps, len(target)), torch.zeros(steps, dtype=torch.bool)
    targets[-1], mask[-1] = target, True
    return {"inputs": inputs, "targets": targets, "mask": mask}


def integer(low: int, high: int, random: torch.Generator) -> int:
    """Uniform from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=random))


class Battery(BaseDataModule[GeneratedSamples]):
    """Base of the tests: what a step has, and how sequences come into batches.

    Args:
        batch_size: Sequences of a training step.
        num_workers: Processes that make sequences.
        seed: Of all sequences.
        split: ``standard``, or ``all``.
        epoch: Sequences of what is called an epoch.
    """

    sample_name = "sequence"
    features: int = 2
    outputs: int = 1
    tolerance: float = 0.04
    """What the largest error of a sequence may be."""

    def __init__(
        self,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        epoch: int = 10_000,
    ) -> None:
        super().__init__("the stream", batch_size, num_workers, seed, split)
        at_least("epoch", epoch, 1)
        self.epoch = epoch

    @property
    def facts(self) -> Facts:
        """Sizes of a step's input and output, and the largest error of a right sequence."""
        return {"features": self.features, "outputs": self.outputs, "tolerance": self.tolerance}

    def train_loader(self, samples: GeneratedSamples) -> Any:
        """In their order: each is drawn anew."""
        return self.loader(samples, collate_fn=collate)

    def eval_loader(self, samples: GeneratedSamples) -> Any:
        """Batches of 256, as nothing is learnt."""
        return self.loader(samples, max(self.batch_size, 256), collate_fn=collate)


class GeneratedBattery(Battery):
    """Base of the tests without a fixed set: an endless stream of training sequences, 256 to
    validate, 2,560 to test."""

    @property
    @abstractmethod
    def generate(self) -> Callable[[torch.Generator], Sample]:
        """What makes a sequence."""

    def samples(self, part: Part) -> GeneratedSamples:
        length = {"train": self.epoch, "val": 256, "test": TESTED}[part]
        return GeneratedSamples(self.generate, length, self.seed, part)


def two_numbers(random: torch.Generator, length: int, product: bool) -> Sample:
    """A sequence of the adding or multiplication problem.

    Pairs of a value and a mark, ``length`` to 1.1 ``length`` of them; one of the first ten and one
    other of the first ``length / 2 - 1`` are marked 1, the first and the last -1, all others 0. The
    value of the first pair, should it be marked, counts as 0 (as 1 in a product).
    """
    steps = integer(length, int(1.1 * length), random)
    values = torch.rand(steps, generator=random)
    if not product:
        values = 2 * values - 1
    first = integer(0, min(10, length // 2 - 1) - 1, random)
    second = integer(0, length // 2 - 3, random)
    second += second >= first
    marks = torch.zeros(steps)
    marks[first] = marks[second] = 1.0
    marks[0] = marks[-1] = -1.0
    neutral = torch.tensor(float(product))
    a, b = (neutral if place == 0 else values[place] for place in (first, second))
    target = a * b if product else 0.5 + (a + b) / 4
    return at_the_end(torch.stack([values, marks], 1), target[None])


class Adding(GeneratedBattery):
    """The adding problem: the sum of two marked numbers, told at the end of a sequence.

    Source: section 5.4.

    Args:
        length: T; a sequence has T to 1.1 T steps.
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"length": 10, "epoch": 96}
    _product = False

    def __init__(self, length: int = 100, **options: Any) -> None:
        super().__init__(**options)
        at_least("length", length, 6)
        self.length = length

    @property
    def generate(self) -> Callable[[torch.Generator], Sample]:
        return partial(two_numbers, length=self.length, product=self._product)


class Multiplication(Adding):
    """The multiplication problem: the product of two marked numbers from 0 to 1.

    Source: section 5.5.

    Args:
        length: T; a sequence has T to 1.1 T steps.
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    _product = True


ORDER_SYMBOLS = ("E", "B", "a", "b", "c", "d", "X", "Y")
_PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


def symbols_in_order(random: torch.Generator, relevant: int) -> Sample:
    """E, distractors with an X or Y at each of two or three places, B; the class is their order."""
    steps = integer(100, 110, random)
    symbols = torch.randint(2, 6, (steps,), generator=random)
    symbols[0], symbols[-1] = 0, 1
    label = 0
    for low, high in _PLACES[relevant]:
        bit = integer(0, 1, random)
        symbols[integer(low, high, random)] = 6 + bit
        label = 2 * label + bit
    classes = torch.eye(2**relevant)
    return at_the_end(torch.eye(len(ORDER_SYMBOLS))[symbols], classes[label])


class TemporalOrder(GeneratedBattery):
    """Temporal order: which symbols stood at two or three places far apart, and in which order.

    Source: section 5.6, tasks 6a and 6b.

    Args:
        relevant: Relevant symbols, 2 (four classes) or 3 (eight).
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    features = len(ORDER_SYMBOLS)
    tolerance = 0.3
    conformance_arguments: ClassVar[dict[str, Any]] = {"epoch": 32}

    def __init__(self, relevant: int = 2, **options: Any) -> None:
        super().__init__(**options)
        one_of("relevant", relevant, tuple(_PLACES))
        self.relevant, self.outputs = relevant, 2**relevant

    @property
    def generate(self) -> Callable[[torch.Generator], Sample]:
        return partial(symbols_in_order, relevant=self.relevant)


def two_sequences(
    random: torch.Generator, length: int, informative: int, noise: str, variance: float = 0.2
) -> Sample:
    """``informative`` elements of 1 or -1, then Gaussian noise; the class stands at the end.

    ``noise`` is where else there is some: ``inputs``: on the informative elements too;
    ``targets``: on these and the targets, which are 0.2 and 0.8.
    """
    steps = integer(length, int(1.1 * length), random)
    positive = integer(0, 1, random)
    values = variance**0.5 * torch.randn(steps, generator=random)
    clean = 2.0 * positive - 1
    values[:informative] = clean + (values[:informative] if noise != "none" else 0.0)
    target = torch.tensor([float(positive)])
    if noise == "targets":
        target = 0.2 + 0.6 * target
    sample = at_the_end(values[:, None], target)
    if noise == "targets":
        sample["noise"] = 0.1**0.5 * torch.randn(steps, 1, generator=random)
    return sample


class TwoSequence(GeneratedBattery):
    """The two-sequence problem of Bengio and others: a class told by the first elements alone.

    Guessing random weights solves it faster than any learner, as the paper says: no test of
    learning long lags by itself. Source: section 5.3, tasks 3a, 3b and 3c.

    Args:
        length: T; a sequence has T to 1.1 T steps.
        informative: N, the elements that tell the class.
        noise: ``none`` (3a), ``inputs``: on the informative elements too (3b), ``targets``: and
            Gaussian noise of variance 0.1 on training targets of 0.2 and 0.8 (3c).
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    features = 1
    tolerance = 0.2
    conformance_arguments: ClassVar[dict[str, Any]] = {"length": 10, "epoch": 96}

    def __init__(
        self,
        length: int = 100,
        informative: int = 3,
        noise: Literal["none", "inputs", "targets"] = "none",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        at_least("length", length, 2)
        at_least("informative", informative, 1)
        require(
            informative < length,
            f"informative is {informative}, and a sequence has {length} steps: take fewer",
        )
        one_of("noise", noise, ("none", "inputs", "targets"))
        self.length, self.informative, self.noise = length, informative, noise
        if noise == "targets":
            self.tolerance = 0.1

    @property
    def generate(self) -> Callable[[torch.Generator], Sample]:
        return partial(
            two_sequences, length=self.length, informative=self.informative, noise=self.noise
        )


def long_lag(random: torch.Generator, lag: int, variant: str, distractors: int) -> Sample:
    """A sequence of tasks 2a, 2b and 2c: its first symbol, x or y, comes again at the end.

    Symbols 0 and 1 are x and y, then come ``lag`` - 1 (2c: ``distractors``) others; in 2c also the
    beginning b and the trigger e.
    """
    first = integer(0, 1, random)
    if variant == "distractors":
        return _triggered(random, lag, first, distractors)
    fillers = torch.arange(2, lag + 1)
    if variant == "random":
        fillers = torch.randint(2, lag + 1, (lag - 1,), generator=random)
    elif first == 0:  # the two sequences (y, a1, ..., y) and (x, x, ..., x) in their regular form
        fillers = torch.arange(2, lag + 1)
    symbols = torch.cat([torch.tensor([first]), fillers, torch.tensor([first])])
    coded = torch.eye(lag + 1)[symbols]
    mask = torch.ones(lag, dtype=torch.bool)
    if variant == "random":
        mask[:-1] = False  # what was drawn at random cannot be predicted
    return {"inputs": coded[:-1], "targets": coded[1:], "mask": mask}


def _triggered(random: torch.Generator, lag: int, first: int, distractors: int) -> Sample:
    """b, x or y, at least ``lag`` distractors, then with probability 1/10 the trigger e."""
    extra = 0
    while float(torch.rand((), generator=random)) >= 0.1:
        extra += 1
    symbols = torch.randint(2, distractors + 2, (lag + extra + 3,), generator=random)
    symbols[0], symbols[1], symbols[-1] = distractors + 2, first, distractors + 3
    return at_the_end(torch.eye(distractors + 4)[symbols], torch.eye(2)[first])


class NoiseFree(GeneratedBattery):
    """Noise-free long lags: the first symbol of a sequence is the last one too.

    Source: section 5.2, tasks 2a (``regular``), 2b (``random``) and 2c (``distractors``).

    Args:
        lag: p, steps between the two; of ``distractors`` the least there are (q).
        variant: ``regular``: the same symbols between, in their order; ``random``: drawn;
            ``distractors``: drawn, as many as a trigger says, and only then x or y is asked for.
        distractors: Different symbols between, of ``distractors``.
        options: Those of ``Battery``.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"lag": 6, "epoch": 96}

    def __init__(
        self,
        lag: int = 100,
        variant: Literal["regular", "random", "distractors"] = "random",
        distractors: int = 50,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        at_least("lag", lag, 2)
        at_least("distractors", distractors, 1)
        one_of("variant", variant, ("regular", "random", "distractors"))
        self.lag, self.variant, self.distractors = lag, variant, distractors
        triggered = variant == "distractors"
        self.features = distractors + 4 if triggered else lag + 1
        self.outputs = 2 if triggered else lag + 1
        self.tolerance = 0.2 if triggered else 0.25

    @property
    def generate(self) -> Callable[[torch.Generator], Sample]:
        return partial(long_lag, lag=self.lag, variant=self.variant, distractors=self.distractors)
