"""Out of memory is said in a sentence that names what fits."""

from __future__ import annotations

import warnings

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from zoo.plugin import ZooError
from zoo_segmentation.memory import first_that_fits, halvings, is_out_of_memory
from zoo_segmentation.pyramid_lstm import SmallPyramidLSTMSegmenter

CPU = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB."
ERRORS = [RuntimeError(CPU), torch.OutOfMemoryError(CUDA), MemoryError()]


class Cramped(nn.Module):
    """A network on a machine with memory for so many voxels, forward or only backward."""

    def __init__(self, voxels: int, error: Exception, backward: bool = False) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, 2, 1)
        self.voxels, self.error, self.backward = voxels, error, backward

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        if x.numel() > self.voxels:
            if not self.backward:
                raise self.error
            y.register_hook(self._fail)
        return y

    def _fail(self, grad: Tensor) -> None:
        raise self.error


def cramped(*network, **arguments) -> SmallPyramidLSTMSegmenter:
    model = SmallPyramidLSTMSegmenter(patch_size=[8, 8, 8], distances=False, **arguments)
    model.network = Cramped(*network)
    return model


def batch(count: int, side: int = 8) -> dict[str, Tensor]:
    shape = (count, 1, side, side, side)
    return {"image": torch.zeros(shape), "label": torch.zeros(shape, dtype=torch.int64)}


def quietly(work: str, model: SmallPyramidLSTMSegmenter, data: dict[str, Tensor]) -> None:
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(trainer, work)(model, DataLoader([data], batch_size=None))


def test_a_gpu_predicts_fewer_windows_at_a_time_where_memory_runs_out(monkeypatch):
    """8 windows of 8x8x8 do not fit, nor do 4; 2 do, and are what the next volume begins with."""
    model = cramped(2 * 8**3, torch.OutOfMemoryError(CUDA)).eval()
    image = torch.rand(1, 1, 16, 16, 16)
    one_by_one = model.probabilities(image)
    monkeypatch.setattr(type(model), "device", property(lambda self: torch.device("cuda")))
    sizes: list[int] = []
    model.network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    first = model.probabilities(image)
    assert sizes[:3] == [8, 4, 2]
    sizes.clear()
    second = model.probabilities(image)
    assert max(sizes) == 2
    assert torch.allclose(first, one_by_one, atol=1e-6)
    assert torch.equal(first, second)


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_training_names_the_batch_that_fits(error, backward):
    model = cramped(8**3, error, backward)
    with pytest.raises(ZooError) as caught:
        quietly("fit", model, batch(4))
    said = str(caught.value)
    assert "memory ran out in training on sub-volumes of 8x8x8, 4 at a time" in said
    assert "8x8x8, 1 at a time, fit" in said
    assert "--data.batch_size 1" in said
    assert "--model.checkpoint true" in said


def test_where_one_is_too_large_a_smaller_window_is_named():
    model = cramped(150, ERRORS[0], checkpoint=True)
    with pytest.raises(ZooError) as caught:
        quietly("fit", model, batch(2))
    assert "4x4x8, 1 at a time, fit: --data.patch_size '[4, 4, 8]'" in str(caught.value)
    assert "checkpoint" not in str(caught.value)


def test_nothing_fits():
    with pytest.raises(ZooError, match="no smaller ones fit either"):
        quietly("fit", cramped(0, ERRORS[0]), batch(1))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("window", [[0, 0, 0], [8, 8, 8]], ids=str)
def test_prediction_names_the_window_that_fits(error, window):
    model = cramped(8 * 8 * 4, error, window=window)
    side = 8 if window[0] == 0 else 12
    with pytest.raises(ZooError, match=r"by windows of 8x8x8; windows of 4x8x8 fit"):
        model.probabilities(torch.zeros(1, 1, side, side, side))
    with pytest.raises(ZooError, match="windows of 4x8x8 fit"):
        quietly("test", model, batch(1, side))


def test_other_errors_stay_what_they_are():
    model = cramped(0, RuntimeError("another"), window=[0, 0, 0])
    with pytest.raises(RuntimeError, match="another"):
        model.probabilities(torch.zeros(1, 1, 8, 8, 8))
    with pytest.raises(RuntimeError, match="another"):
        quietly("fit", model, batch(1))
    assert not is_out_of_memory(ValueError(CPU))


def test_torch_says_so_on_a_cpu():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)


def test_halvings():
    assert list(halvings(4, [2, 3])) == [
        (2, [2, 3]),
        (1, [2, 3]),
        (1, [2, 1]),
        (1, [1, 1]),
    ]
    assert first_that_fits(lambda batch, size: None, 1, [1]) is None
