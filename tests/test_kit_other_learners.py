"""Learners without epochs, optimizers, gradients or a head: the kit finds no fault that is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import RECIPE, data, make, model

TURNS = """
def __init__(self, features: int, num_classes: int, **rest) -> None:
    super().__init__(features, num_classes, **rest)
    self.automatic_optimization = False

def configure_optimizers(self):
    return [torch.optim.SGD(part.parameters(), 0.1) for part in (self.body, self.classifier)]

def training_step(self, batch, batch_idx):
    turn = self.current_epoch % 2
    mine, other = self.optimizers()[turn], (self.classifier, self.body)[turn]
    loss = super().training_step(batch, batch_idx)
    mine.zero_grad()
    other.requires_grad_(False)
    {backward}
    other.requires_grad_(True)
    mine.step()
"""
SEARCH = """
def __init__(self, features: int, num_classes: int, **rest) -> None:
    super().__init__(features, num_classes, **rest)
    self.automatic_optimization = False

def configure_optimizers(self):
    return None

@torch.no_grad()
def training_step(self, batch, batch_idx):
    for part in (self.body[0], self.classifier):
        part.weight += 0.01 * torch.randn_like(part.weight)
        part.bias += 0.01 * torch.randn_like(part.bias)
"""
CLOSED_FORM = """
def __init__(self, features: int, num_classes: int, **rest) -> None:
    super().__init__(features, num_classes, **rest)
    self.automatic_optimization = False
    self.requires_grad_(False)

def configure_optimizers(self):
    return None

def training_step(self, batch, batch_idx):
    points, labels = batch
    hidden = torch.nn.functional.pad(self.body(points), (0, 1), value=1.0)
    wanted = nn.functional.one_hot(labels, 3).float()
    solution = torch.linalg.lstsq(hidden.T @ hidden + torch.eye(9), hidden.T @ wanted).solution
    self.classifier.weight.copy_(solution[:-1].T)
    self.classifier.bias.copy_(solution[-1])
    {told}
"""
FITTED = """
dynamic_tensors = ("body",)
fitted = False

def training_step(self, *a):
    self.fitted = True
    return super().training_step(*a)

def forward(self, points):
    if not (self.fitted or self.training):
        raise RuntimeError("not fitted")
    return super().forward(points)
"""
CHECKS = ("gradients", "overfits-one-batch", "fits", "same-seed", "resumes", "bundle")


def outcomes() -> dict[str, str]:
    return {name: str(make(name, "model")) for name in CHECKS}


@pytest.mark.parametrize("backward", ["self.manual_backward(loss)", "loss.backward()"])
def test_players_in_turns(write: Callable, backward: str) -> None:
    write(model(TURNS.format(backward=backward)))
    assert all(" failed" not in told for told in outcomes().values()), outcomes()
    assert make("gradients", "model").outcome == "passed"


def test_a_player_whose_turn_never_comes_is_found(write: Callable) -> None:
    body = TURNS.format(backward="loss.backward()")
    write(model(body.replace("current_epoch % 2", "current_epoch * 0")))
    result = make("gradients", "model")
    assert (result.outcome, result.note) == (
        "failed",
        "no gradient reaches classifier.bias, classifier.weight",
    )


def test_a_search_without_gradients(write: Callable) -> None:
    write(model(SEARCH))
    found = outcomes()
    assert all("fails " not in told for told in found.values()), found
    assert "learns without gradients" in found["gradients"]
    assert "training_step returns no loss" in found["overfits-one-batch"]


@pytest.mark.parametrize(
    "told", ["pass", "self.log('train/loss', nn.functional.cross_entropy(self(points), labels))"]
)
def test_a_fit_in_closed_form(write: Callable, told: str) -> None:
    write(model(CLOSED_FORM.format(told=told)))
    found = outcomes()
    assert all("fails " not in each for each in found.values()), found
    result = make("overfits-one-batch", "model")
    assert result.outcome == "skipped"
    assert make("finetunes", "model").outcome == "passed"


def test_a_model_that_has_to_be_fitted_first(write: Callable) -> None:
    write(model(FITTED))
    for check in ("example-input", "plots"):
        assert make(check, "model").outcome == "passed"


def test_settings_that_a_model_needs(write: Callable) -> None:
    write(
        model(
            "trainer_defaults = {'max_epochs': 1, 'gradient_clip_val': 0.5}\n"
            "def on_fit_end(self):\n"
            "    assert self.trainer.gradient_clip_val == 0.5\n"
            "    assert self.trainer.current_epoch == 1"
        )
    )
    assert make("fits", "model").outcome == "passed"


def test_metrics_under_other_names(write: Callable) -> None:
    write(
        model(
            "metric_names = {'image_AUROC': 'test/image_AUROC'}\n"
            "def test_step(self, *a):\n    self.log('image_AUROC', 0.9)"
        )
    )
    result = make("fits", "model")
    assert result.outcome == "passed"
    assert "test/image_AUROC" in result.note


def test_data_without_samples_take_no_loader_arguments(write: Callable) -> None:
    body = """
        def __init__(self) -> None:
            super().__init__()

        def train_dataloader(self):
            points = torch.linspace(-1, 1, 32).reshape(16, 2)
            batches = [(points + number, torch.arange(16) % 3) for number in range(5)]
            return torch.utils.data.DataLoader(batches, batch_size=None)
    """
    write({**data(body), "recipes/first.yaml": RECIPE})
    for check, kind in (("loader-arguments", "dataset"), ("recipe-trains", "recipe")):
        assert make(check, kind).outcome == "passed"
    assert make("seed-decides-order", "dataset").note == "it takes no seed"
