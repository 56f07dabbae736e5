"""The protocol behind every figure: which episodes are played, and how the policy plays them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor

import zoo
from zoo_hpg.data.datasets import BitFlippingEpisodes
from zoo_hpg.model import HindsightPolicyGradient


class Recorded(HindsightPolicyGradient):
    """Keeps which goals it was given in each stage, and which actions it chose."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.goals: dict[str, list[Tensor]] = defaultdict(list)
        self.actions: dict[str, list[int]] = defaultdict(list)

    def actor(self, goals: Tensor, *arguments: Any, **named: Any) -> Any:
        stage = str(self.trainer.state.stage.value)
        self.goals[stage].append(goals)
        act = super().actor(goals, *arguments, **named)

        def recorded(observations: Tensor) -> tuple[Tensor, Tensor]:
            chosen, likely = act(observations)
            self.actions[stage] += chosen.tolist()
            return chosen, likely

        return recorded


@pytest.fixture(scope="module")
def model() -> Recorded:
    """One that prefers the third of four bits a little, whatever it sees, and hardly learns."""
    torch.manual_seed(0)
    data = BitFlippingEpisodes(bits=4, batches_per_epoch=20, eval_episodes=64)
    model = Recorded(**data.facts, hidden=[8], initialization="glorot", lr=1e-12)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.zero_()
        last = [each for each in model.policy.parameters() if each.shape == (4,)][-1]
        last[2] = 0.5
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    trainer.test(model, datamodule=data, verbose=False)
    return model


@pytest.mark.parametrize("stage", ["validate", "test"])
def test_evaluations_take_the_likeliest_action(model: Recorded, stage: str) -> None:
    assert set(model.actions[stage]) == {2}


def test_training_draws_its_actions(model: Recorded) -> None:
    counts = torch.tensor(model.actions["train"]).bincount(minlength=4)
    assert int(counts.min()) > 0
    assert int(counts.argmax()) == 2


def test_validation_and_test_ask_for_other_goals(model: Recorded) -> None:
    first, second = (torch.cat(model.goals[stage]) for stage in ("validate", "test"))
    assert first.shape == second.shape == (64, 4)
    assert not torch.equal(first, second)


def test_a_checkpoint_has_its_cards_figures() -> None:
    assert zoo.evaluate("hpg-bitflip8")["test/return"] == 4.90625
