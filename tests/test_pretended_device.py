"""On a GPU no training step of a shipped model makes the host wait, and no tensors of two devices
meet: counted on a pretended GPU, so that no GPU is needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, seed_everything
from PIL import Image
from pretended_device import (
    CUDA,
    MixedDevices,
    Pretended,
    PretendedDevice,
    PretendedGenerator,
    module_to_gpu,
    to_gpu,
)
from torch import Tensor, nn

from zoo.plugin import optim
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import make_recipe
from zoo.training.train import prepare_data

_MOUTHS = {"name": "talking-mouths", "batch_size": 4, "size": [6, 10]}
_DIGITS = {"name": "digits", "batch_size": 4}
_PHANTOM = {"name": "phantom", "size": [8, 8, 8], "patch_size": [3, 4, 4], "batch_size": 1}
_PYRAMID = {"name": "pyramid-lstm", "hidden": [2], "fully_connected": [], "kernel_size": 3}
_LIPS = {"feedforward": [8], "lstm": [8], "tempo": 0.15, "shift": 0.03, "intensity": 0.1}
_COLOR = {"in_channels": 3, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
_COLUMNS = {"name": "mcdnn", "net": "3x8x8-4C3-MP2-8N-N", "columns_per_preprocessing": 1}
_CONTRASTS = ["none", "imadjust", "histeq", "adapthisteq", "conorm"]
_DEFORMED = {"rotation": 10, "elastic_alpha": 5.0}
_ADDING = {"name": "adding", "length": 10, "batch_size": 4}
_RETRIEVAL = {"name": "retrieval", "keys": 10, "batch_size": 4}
_TEXTS = {"name": "text-folder", "root": "texts", "context": 20, "batch_size": 4}
_EPISODES = {
    "name": "collected-episodes",
    "environment": "CartPole-v1",
    "episodes": 30,
    "batch_size": 4,
}
_MEMORY = {"layers": 2, "dim": 16, "heads": 2}

STEPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "mlp": ({"name": "mlp", "hidden": [8], **_DEFORMED}, _DIGITS),
    "mpcnn": ({"name": "mpcnn", "net": "1x8x8-4C3-MP2-8N-N", **_DEFORMED}, _DIGITS),
    "mcdnn": (
        {**_COLUMNS, **_COLOR, "preprocessings": _CONTRASTS, "execution": "stacked"},
        _DIGITS,
    ),
    "timm": ({"name": "timm/test_resnet", **_DEFORMED}, _DIGITS),
    **{
        f"pyramid-{name}": ({**_PYRAMID, "strategy": name}, _PHANTOM)
        for name in ("loop", "dense", "hoisted", "paired", "grouped", "graphed")
    },
    "md-lstm": ({"name": "md-lstm", "hidden": [2]}, _PHANTOM),
    "monai": (
        {"name": "monai/BasicUNet", "network_arguments": {"features": [2, 2, 2, 2, 2, 2]}},
        {"name": "phantom", "size": [32, 32, 32], "patch_size": [32, 32, 32], "batch_size": 1},
    ),
    "squared": ({**_PYRAMID, "loss": "softmax-squared", "checkpoint": True}, _PHANTOM),
    "lipreader": ({"name": "lipreader", **_LIPS, "bidirectional": True}, _MOUTHS),
    "adversarial": (
        {
            "name": "lipreader",
            **_LIPS,
            "adversary_weight": 0.1,
            "adversary_length": 1.0,
            "adversary_level": "frame",
            "frame_mask": 3,
        },
        {**_MOUTHS, "target": True, "split": "leave-out:m1"},
    ),
    "ctc": ({"name": "lipreader-ctc", **_LIPS}, {**_MOUTHS, "unit": "sentence"}),
    "fusion": ({"name": "av-fusion", **_LIPS, "fusion": "gated"}, {**_MOUTHS, "audio": True}),
    "lstm97": ({"name": "lstm97"}, _ADDING),
    "lstm97-full": ({"name": "lstm97", "gradients": "full", "forget_gate": True}, _ADDING),
    "lstm": ({"name": "lstm"}, _ADDING),
    "clockwork": ({"name": "clockwork-rnn"}, {"name": "waveform"}),
    "history": ({"name": "history-compressor"}, {"name": "repeated-symbol"}),
    "meta-lstm": ({"name": "meta-lstm"}, {"name": "quadratics", "batch_size": 4}),
    **{
        f"retrieval-{rule}": ({"name": "retrieval-net", "rule": rule}, _RETRIEVAL)
        for rule in ("sum", "delta", "softmax")
    },
    "mqar": ({"name": "mqar-net", **_MEMORY}, {"name": "mqar", "batch_size": 4}),
    **{
        f"text-{mixer}": ({"name": "text-lm", "mixer": mixer, **_MEMORY}, _TEXTS)
        for mixer in ("delta", "gated-delta", "sum", "softmax", "lstm")
    },
    "few-shot": (
        {"name": "few-shot", "channels": 8, "dim": 16, "heads": 2, "layers": 1},
        {"name": "class-folder", "root": "classes", "batch_size": 2},
    ),
    **{
        f"world-{memory}": ({"name": "world-model", "hidden": 8, "memory": memory}, _EPISODES)
        for memory in ("mdn-lstm", "gru", "rssm")
    },
    "clone": ({"name": "behavior-clone", "hidden": 8}, {**_EPISODES, "items": "steps"}),
    "udrl": (
        {"name": "udrl", "hidden": [8]},
        {
            "name": "udrl-episodes",
            "environment": "CartPole-v1",
            "warmup_episodes": 3,
            "episodes_per_iteration": 2,
            "updates_per_iteration": 2,
            "max_episode_steps": 20,
        },
    ),
    "hpg": (
        {"name": "hpg", "hidden": [8]},
        {"name": "bit-flipping", "bits": 3, "batches_per_epoch": 3},
    ),
}
WAITS = {"hpg": 14}
"""The goals that its episodes reached are as many as they are: their number decides on shapes. It
trains on a CPU unless told otherwise."""


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules and generators that are asked for the GPU say that they are there."""
    monkeypatch.setattr(LightningModule, "device", CUDA)
    monkeypatch.setattr(torch, "Generator", PretendedGenerator)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)


