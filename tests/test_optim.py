"""Optimizers and schedules by name."""

from datetime import timedelta
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from zoo.errors import UsageError
from zoo.plugin.optim import (
    OPTIMIZERS,
    EpochSteps,
    optimizer,
    schedule,
    total_steps,
    with_schedule,
)


def test_onecycle_goes_up_linearly_and_down_to_almost_nothing():
    factor = schedule("onecycle", 1000, warmup=0.2)
    assert factor(0) == pytest.approx(0.04)
    assert factor(100) == pytest.approx(0.52)
    assert factor(200) == 1.0
    assert factor(600) == pytest.approx(0.5)
    assert factor(1000) == factor(2000) == pytest.approx(1e-4)


def test_cosine_ends_at_nothing():
    factor = schedule("cosine", 400)
    assert [factor(step) for step in (0, 200, 400)] == pytest.approx([1, 0.5, 0])


def test_constant_needs_no_end_and_the_others_say_so():
    assert schedule("constant", float("inf"))(10**6) == 1
    for name in ("onecycle", "cosine"):
        with pytest.raises(UsageError, match="max_epochs"):
            schedule(name, float("inf"))


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match=r"onecycle.*'linear'"):
        schedule("linear", 10)
    with pytest.raises(UsageError, match=r"adamw.*'lion'"):
        optimizer("lion", nn.Linear(1, 1).named_parameters(), 0.1, 0.9, 0.0)


@pytest.mark.parametrize("name", ["adamw", "sgd", "nesterov"])
def test_only_weights_decay(name):
    layer = nn.Linear(3, 2)
    layer.bias.data.fill_(1.0)
    before = layer.weight.detach().clone()
    built = optimizer(name, layer.named_parameters(), lr=0.1, momentum=0.0, weight_decay=0.5)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    built.step()
    assert torch.allclose(layer.weight, before * (1 - 0.1 * 0.5))
    assert torch.equal(layer.bias, torch.ones(2))


def test_momentum_is_nesterovs_by_name():
    for name, nesterov in (("sgd", False), ("nesterov", True)):
        built = optimizer(name, nn.Linear(1, 1).named_parameters(), 0.1, 0.9, 0.0)
        assert {group["nesterov"] for group in built.param_groups} == {nesterov}
        assert {group["momentum"] for group in built.param_groups} == {0.9}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_frozen_parameter_stays_as_it_is_until_it_is_unfrozen(name):
    layer = nn.Linear(3, 2)
    layer.weight.requires_grad_(False)
    before = layer.weight.clone()
    built = optimizer(name, layer.named_parameters(), 0.1, 0.9, 0.1)
    layer(torch.ones(1, 3)).sum().backward()
    built.step()
    assert torch.equal(layer.weight, before)
    layer.weight.requires_grad_(True)
    layer(torch.ones(1, 3)).sum().backward()
    built.step()
    assert not torch.equal(layer.weight, before)


def test_the_backbone_may_have_a_learning_rate_of_its_own():
    module = nn.ModuleDict({"body": nn.Linear(3, 2), "head": nn.Linear(2, 2)})
    built = optimizer("sgd", module.named_parameters(), 0.1, 0, 0.3, ["head"], 0.01)
    rates = {id(p): group["lr"] for group in built.param_groups for p in group["params"]}
    assert {rates[id(p)] for p in module["head"].parameters()} == {0.1}
    assert {rates[id(p)] for p in module["body"].parameters()} == {0.01}
    assert len(rates) == 4


def test_a_committees_stacked_biases_do_not_decay():
    built = optimizer(
        "adamw",
        [
            ("a.weight", nn.Parameter(torch.ones(4, 2, 2))),
            ("a.bias", nn.Parameter(torch.ones(4, 2))),
        ],
        0.1,
        0.0,
        0.3,
    )
    assert [group["weight_decay"] for group in built.param_groups] == [0.3, 0.0]


def test_a_schedule_goes_by_steps():
    weight = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([weight], lr=0.5)
    configured: Any = with_schedule(sgd, lambda step: 1 / (1 + step))
    assert configured["optimizer"] is sgd
    assert configured["lr_scheduler"]["interval"] == "step"
    sgd.step()
    configured["lr_scheduler"]["scheduler"].step()
    assert sgd.param_groups[0]["lr"] == 0.25


# Counting steps and epochs


class Counted(LightningModule):
    """Notes, for every optimizer step, the epoch by its own count and by the Trainer's."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.epochs: list[tuple[int, int]] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.layer(batch[0]).sum()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.epochs.append((self.counted.epoch(self.global_step), self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.counted, self.total = EpochSteps(self.trainer), total_steps(self.trainer)
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize(
    "settings",
    [
        {"max_epochs": 3},
        {"max_epochs": 3, "accumulate_grad_batches": 2},
        {"max_epochs": 40, "max_steps": 12},
        {"max_epochs": -1, "max_steps": 12, "accumulate_grad_batches": 3},
        {"max_epochs": 3, "limit_train_batches": 2},
        {"max_epochs": 4, "max_time": timedelta(minutes=5)},
        {"max_epochs": 5, "callbacks": {1: 2, 3: 7}},
        {"max_epochs": 5, "max_steps": 9, "callbacks": {0: 4, 2: 1}},
    ],
    ids=str,
)
def test_steps_know_their_epoch_and_their_total(settings: dict[str, Any]) -> None:
    points = TensorDataset(torch.ones(5, 1))
    schedule = settings.pop("callbacks", None)
    callbacks = [GradientAccumulationScheduler(schedule)] if schedule else []
    module = Counted()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        **settings,
    )
    trainer.fit(module, DataLoader(points))
    assert [mine for mine, _ in module.epochs] == [trainers for _, trainers in module.epochs]
    assert module.total == len(module.epochs) == trainer.global_step


def test_a_training_without_an_end_has_epochs_nevertheless() -> None:
    module = Counted()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_time=timedelta(seconds=0.3),
    )
    trainer.fit(module, DataLoader(TensorDataset(torch.ones(5, 1))))
    assert module.total == float("inf")
    assert module.counted.before(3) == 15
    assert [mine for mine, _ in module.epochs] == [trainers for _, trainers in module.epochs]


def test_an_endless_loader_is_one_epoch() -> None:
    class Endless(IterableDataset[torch.Tensor]):
        def __iter__(self) -> Any:
            while True:
                yield torch.ones(1)

    module = Counted()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_steps=7,
    )
    trainer.fit(module, DataLoader(Endless()))
    assert module.epochs == [(0, 0)] * 7
    assert module.total == 7
