"""Generated data: new in every epoch, the same with any number of workers and after a cut."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from counting_learner import Sums, _sum
from cuts import assert_same, in_a_process, with_signal

from zoo.plugin import EndlessDataset, GeneratedSamples, NumberedSteps, ResumableLoader
from zoo.training.train import train


def epoch(loader: ResumableLoader, number: int, start: int = 0) -> list[Any]:
    loader.sampler.set_epoch(number)  # type: ignore[union-attr]
    if start:
        loader.load_state_dict({"batches": start})
    return [batch[0].tolist() for batch in loader]


def loader(part: Any = "train", workers: int = 0, seed: int = 0, length: int = 35) -> Any:
    data = GeneratedSamples(_sum, length, seed, part)
    return ResumableLoader(data, 10, num_workers=workers, shuffle=part == "train")


def flat(batches: list[Any]) -> set[tuple[float, ...]]:
    return {tuple(sample) for batch in batches for sample in batch}


def test_every_epoch_has_new_samples() -> None:
    epochs = [flat(epoch(loader(), number)) for number in range(3)]
    assert [len(each) for each in epochs] == [35] * 3
    assert len(set.union(*epochs)) == 105
    assert epochs[0].isdisjoint(flat(epoch(loader(seed=1), 0)))


def test_a_validation_has_the_same_samples_and_none_of_the_training() -> None:
    assert epoch(loader("val"), 0) == epoch(loader("val"), 3)
    parts = [flat(epoch(loader(part), 0)) for part in ("train", "val", "test")]
    assert len(set.union(*parts)) == 105


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cut", [0, 1, 3])
def test_workers_and_cuts_change_nothing(workers: int, cut: int) -> None:
    assert epoch(loader(workers=workers), 2, cut) == epoch(loader(), 2)[cut:]


def test_the_same_numbers_wherever_a_sample_is_drawn() -> None:
    """Recorded once: another release, machine or number of threads draws no others."""
    numbers, total = GeneratedSamples(_sum, 10, seed=3)[12]
    assert numbers.tolist() == [0.22400277853012085, 0.612316906452179, 0.39373910427093506]
    assert total == numbers.sum()


def test_a_long_epoch_costs_nothing() -> None:
    batches = iter(loader(length=10**12))
    assert len(next(batches)[0]) == 10


def test_a_dataset_of_ones_own() -> None:
    class Squares(EndlessDataset):
        def __getitem__(self, number: int) -> torch.Tensor:
            return torch.tensor(number**2)

    found = ResumableLoader(Squares(3), None)
    found.sampler.set_epoch(2)  # type: ignore[union-attr]
    assert [int(each) for each in found] == [36, 49, 64]


def test_steps_without_data() -> None:
    data = NumberedSteps(steps_per_epoch=3, val_steps=2, test_steps=0)
    training = data.train_dataloader()
    training.sampler.set_epoch(2)  # type: ignore[union-attr]
    assert [int(each) for each in training] == [6, 7, 8]
    validation = data.val_dataloader()
    validation.sampler.set_epoch(2)
    assert [int(each) for each in validation] == [0, 1]
    assert data.test_dataloader() == []
    assert data.facts == {}


def run(out: str, workers: int = 0, resume: str | None = None) -> Any:
    recipe = {
        "seed": 1,
        "model": {"name": "counted-net"},
        "data": {"name": "sums", "num_workers": workers, "length": 100},
        "trainer": {"max_epochs": 2, "logger": False, "accelerator": "cpu"},
    }
    return train(recipe, out=out, resume=resume)


def test_a_training_is_the_same_with_workers_and_after_a_cut(distributions: Any) -> None:
    distributions.add("counting", value="counting_plugin")
    whole, workers = run("whole"), run("workers", 2)
    assert_same(workers, whole)
    for number in (3, 14):
        cut = partial(with_signal, "on_train_batch_end", number, signal.SIGINT, run)
        assert in_a_process(cut) == 130
        assert_same(run("cut", resume="auto"), whole)
        Path("cut").rename(f"cut-{number}")


def test_a_base_datamodule_of_generated_samples() -> None:
    data = Sums(batch_size=7, length=21)
    assert len(data.train_dataloader()) == 3
    assert data.val_dataloader()
