"""Optimizers and schedules by the path of their class or function."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from zoo.errors import UsageError
from zoo.plugin import named
from zoo.plugin.optim import optimizer, require_optimizer, require_schedule, schedule
from zoo.plugin.trust import values_from


@pytest.fixture(autouse=True)
def _nothing_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named, "_allowed", set())


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with an optimizer, a schedule and a number."""

    class Plain(torch.optim.SGD):
        def __init__(self, params: object, lr: float = 7.0) -> None:
            super().__init__(params, lr)  # type: ignore[arg-type]

    def halving(total_steps: float, warmup: float) -> object:
        return lambda step: 0.5 ** (step / total_steps)

    module = types.ModuleType("mine_of_test")
    vars(module).update({"Plain": Plain, "halving": halving, "number": 3, "Other": dict})
    monkeypatch.setitem(sys.modules, "mine_of_test", module)
    return "mine_of_test"


def parameters() -> list[tuple[str, nn.Parameter]]:
    return list(nn.Linear(3, 2).named_parameters())


def test_one_of_torch() -> None:
    built = optimizer("torch.optim.RAdam", parameters(), lr=0.1, weight_decay=0.5)
    assert isinstance(built, torch.optim.RAdam)
    assert [group["lr"] for group in built.param_groups] == [0.1, 0.1]
    assert sorted(group["weight_decay"] for group in built.param_groups) == [0.0, 0.5]
    momentum = optimizer("torch.optim.RMSprop", parameters(), lr=0.1, momentum=0.7)
    assert momentum.param_groups[0]["momentum"] == 0.7


def test_one_of_the_users_own(mine: str) -> None:
    require_optimizer(f"{mine}.Plain")
    built = optimizer(f"{mine}.Plain", parameters(), lr=0.1)
    assert built.param_groups[0]["lr"] == 0.1
    assert schedule(f"{mine}.halving", 10)(20) == 0.25
    require_schedule(f"{mine}.halving")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lion", "did you mean|has to be one of"),
        ("torch.optim.Lion7", "torch.optim has no Lion7"),
        ("not_there_at_all.Lion", "cannot be imported"),
        ("mine_of_test.number", "has no number"),
    ],
)
def test_what_is_not_there_is_refused_by_the_constructor(mine: str, name: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        require_optimizer(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torch.optim.LBFGS", "refuses its arguments"),
        ("mine_of_test.Other", "refuses its arguments|is not a torch.optim.Optimizer"),
    ],
)
def test_what_is_no_optimizer_of_groups_is_refused(mine: str, name: str, told: str) -> None:
    require_optimizer(name)
    with pytest.raises(UsageError, match=told):
        optimizer(name, parameters(), lr=0.1, weight_decay=0.1)


def test_a_bundle_names_nothing_but_torchs_own(mine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is built, as for a test, and refused when it is to be trained."""
    with values_from("the bundle X"):
        require_optimizer("torch.optim.RAdam")
        require_optimizer(f"{mine}.Plain")
        require_optimizer("not_there_at_all.Lion")  # not even looked for
    for name in (f"{mine}.Plain", "not_there_at_all.Lion"):
        module = name.partition(".")[0]
        with pytest.raises(UsageError, match=f"ZOO_TRUST_MODULES={module}"):
            optimizer(name, parameters(), lr=0.1)
        with pytest.raises(UsageError, match=f"ZOO_TRUST_MODULES={module}"):
            schedule(name, 10)
    monkeypatch.setenv("ZOO_TRUST_MODULES", mine)
    with values_from("the bundle X"):
        require_optimizer(f"{mine}.Plain")
    assert optimizer(f"{mine}.Plain", parameters(), lr=0.1)


def test_what_the_user_typed_is_trusted(mine: str) -> None:
    with values_from("the recipe X", (f"{mine}.Plain",)):
        require_optimizer(f"{mine}.Plain")
    assert optimizer(f"{mine}.Plain", parameters(), lr=0.1)


def test_a_scheduler_of_torch_by_the_length_of_the_training() -> None:
    path = "torch.optim.lr_scheduler."
    require_schedule(f"{path}PolynomialLR")
    linear = schedule(f"{path}PolynomialLR", 10)
    assert [linear(step) for step in (0, 5, 10, 12)] == pytest.approx([1, 0.5, 0, 0])
    half = schedule(f"{path}CosineAnnealingLR", 8)
    assert half(4) == pytest.approx(0.5)
    cycle = schedule(f"{path}OneCycleLR", 10, 0.3)
    assert max(range(10), key=cycle) == 2
    assert cycle(11) == cycle(9)


@pytest.mark.parametrize(
    ("scheduler", "told"),
    [
        ("StepLR", "needs step_size, which follows from no length"),
        ("ReduceLROnPlateau", "goes by a metric"),
        ("Gone", "has no Gone"),
    ],
)
def test_a_scheduler_that_needs_more_is_refused_by_the_constructor(
    scheduler: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        require_schedule(f"torch.optim.lr_scheduler.{scheduler}")


def test_a_scheduler_has_to_know_the_end() -> None:
    with pytest.raises(UsageError, match="has to know when training ends"):
        schedule("torch.optim.lr_scheduler.PolynomialLR", float("inf"))
