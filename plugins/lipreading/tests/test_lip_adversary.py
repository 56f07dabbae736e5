"""Domain-adversarial training: its gradient, its schedule, and whose labels it sees."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer

from zoo.plugin import UsageError
from zoo_lipreading.adversary import Adversary, Schedule, read_attach, reverse_gradient
from zoo_lipreading.data.avletters import AVLetters
from zoo_lipreading.data.talking_mouths import TalkingMouths
from zoo_lipreading.lipreader import Lipreader
from zoo_lipreading.networks import Representation

SMALL: dict[str, Any] = {"feedforward": [6, 5], "lstm": [4], "dropout": 0.2, "shift": 0.05}
DATA: dict[str, Any] = {
    "batch_size": 8, "size": [8, 12], "num_speakers": 3, "repetitions": 4, "split": "leave-out:m2",
}  # fmt: skip


def fit(model: Lipreader, data: Any, epochs: int = 2) -> dict[str, float]:
    trainer = Trainer(
        max_epochs=epochs, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def build(facts: dict[str, Any], **changes: Any) -> Lipreader:
    torch.manual_seed(0)
    known = ("num_classes", "label_names", "speakers", "num_speakers", "image_size")
    return Lipreader(**{name: facts[name] for name in known}, **SMALL, **changes)


def same(first: Lipreader, second: Lipreader) -> bool:
    weights = second.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in first.state_dict().items())


def test_the_gradient_is_reversed_and_weighted() -> None:
    inputs = torch.randn(3, dtype=torch.float64, requires_grad=True)
    result = reverse_gradient(inputs, 0.7)
    assert torch.equal(result, inputs)
    (result * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(
        inputs.grad, -0.7 * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    )


def test_the_schedule_is_ganins() -> None:
    schedule = Schedule(maximum=0.5, gamma=10.0, unit="epoch", length=100.0)
    assert schedule(step=999, epoch=0) == 0
    for epoch in (1, 10, 50, 100):
        wanted = 0.5 * (2 / (1 + math.exp(-10 * epoch / 100)) - 1)
        assert schedule(step=0, epoch=epoch) == pytest.approx(wanted)
    steps = Schedule(maximum=1.0, gamma=1.0, unit="step", length=1000.0)
    assert steps(step=1000, epoch=0) == pytest.approx(0.462, abs=5e-4)
    assert Schedule(0.3, 0.0, "step", 10.0)(0, 0) == 0.3


@pytest.mark.parametrize("attach", ["lstm", 0])
def test_frames_are_told_one_by_one(attach: int | str) -> None:
    torch.manual_seed(0)
    lengths, speakers = torch.tensor([4, 2]), torch.tensor([1, 0])
    found = Representation([torch.randn(2, 4, 3)], torch.randn(2, 4, 3), torch.randn(2, 3))
    adversary = Adversary(3, 2, [5], 0.0, attach, "frame")
    loss, accuracy = adversary(found, lengths, speakers, 1.0)
    sequence = found.sequence if attach == "lstm" else found.layers[0]
    losses, right = [], []
    for clip in range(2):
        for frame in range(int(lengths[clip])):
            logits = adversary.network(sequence[clip, frame])
            losses.append(F.cross_entropy(logits, speakers[clip]))
            right.append(int(logits.argmax()) == int(speakers[clip]))
    torch.testing.assert_close(loss, torch.stack(losses).mean())
    assert float(accuracy) == pytest.approx(sum(right) / len(right))


def test_a_segment_is_the_mean_of_its_frames_or_the_last_state() -> None:
    torch.manual_seed(0)
    lengths, speakers = torch.tensor([4, 2]), torch.tensor([1, 0])
    found = Representation([torch.randn(2, 4, 3)], torch.randn(2, 4, 3), torch.randn(2, 3))
    for attach, vectors in (
        ("lstm", found.segment),
        (0, torch.stack([found.layers[0][0].mean(dim=0), found.layers[0][1, :2].mean(dim=0)])),
    ):
        adversary = Adversary(3, 2, [], 0.0, attach, "segment")
        loss, _ = adversary(found, lengths, speakers, 1.0)
        torch.testing.assert_close(loss, F.cross_entropy(adversary.network(vectors), speakers))


def test_the_layers_below_get_the_words_gradient_less_the_adversarys() -> None:
    data = TalkingMouths(**DATA, target=True)
    model = build(data.facts, adversary_weight=0.6, adversary_gamma=0.0).eval()
    batch = next(iter(data.train_dataloader()))
    model.schedule = Schedule(0.6, 0.0, "epoch", 1.0)
    weights = list(model.network.encoder.frames.parameters())

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])

    word = F.cross_entropy(model(batch["video"], batch["lengths"]), batch["label"])
    both = model.network.encoder(
        torch.nn.utils.rnn.pad_sequence(
            [*batch["video"], *batch["target"]["video"]], batch_first=True
        )
        if batch["video"].shape[1] == batch["target"]["video"].shape[1]
        else torch.cat([_padded(batch, batch["target"]), _padded(batch["target"], batch)]),
        torch.cat([batch["lengths"], batch["target"]["lengths"]]),
    )
    assert model.adversary is not None
    told, _ = model.adversary(
        both,
        torch.cat([batch["lengths"], batch["target"]["lengths"]]),
        torch.cat([torch.zeros_like(batch["label"]), torch.ones_like(batch["label"])]),
        -1.0,  # reversed twice: the plain gradient
    )
    wanted = gradient(word) - 0.6 * gradient(told)
    torch.testing.assert_close(gradient(model.training_step(batch, 0)), wanted)


def _padded(half: Any, other: Any) -> torch.Tensor:
    missing = max(0, other["video"].shape[1] - half["video"].shape[1])
    return F.pad(half["video"], (0, 0, 0, 0, 0, missing))


def test_weight_0_is_the_plain_model() -> None:
    models = []
    for target, changes in (
        (False, {}),
        (True, {"adversary_attach": "lstm", "adversary_hidden": [7]}),
    ):
        data = TalkingMouths(**DATA, target=target)
        models.append(build(data.facts, adversary_weight=0.0, **changes))
        torch.manual_seed(1)
        fit(models[-1], data)
    assert models[0].adversary is None
    assert models[0].state_dict().keys() == models[1].state_dict().keys()
    assert same(*models)


def test_the_adversary_changes_the_weights() -> None:
    data = TalkingMouths(**DATA, target=True)
    models = []
    for weight in (0.0, 0.5):
        models.append(build(data.facts, adversary_weight=weight))
        torch.manual_seed(1)
        fit(models[-1], data)
    assert not same(*models)


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_the_adversary_gets_the_weight_of_its_schedule(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole training is the schedule's length where no other is given."""
    seen: list[float] = []
    forward = Adversary.forward

    def recorded(self: Any, *arguments: Any) -> Any:
        seen.append(arguments[-1])
        return forward(self, *arguments)

    monkeypatch.setattr(Adversary, "forward", recorded)
    data = TalkingMouths(**DATA, target=True)
    steps, epochs = len(data.train_dataloader()), 4
    metrics = fit(build(data.facts, adversary_weight=0.5, adversary_unit=unit), data, epochs)

    def ganin(time: float) -> float:
        return 0.5 * (2 / (1 + math.exp(-10 * time)) - 1)

    count = steps * epochs
    of_epochs = [ganin(step // steps / epochs) for step in range(count)]
    of_steps = [ganin(step / count) for step in range(count)]
    assert seen == pytest.approx(of_epochs if unit == "epoch" else of_steps)
    assert seen[0] == 0
    assert max(seen) > 0.45
    logged = ganin((epochs - 1) / epochs) if unit == "epoch" else ganin(1)
    assert metrics["train/adversary_weight"] == pytest.approx(logged)


def test_the_adversary_reaches_the_layers_below_as_much_as_its_weight_says() -> None:
    """With the same clips and the same draws, only the weight is another."""
    data = TalkingMouths(**DATA, target=True)
    batch = next(iter(data.train_dataloader()))
    gradients: dict[float, tuple[torch.Tensor, torch.Tensor]] = {}
    for weight in (0.0, 0.25, 0.5):
        model = build(data.facts, adversary_weight=0.5)
        model.schedule = Schedule(weight, 0.0, "epoch", 1.0)
        torch.manual_seed(1)
        model.training_step(batch, 0).backward()
        assert model.adversary is not None
        below = next(model.network.encoder.parameters()).grad
        own = next(model.adversary.parameters()).grad
        assert below is not None
        assert own is not None
        gradients[weight] = (below, own)
    (none, own), (half, _), (whole, _) = gradients.values()
    assert float((whole - none).abs().max()) > 1e-5
    torch.testing.assert_close(whole - none, 2 * (half - none), rtol=1e-3, atol=1e-7)
    assert all(torch.equal(own, each) for _, each in gradients.values())  # it learns at full speed


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adversary_attach": "lstm", "adversary_level": "frame"},
        {"adversary_classes": "speaker"},
    ],
)
def test_the_targets_labels_are_never_read(avletters: Path, changes: dict[str, Any]) -> None:
    weights = []
    for spoil in (False, True):
        data = AVLetters(
            str(avletters), batch_size=6, split="leave-out:Bob", target=True, size=[8, 10],
            normalization="speaker",
        )  # fmt: skip
        parts = data.parts
        assert len(parts.adapt) == 8
        if spoil:
            for clip in (*parts.adapt, *parts.test):
                object.__setattr__(clip, "label", -12345)
        model = build(data.facts, adversary_weight=0.5, **changes)
        torch.manual_seed(1)
        metrics = fit(model, data)
        weights.append(copy.deepcopy(model))
        assert 0 <= metrics["train/adversary_accuracy"] <= 1
        assert "val/accuracy" in metrics
    assert same(*weights)


def test_without_a_target_domains_cannot_be_told_apart() -> None:
    data = TalkingMouths(**DATA)
    with pytest.raises(UsageError, match=r"data\.target"):
        fit(build(data.facts, adversary_weight=0.5), data)
    fit(build(data.facts, adversary_weight=0.5, adversary_classes="speaker"), data, epochs=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adversary_attach": "2"}, "has to be one of lstm, 0, 1"),
        ({"adversary_attach": "-1"}, "adversary_attach"),
        ({"adversary_weight": -1.0}, "adversary_weight"),
        ({"adversary_length": 0.0}, "adversary_length"),
        ({"adversary_level": "word"}, "segment, frame"),
        ({"adversary_hidden": [0]}, "adversary_hidden"),
    ],
)
def test_wrong_arguments_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Lipreader(num_classes=3, **SMALL, **{"adversary_weight": 1.0, **changes})


def test_attach_is_read_from_text() -> None:
    assert read_attach("lstm", 2) == "lstm"
    assert read_attach("1", 2) == 1
