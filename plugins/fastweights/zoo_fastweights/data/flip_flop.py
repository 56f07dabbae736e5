"""The flip-flop task: an endless stream of events, in which the first B after an A counts.

Source: Williams, Zipser: Experimental Analysis of the Real-Time Recurrent Learning Algorithm,
Connection Science 1(1), 1989; as in Schmidhuber: Learning to Control Fast-Weight Memories, Neural
Computation 4(1), 1992, section 4.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import (
    BaseDataModule,
    EndlessDataset,
    Facts,
    GeneratedSamples,
    Part,
    ResumableLoader,
)

EVENTS = ["A", "B", "C"]
TEST_EVENTS = 1000
ENDLESS = 10**9


def draw_event(random: torch.Generator) -> Tensor:
    """The number of an event, each as likely: int64 ()."""
    return torch.randint(len(EVENTS), (), generator=random)


class EventStream(EndlessDataset):
    """Events in their order, each with whether it is the first B after an A.

    An item is ``(event, target)``: float32 (3,), one-hot, and float32 (), 1 or 0. What was before
    an event is looked up, so that any worker can make any event of the one stream.

    Args:
        events: Their numbers.
        length: How many are an epoch.
    """

    def __init__(self, events: GeneratedSamples, length: int) -> None:
        super().__init__(length)
        self._events = events

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        event = int(self._events[number])
        target = float(EVENTS[event] == "B" and self._armed(number))
        return torch.eye(len(EVENTS))[event], torch.tensor(target)

    def _armed(self, number: int) -> bool:
        """Whether the last A or B before an event is an A."""
        for before in range(number - 1, -1, -1):
            name = EVENTS[int(self._events[before])]
            if name != "C":
                return name == "A"
        return False


class FlipFlop(BaseDataModule[EventStream]):
    """The stream of events A, B and C; the answer is 1 at the first B after an A and else 0.

    A batch is ``(events, targets)``, float32 (N, 3) and (N,): the next N events of the one stream,
    which is never reset. There is no validation; the test is another stream of 1,000 events.

    Args:
        batch_size: Events in a batch; they are learned from one after the other.
        num_workers: Processes that make events.
        seed: Of the streams.
        split: ``standard``; ``all`` is the same, as what is generated has no parts.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "event"

    def __init__(
        self, batch_size: int = 50, num_workers: int = 0, seed: int = 0, split: str = "standard"
    ) -> None:
        super().__init__("flip-flop", batch_size, num_workers, seed, split)

    @property
    def facts(self) -> Facts:
        """How many events there are."""
        return {"events": len(EVENTS)}

    def describe_found(self) -> list[str]:
        """What is generated."""
        return ["an endless stream of 3 events"]

    def samples(self, part: Part) -> EventStream:
        """The stream of a part; validation has none."""
        length = {"train": ENDLESS, "val": 0, "test": TEST_EVENTS}[part]
        if not length:
            return _Nothing()
        return EventStream(GeneratedSamples(draw_event, length, self.seed, part), length)

    def train_loader(self, samples: EventStream) -> ResumableLoader:
        """The stream in its order."""
        return self.loader(samples)


class _Nothing(EventStream):
    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 0
