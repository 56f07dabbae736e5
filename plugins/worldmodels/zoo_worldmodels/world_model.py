"""A model of the world, learnt from episodes: what comes after an observation and an action.

    x_t = features of the observation          standardized numbers, or the code of a picture
    for each segment of an episode:
      for each step:
        the memory reads x_t, a_t and says what it expects as x_{t+1}     memories/
        loss += -log p(x_{t+1})  (and what the memory adds)
        the head says the reward and whether it was the last step         heads.py
        loss += (reward - predicted)^2 + cross-entropy of the end
    dream: let the memory go on with what it has drawn itself             dream.py

Ha, Schmidhuber: World Models, arXiv:1803.10122, of which the memory `mdn-lstm` and the encoder of
pictures (`conv-vae`) are; `gru` predicts without chance, as in 1990; `rssm` is a small recurrent
state-space model.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import (
    Reference,
    UsageError,
    above,
    at_least,
    one_of,
    optim,
    trained_model,
)
from zoo_rl.seeding import generator
from zoo_worldmodels.dreaming import DreamingWorld
from zoo_worldmodels.heads import OutcomeHead
from zoo_worldmodels.horizon import (
    Errors,
)
from zoo_worldmodels.measuring import MeasuredWorld
from zoo_worldmodels.memories.base import Memory
from zoo_worldmodels.memories.recurrent import MDNLSTM, DeterministicGRU
from zoo_worldmodels.memories.rssm import RSSM
from zoo_worldmodels.support import Support

MEMORIES = ("mdn-lstm", "gru", "rssm")
STARTS = 64
"""Beginnings of episodes that a model keeps, for its dreams to begin with."""


_ENDLESS = 1e30
_OF_SCALES = 30
"""How much greater the learning rate of scales is that no step has its own of."""


class WorldModel(MeasuredWorld, DreamingWorld):
    """A recurrent model of the world with exchangeable parts.

    Args:
        environment: gymnasium's id, or empty. Filled in from the data.
        observation_shape: Lengths of an observation. Filled in from the data.
        features: Numbers that describe one. Filled in from the data.
        actions: ``discrete`` or ``continuous``. Filled in from the data.
        num_actions: Actions to choose from, or numbers in one. Filled in from the data.
        action_low: Bounds of continuous actions. Filled in from the data.
        action_high: Bounds of continuous actions. Filled in from the data.
        max_episode_steps: Where episodes are cut, 0 for nowhere. Filled in from the data.
        observation_mean: What observations are standardized by. Filled in from the data.
        observation_std: What observations are standardized by. Filled in from the data.
        reward_scale: What rewards are divided by. Filled in from the data.
        has_ends: Whether the world ends episodes. Filled in from the data.
        actions_vary: Whether the log has more than one action. Filled in from the data.
        vision: The encoder of pictures, the one that the data name as ``encoder``.
        memory: ``mdn-lstm``, ``gru`` or ``rssm``.
        hidden: Units of the memory.
        mixtures: Gaussians of each number, of ``mdn-lstm``.
        residual: Predict differences between features; of ``mdn-lstm`` and ``gru``.
        published_ends: The end comes from the memory's own outputs, as in the published net for
            Doom; of ``mdn-lstm``.
        constant_reward: The reward of every step, where it is known; learnt without.
        last_reward: Predict the reward of a step that ends an episode by an output of its own:
            such rewards may be of another size than all others.
        end_weight: Weight of steps that end an episode: there are few.
        input_noise: Standard deviation of noise on the features that the memory reads in training:
            what it dreams is never quite right either.
        support: States of the log that are kept, by which dreams can tell that they leave it; 0
            for none.
        untrained: Leave the memory as it is drawn, which tells prediction from mere memory.
        lr: Learning rate of Adam, falling to a tenth along half a cosine.
        clip: Value that gradients are cut to.

    Raises:
        UsageError: an argument is out of its range, or pictures have no encoder.
    """

    conformance_arguments = {"hidden": 16}  # noqa: RUF012

    def __init__(
        self,
        environment: str,
        observation_shape: list[int],
        features: int,
        actions: str,
        num_actions: int,
        action_low: list[float],
        action_high: list[float],
        max_episode_steps: int = 0,
        observation_mean: list[float] | None = None,
        observation_std: list[float] | None = None,
        reward_scale: float = 1.0,
        has_ends: bool = True,
        actions_vary: bool = True,
        vision: Reference | None = None,
        memory: Literal["mdn-lstm", "gru", "rssm"] = "gru",
        hidden: int = 128,
        mixtures: int = 5,
        residual: bool = True,
        published_ends: bool = False,
        constant_reward: float | None = None,
        last_reward: bool = False,
        end_weight: float = 10.0,
        input_noise: float = 0.0,
        support: int = 0,
        untrained: bool = False,
        lr: float = 0.001,
        clip: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        one_of("memory", memory, MEMORIES)
        for name in ("hidden", "mixtures"):
            at_least(name, self.hparams[name], 1)
        at_least("input_noise", input_noise, 0)
        at_least("support", support, 0)
        above("end_weight", end_weight, 0)
        above("lr", lr, 0)
        above("clip", clip, 0)
        if published_ends and memory != "mdn-lstm":
            raise UsageError("published_ends is of the memory mdn-lstm: leave it out")
        if len(observation_shape) == 3 and vision is None:
            raise UsageError(
                "observations are pictures: name their encoder as --model.vision and --data.encoder"
            )
        self.vision: Any = None if vision is None else trained_model(vision)
        self.memory: Memory = _memory(self.hparams)
        self.memory.requires_grad_(not untrained)
        self.outcome = OutcomeHead(self.memory.readout_size, num_actions, last_reward=last_reward)
        self.register_buffer("mean", _row(observation_mean, features, 0.0), persistent=False)
        self.register_buffer("std", _row(observation_std, features, 1.0), persistent=False)
        bounds = torch.tensor([action_low, action_high], dtype=torch.float32)
        self.register_buffer("bounds", bounds, persistent=False)
        # Where dreams begin: first features of episodes of the training.
        self.register_buffer("starts", torch.zeros(STARTS, features))
        # The least and the greatest of the training: features, and rewards in the world's unit.
        whole = torch.tensor([[-_ENDLESS], [_ENDLESS]])
        self.register_buffer("limits", whole.repeat(1, features))
        self.register_buffer("paid", whole[:, 0].clone())
        self.support = Support(support, features) if support else None
        self._errors = Errors(self._imagined_steps)

    # What a model is

    @property
    def example_input(self) -> Tensor:
        """Two sequences of three steps: features and action."""
        count = self.memory.features + self.memory.actions
        return torch.linspace(-1, 1, 2 * 3 * count).view(2, 3, count)

    @torch.no_grad()
    def real_inputs(self) -> Tensor:
        """Dreams of random actions, (4, 8, F + A)."""
        random = generator(6)
        state = self.begin_dreams(4, random)
        steps = []
        for _ in range(8):
            features = self.memory.readout(state)[:, : self.memory.features]
            action = self.coded(self._random_actions(4, random))
            steps.append(torch.cat([features, action], -1))
            state, _, _ = self.dream(state, action, random, 0.0)
        return torch.stack(steps, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Expect the features after each step of sequences from the beginning.

        Args:
            inputs: (N, T, F + A): features as the memory reads them, and coded actions.

        Returns:
            Their means (N, T, F).
        """
        features, actions = inputs.split([self.memory.features, self.memory.actions], -1)
        expected = []
        state = self.memory.begin(features[:, 0])
        for step in range(actions.shape[1]):
            if step:
                state = self.memory.observe(state, features[:, step])
            expectation, state = self.memory.expected(state, actions[:, step])
            expected.append(expectation)
        return torch.stack(expected, 1)

    # Training

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self._parameter_groups())
        steps = max(1, optim.total_steps(self.trainer))

        def factor(step: int) -> float:
            return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))

        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor),
                "interval": "step",
            },
        }

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Scales that are the same at every step are far from their logarithms' start, and Adam
        moves a number by about its rate: they have a greater one."""
        lr, groups = self.hparams["lr"], {False: [], True: []}  # type: ignore[var-annotated]
        for name, each in self.named_parameters():
            if each.requires_grad:
                groups[name.endswith("log_scales")].append(each)
        return [
            {"params": found, "lr": lr * (_OF_SCALES if are_scales else 1)}
            for are_scales, found in groups.items()
            if found
        ]

    def on_fit_start(self) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "starts"):
            raise UsageError(
                "a world model learns from a dataset of episodes, such as episodes-folder"
            )
        self.starts.copy_(self.describe(data.starts(STARTS).to(self.device)))
        features, rewards = data.ranges()
        self.limits.copy_(self.describe(features.to(self.device)))
        self.paid.copy_(rewards)
        if self.support is not None:
            trails, worst = data.trails()
            self.support.keep([self.describe(each.to(self.device)) for each in trails], worst)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        features, actions = self._inputs(batch)
        before, after, mask = features[:, :-1], features[:, 1:], batch["mask"]
        noise = self.hparams["input_noise"] * torch.randn_like(before)
        losses, readouts = self.memory.losses(before + noise, actions, after)
        reward, end = self._scaled_outcomes(readouts, actions, batch["ends"])
        missed = (reward - batch["rewards"] / self.hparams["reward_scale"]).square()
        weight = reward.new_full((), self.hparams["end_weight"])
        ends = F.binary_cross_entropy_with_logits(
            end, batch["ends"], reduction="none", pos_weight=weight
        )
        parts = {"memory": losses, "reward": missed, "end": ends}
        means = {name: (part * mask).sum() / mask.sum() for name, part in parts.items()}
        if self.hparams["untrained"]:
            means["memory"] = means["memory"].detach()
        count = len(mask)
        for name, value in means.items():
            self.log(
                f"train/{name}_loss", value.detach(), on_step=False, on_epoch=True, batch_size=count
            )
        return torch.stack(list(means.values())).sum()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        torch.nn.utils.clip_grad_value_(self.parameters(), self.hparams["clip"])

    def _inputs(self, batch: Any) -> tuple[Tensor, Tensor]:
        return self.describe(batch["features"], batch.get("scales")), self.coded(batch["actions"])


def _memory(arguments: Any) -> Memory:
    sizes = (arguments["features"], arguments["num_actions"], arguments["hidden"])
    if arguments["memory"] == "gru":
        return DeterministicGRU(*sizes, residual=arguments["residual"])
    if arguments["memory"] == "rssm":
        return RSSM(*sizes)
    return MDNLSTM(
        *sizes, arguments["mixtures"], arguments["published_ends"], arguments["residual"]
    )


def _row(values: list[float] | None, count: int, otherwise: float) -> Tensor:
    return torch.tensor(values or [otherwise] * count, dtype=torch.float32)
