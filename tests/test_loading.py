"""The order of the data depends on seed and epoch alone, and goes on where it was left."""

from typing import Any

import pytest
import torch
import torch.distributed
from torch.utils.data import TensorDataset

from zoo.errors import UsageError
from zoo.plugin.loaders import EpochSampler, ResumableLoader


def order(size: int, seed: int, epoch: int, **options: Any) -> list[int]:
    sampler = EpochSampler(range(size), seed, **options)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.fixture
def as_rank(monkeypatch: pytest.MonkeyPatch) -> Any:
    def pretend(rank: int, world: int) -> None:
        monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
        monkeypatch.setattr(torch.distributed, "get_rank", lambda *_: rank)
        monkeypatch.setattr(torch.distributed, "get_world_size", lambda *_: world)

    return pretend


def test_a_part_of_fewer_samples_than_processes_is_refused_by_all_of_them(as_rank: Any) -> None:
    for rank in range(2):
        as_rank(rank, 2)
        with pytest.raises(UsageError, match=r"1 sample.* 2 processes cannot share"):
            EpochSampler(range(1), shuffle=False)
    assert list(EpochSampler(range(0), shuffle=False)) == []


def test_order_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = order(50, 3, 7)
    torch.manual_seed(2)
    torch.rand(5)
    assert order(50, 3, 7) == first
    assert sorted(first) == list(range(50))
    assert order(50, 4, 7) != first
    assert order(50, 3, 8) != first
    assert first != list(range(50))


def test_order_draws_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    order(50, 3, 7)
    loader = ResumableLoader(TensorDataset(torch.arange(10)), 3, seed=1)
    list(loader)
    assert torch.equal(torch.get_rng_state(), before)


def test_order_of_the_data_is_kept_without_shuffling() -> None:
    assert order(9, 3, 7, shuffle=False) == list(range(9))


@pytest.mark.parametrize("world", [2, 4])
@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_share_the_global_batches_of_one(as_rank: Any, world: int, shuffle: bool) -> None:
    size, batch = 48, 3
    alone = order(size, 5, 2, shuffle=shuffle)
    parts = []
    for rank in range(world):
        as_rank(rank, world)
        parts.append(order(size, 5, 2, shuffle=shuffle))
    assert {len(part) for part in parts} == {size // world}
    for start in range(0, size // world, batch):
        together = {index for part in parts for index in part[start : start + batch]}
        assert together == set(alone[start * world : (start + batch) * world])


def test_no_sample_is_lost_when_processes_do_not_divide_the_data(as_rank: Any) -> None:
    seen: set[int] = set()
    for rank in range(3):
        as_rank(rank, 3)
        seen |= set(order(10, 0, 0))
    assert seen == set(range(10))


def make(workers: int = 0, seed: int = 4, size: int = 22) -> ResumableLoader:
    return ResumableLoader(TensorDataset(torch.arange(size)), 4, seed=seed, num_workers=workers)


def read(loader: ResumableLoader) -> list[list[int]]:
    return [batch.tolist() for (batch,) in loader]


@pytest.mark.parametrize("done", range(1, 7))
def test_state_in_mid_epoch_gives_the_rest(done: int) -> None:
    loader = make()
    loader.sampler.set_epoch(2)
    whole = read(loader)
    assert len(whole) == len(loader) == 6
    iterator = iter(loader)
    for _ in range(done):
        next(iterator)
    state = loader.state_dict()
    assert state == {"batches": done}

    other = make()
    other.load_state_dict(state)
    other.sampler.set_epoch(2)
    # an ended epoch is not gone through again as an empty one: the next pass is whole
    assert read(other) == (whole[done:] if done < 6 else whole)
    assert other.state_dict() == {"batches": 6}
    other.sampler.set_epoch(3)
    loader.sampler.set_epoch(3)
    assert read(other) == read(loader)  # only one pass is shortened


def test_state_before_the_first_batch() -> None:
    loader = make()
    assert loader.state_dict() == {"batches": 0}
    other = make()
    other.load_state_dict(loader.state_dict())
    assert read(other) == read(loader)


def test_state_counts_on_after_a_resume() -> None:
    loader = make()
    loader.load_state_dict({"batches": 2})
    iterator = iter(loader)
    next(iterator)
    assert loader.state_dict() == {"batches": 3}


def test_state_with_workers_counts_batches_handed_out() -> None:
    loader = make(workers=2)
    loader.sampler.set_epoch(1)
    iterator = iter(loader)
    head = [next(iterator)[0].tolist() for _ in range(2)]
    state = loader.state_dict()  # the workers are ahead of it
    del iterator
    assert state == {"batches": 2}
    rest = make(workers=2)
    rest.load_state_dict(state)
    rest.sampler.set_epoch(1)
    alone = make()
    alone.sampler.set_epoch(1)
    assert head + read(rest) == read(alone)


def test_workers_random_numbers_depend_on_seed_and_epoch() -> None:
    def drawn(seed: int, epoch: int) -> list[float]:
        loader = ResumableLoader(Noise(), 2, seed=seed, num_workers=2)
        loader.sampler.set_epoch(epoch)
        return [value for batch in loader for value in batch.tolist()]

    torch.manual_seed(0)
    first = drawn(1, 1)
    torch.manual_seed(9)
    assert drawn(1, 1) == first
    assert drawn(1, 2) != first


class Noise(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.rand(())


def test_a_pinned_loader_repeats_its_first_epoch() -> None:
    loader = make()
    assert isinstance(loader.sampler, EpochSampler)
    first = read(loader)
    loader.sampler.set_epoch(3)
    assert read(loader) != first
    loader.repeat_first_epoch()
    assert read(loader) == first
    loader.sampler.set_epoch(3)
    assert read(loader) == first