def write_files() -> None:
    """A text, and folders of drawings."""
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("the delta rule writes and reads. " * 100, encoding="utf-8")
    for number in range(30):
        Path(f"classes/{number}").mkdir(parents=True)
        for drawing in range(8):
            image = Image.new("L", (12, 12), 8 * number + drawing)
            image.save(f"classes/{number}/{drawing}.png")


def built(model: dict[str, Any], data: dict[str, Any]) -> tuple[Any, Any]:
    """Model, in training mode, and datamodule of a recipe."""
    if "root" in data:
        write_files()
    seed_everything(0, verbose=False)
    found = resolve(make_recipe({"model": model, "data": data, "trainer": {}}, "pretended"))
    module, facts = prepare_data(found)
    made = found.with_facts(facts).build_model()
    if "adversary_length" in model:
        made.on_fit_start()
    return made.train(), module


def batches(model: Any, data: Any) -> Iterator[Any]:
    """Training batches as the model's hook gives them on the GPU."""
    for batch in data.train_dataloader():
        moved = to_gpu(batch)
        if isinstance(batch, dict) and "lengths" in batch:
            reader = importlib.import_module("zoo_lipreading.reader")
            moved = reader.keep_lengths(moved, batch)
        yield moved


def steps(model: Any, data: Any) -> Iterator[PretendedDevice]:
    """Training steps: loss, gradients, AdamW; what each cost the host."""
    module_to_gpu(model)
    optimizer = optim.optimizer("adamw", model.named_parameters(), 1e-3)
    if "batches_per_epoch" in vars(data):  # episodes, which the model plays
        data.trainer = SimpleNamespace(lightning_module=model, world_size=1)
    with PretendedDevice():
        source = batches(model, data)
        given = [next(source), next(source)]
    for batch in given:
        with PretendedDevice() as device:
            optimizer.zero_grad()
            model.training_step(batch, 1).backward()
            optimizer.step()
        yield device


@pytest.mark.whole_zoo
@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("name", STEPS)
def test_no_training_step_makes_the_host_wait(name: str) -> None:
    # What is made at the first step, such as constants of a device, is there at the second.
    _, second = steps(*built(*STEPS[name]))
    assert second.count("copy") == 0, second.counts
    assert second.count("wait") <= WAITS.get(name, 0), second.counts


@pytest.mark.whole_zoo
def test_a_small_image_set_is_kept_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    _, data = built(*STEPS["mlp"])
    expected = next(iter(data.train_dataloader()))
    monkeypatch.setattr(type(data), "gpu", CUDA)
    with PretendedDevice():
        loader = data.train_dataloader()
    with PretendedDevice() as device:
        found = next(iter(loader))
    assert device.counts == {}
    for mine, true in zip(found, expected, strict=True):
        assert mine.device == CUDA
        assert torch.equal(mine.inner, true)
    monkeypatch.setattr(importlib.import_module("zoo_vision.data.images"), "KEPT_ON_GPU", 10)
    with PretendedDevice():
        assert not isinstance(data.train_dataloader().dataset.labels, Pretended)


class Careless(nn.Module):
    """Waits, copies and mixes."""

    def forward(self, x: Tensor, what: str) -> Tensor:
        if what == "wait":
            return x * float(x.sum())
        if what == "mask":
            return x[x > 0]
        if what == "list":
            return x[[1, 0]]
        if what == "constant":
            return x * x.new_tensor([1.0, 2.0])
        return x + torch.ones(2)


@pytest.mark.parametrize(
    ("what", "kind"), [("wait", "wait"), ("mask", "wait"), ("list", "copy"), ("constant", "copy")]
)
def test_what_costs_the_host_is_counted(what: str, kind: str) -> None:
    with PretendedDevice() as device:
        Careless()(torch.ones(2, 2, device="cuda"), what)
    assert device.count(kind) == 1
    assert sum(device.counts.values()) == 1


def test_tensors_of_two_devices_are_refused() -> None:
    with PretendedDevice(), pytest.raises(MixedDevices, match="of the CPU among"):
        Careless()(torch.ones(2, 2, device="cuda"), "mix")


def test_the_numbers_are_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    x = torch.randn(3, 1, 4, 4)
    expected = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
    module_to_gpu(layer)
    found = torch.autograd.grad(layer(to_gpu(x)).square().sum(), list(layer.parameters()))
    for mine, true in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.inner, true, rtol=0, atol=0)
