"""What other people's modules do and ours do not: kept, resumed, or refused in a sentence."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import assert_same, in_a_process, with_signal
from torch.utils.data import DataLoader

import zoo as library
from zoo.errors import ZooError
from zoo.plugin.streams import ResumableStream
from zoo.runs.run import Run

TRAINER = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False}


@pytest.fixture(autouse=True)
def foreign(distributions: Any) -> None:
    distributions.add("foreign", value="foreign_module")


def train(out: str | None = None, resume: str | None = None, **model: Any) -> Run:
    recipe = {
        "model": {"name": "foreign", **model},
        "data": {"name": "foreign-stream"},
        "trainer": TRAINER,
    }
    return library.train(recipe, out=out, resume=resume)


def test_a_module_that_does_much_that_ours_do_not() -> None:
    whole = train("whole")
    assert {"fit acc", "acc", "Verlust/größe/日本"} == set(whole.metrics)
    assert library.evaluate("whole") == {"acc": whole.metrics["acc"]}
    assert library.load("whole").bank.shape == (10, 4)
    cut = partial(with_signal, "on_train_batch_end", 8, signal.SIGINT, train)
    assert in_a_process(cut) == 130
    assert_same(train("cut", resume="auto"), whole)


def test_what_no_checkpoint_can_be_read_with_is_refused_when_it_is_written() -> None:
    with pytest.raises(ZooError, match=r"it has a numpy\.float64 under 'sums'"):
        train("run", numpy=True)
    assert not Path("run/checkpoints/last.ckpt").exists()


def test_a_stream_continues_where_it_was_left() -> None:
    from foreign_module import Stream

    def stream() -> ResumableStream:
        return ResumableStream(DataLoader(Stream(10), 2))

    first, again = stream(), stream()
    whole = [points for points, _ in first]
    seen = iter(first)
    next(seen), next(seen)
    again.load_state_dict(first.state_dict())
    rest = [points for points, _ in again]
    assert [torch.equal(a, b) for a, b in zip(rest, whole[2:], strict=True)] == [True] * 3
    assert len(list(again)) == 5
    assert again.state_dict() == {"passes": 3, "batches": 5}
