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
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import (
    Reference,
    UsageError,
    above,
    at_least,
    one_of,
    optim,
    plots,
    trained_model,
)
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_worldmodels.heads import OutcomeHead
from zoo_worldmodels.horizon import (
    Errors,
    drawn_beside,
    drawn_calibration,
    drawn_dreams,
    drawn_horizon,
)
from zoo_worldmodels.memories.base import Memory, State
from zoo_worldmodels.memories.recurrent import MDNLSTM, DeterministicGRU
from zoo_worldmodels.memories.rssm import RSSM
from zoo_worldmodels.mixtures import drawn
from zoo_worldmodels.support import Support

MEMORIES = ("mdn-lstm", "gru", "rssm")
STARTS = 64
"""Beginnings of episodes that a model keeps, for its dreams to begin with."""


_ENDLESS = 1e30
_OF_SCALES = 30
"""How much greater the learning rate of scales is that no step has its own of."""


class WorldModel(LightningModule):
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

    monitor, monitor_mode = "val/nll", "min"
    plot_captions = {  # noqa: RUF012  # read, never changed
        "beside": "What happened in a segment of the test, and what the model imagines from the "
        "dotted line on, seeing nothing but the actions; standardized.",
        "horizon": "How far imagination is from what happens, the longer it sees nothing.",
        "calibration": "How much of what comes lies in the intervals that the model predicts; "
        "below the line it is too sure of itself.",
    }
    conformance_arguments = {"hidden": 16}  # noqa: RUF012

    mean: Tensor
    std: Tensor
    bounds: Tensor
    starts: Tensor
    limits: Tensor
    paid: Tensor

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

    # The world as numbers

    def describe(self, features: Tensor, scales: Tensor | None = None) -> Tensor:
        """Features as the memory reads them, (..., F).

        Args:
            features: As the data give them, (..., F): observations, or means of codes.
            scales: Standard deviations of codes, which are drawn then.
        """
        if scales is not None:
            features = features + scales * torch.randn_like(scales)
        described: Tensor = (features - self.mean) / self.std
        return described

    @torch.no_grad()
    def seen(self, observations: Tensor) -> Tensor:
        """Features of observations as the world gives them, (N, F).

        Args:
            observations: (N, O), or pictures uint8 (N, C, H, W).
        """
        if self.vision is not None:
            return self.describe(self.vision.encode(observations.to(self.device))[0])
        return self.describe(observations.to(self.device, self.mean.dtype))

    def coded(self, actions: Tensor) -> Tensor:
        """Actions as the memory reads them, (..., A): one-hot, or from -1 to 1 by their bounds.

        Args:
            actions: int64 (...,), or (..., A).
        """
        if self.hparams["actions"] == "discrete":
            return F.one_hot(actions, self.hparams["num_actions"]).to(self.mean.dtype)
        low, high = self.bounds.to(actions.dtype)
        coded: Tensor = 2 * (actions - low) / (high - low) - 1
        return coded

    def outcomes(self, readout: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards, in the world's own unit, and logits of the end, of steps: (...,) each.

        Args:
            readout: What the memory gives after the step, (..., R).
            action: As the memory reads it, (..., A).
        """
        reward, end = self._scaled_outcomes(readout, action)
        return reward * self.hparams["reward_scale"], end

    def _scaled_outcomes(
        self, readout: Tensor, action: Tensor, ends: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        published: Tensor | None = None
        if isinstance(self.memory, MDNLSTM) and self.memory.ends:
            published = self.memory.end_logits(readout)
        reward, end = self.outcome(readout, action, published if ends is None else ends)
        end = end if published is None else published
        if self.hparams["constant_reward"] is not None:
            reward = torch.full_like(
                end, self.hparams["constant_reward"] / self.hparams["reward_scale"]
            )
        if not self.hparams["has_ends"]:
            end = torch.full_like(end, -100.0)
        return reward, end

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

    # Evaluation

    def on_validation_epoch_start(self) -> None:
        self._errors = Errors(self._imagined_steps)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_errors("val")

    def on_test_epoch_start(self) -> None:
        self._errors = Errors(self._imagined_steps)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch)

    def on_test_epoch_end(self) -> None:
        self._log_errors("test")

    _context, _imagined_steps = 10, 50

    def _drawn_beside(self, batch: Any) -> Figure:
        """What came in the longest segment of a batch, and what is imagined once all but the
        actions is hidden."""
        row = int(batch["mask"].sum(1).argmax())
        features = self.describe(batch["features"][row : row + 1])
        actions = self.coded(batch["actions"][row : row + 1])
        steps = int(batch["mask"][row].sum())
        context = min(self._context, steps - 1)
        state = self.memory.begin(features[:, 0])
        for step in range(context):
            _, advanced = self.memory.expected(state, actions[:, step])
            state = self.memory.observe(advanced, features[:, step + 1])
        imagined = self.imagined(state, actions[:, context:steps])[0]
        return drawn_beside(features[0, : steps + 1].cpu(), imagined.cpu(), context)

    def _log_errors(self, stage: str) -> None:
        for name, value in self._errors.metrics(self.hparams["has_ends"]).items():
            self.log(f"{stage}/{name}", value, prog_bar=name == "nll")

    def _measure(self, batch: Any) -> None:
        """See a segment step by step, then imagine what lies behind its first ten steps."""
        features = self.describe(batch["features"])
        actions, mask = self.coded(batch["actions"]), batch["mask"]
        state = self.memory.begin(features[:, 0])
        losses, below, ends, rewards = [], [], [], []
        imagining: State | None = None
        for step in range(actions.shape[1]):
            if step == self._context:
                imagining = state
            outlook, advanced = self.memory.predict(state, actions[:, step])
            after = features[:, step + 1]
            losses.append(-outlook.log_prob(after))
            below.append(outlook.cdf(after))
            state = self.memory.observe(advanced, after)
            reward, end = self._scaled_outcomes(self.memory.readout(state), actions[:, step])
            ends.append(end)
            rewards.append(
                (reward - batch["rewards"][:, step] / self.hparams["reward_scale"]).square()
            )
        self._errors.add_one_step(torch.stack(losses, 1), torch.stack(below, 1), mask)
        self._errors.add_outcomes(
            torch.stack(ends, 1), batch["ends"], torch.stack(rewards, 1), mask
        )
        if imagining is not None:
            rest = slice(self._context, self._context + self._imagined_steps)
            found = self.imagined(imagining, actions[:, rest])
            squares = (found - features[:, 1:][:, rest]).square().mean(-1)
            short = self._imagined_steps - squares.shape[1]
            self._errors.add_imagined(F.pad(squares, (0, short)), F.pad(mask[:, rest], (0, short)))

    def imagined(self, state: State, actions: Tensor) -> Tensor:
        """Go on without seeing anything, always with what is expected: features (N, T, F).

        Args:
            state: After what was seen.
            actions: Coded, (N, T, A).
        """
        found = []
        for step in range(actions.shape[1]):
            features, state = self.memory.expected(state, actions[:, step])
            found.append(features)
            state = self.memory.observe(state, features)
        return torch.stack(found, 1)

    def dream(
        self,
        state: State,
        action: Tensor,
        random: torch.Generator | None = None,
        temperature: float | Tensor = 1.0,
        copies: int = 1,
        draw_ends: bool = False,
    ) -> tuple[State, Tensor, Tensor]:
        """A dreamt step, in which neither features nor reward leave the range that the log has:
        beyond it the nets know nothing, and what they say grows without bounds.

        Args:
            state: Of N dreams.
            action: Coded, (N, A).
            random: Where chances are drawn from, on the CPU.
            temperature: From 0, where what is likeliest comes; 1 as learnt. Of all dreams, or of
                each, (N,).
            copies: As of ``Mixture.sample``.
            draw_ends: Draw ends by their probability. As ends weigh more in training
                (``end_weight``), they come rather too often than too seldom.

        Returns:
            The state after it, the rewards (N,), and whether it was the last step, bool (N,): where
            the end is likelier than not, or drawn.
        """
        _, after = self.memory.imagine(state, action, random, temperature, copies, self.limits)
        readout = self.memory.readout(after)
        reward, end = self.outcomes(readout, action)
        ends = end > 0
        if draw_ends:
            ends = drawn(torch.rand, end.shape, random, copies).to(end) < end.sigmoid()
            reward, _ = self._scaled_outcomes(readout, action, ends.to(end))
            reward = reward * self.hparams["reward_scale"]
        return after, reward.clamp(self.paid[0], self.paid[1]), ends

    def halt_reward(self, halt: bool, given: float | None) -> float | None:
        """At which reward dreams end that leave the log; None where they go on.

        Args:
            halt: Whether they end.
            given: The reward; the least return of an episode of the log without.

        Raises:
            UsageError: they are to end, and no states of the log were kept.
        """
        if not halt:
            return None
        if self.support is None:
            raise UsageError(
                "the world model keeps no states of its log, so that its dreams cannot tell that "
                "they leave it: train it with --model.support 2000, or omit halt"
            )
        return float(self.support.worst) if given is None else given

    def halted(
        self, state: State, rewards: Tensor, ends: Tensor, halt_reward: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The outcome of a dreamt step where dreams end that leave the log.

        Args:
            state: After the step.
            rewards: Of it, (N,).
            ends: Whether it was the last anyway, bool (N,).
            halt_reward: Of a step that leaves the log.

        Returns:
            Rewards, ends, and which dreams have left the log, (N,) each.
        """
        assert self.support is not None
        features = self.memory.readout(state)[:, : self.memory.features]
        left = self.support.left(features) & ~ends
        return rewards.masked_fill(left, halt_reward), ends | left, left

    def begin_dreams(self, count: int, random: torch.Generator) -> State:
        """The state of dreams that begin as episodes of the training did."""
        chosen = torch.randint(len(self.starts), (count,), generator=random)
        return self.memory.begin(self.starts[chosen.to(self.starts.device)])

    @torch.no_grad()
    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 4,
        temperature: float = 1.0,
        max_steps: int = 200,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Dream of random actions.

        Args:
            folder: Where a drawing of the dreamt features goes, and a film of as many real
                episodes, each beside the dream of the same actions; None for none.
            episodes: How many dreams.
            temperature: From 0, where what is likeliest comes.
            max_steps: Steps after which a dream is cut.
            record_video: Write the films, where the model's environment is known.
            seed: Another seed gives other dreams.

        Returns:
            A row a dream: its return, its length and whether the model ended it.

        Raises:
            UsageError: a number is out of its range.
        """
        at_least("--episodes", episodes, 1)
        at_least("--temperature", temperature, 0)
        at_least("--max-steps", max_steps, 1)
        random = generator(seed, 5)
        state = self.begin_dreams(episodes, random)
        returns, lengths = torch.zeros(episodes), torch.zeros(episodes, dtype=torch.int64)
        alive = torch.ones(episodes, dtype=torch.bool)
        path = []
        for _ in range(max_steps):
            path.append(self.memory.readout(state)[:, : self.memory.features].cpu())
            action = self.coded(self._random_actions(episodes, random))
            state, rewards, ends = self.dream(state, action, random, temperature)
            returns += rewards.cpu() * alive
            lengths += alive
            alive &= ~ends.cpu()
        if folder is not None:
            plots.save(drawn_dreams(torch.stack(path, 1), lengths), folder / "dreams.png")
        if folder is not None and record_video and self.hparams["environment"]:
            self._film(folder, episodes, temperature, max_steps, seed)
        return [
            {
                "episode": number,
                "return": round(float(returns[number]), 4),
                "length": int(lengths[number]),
                "ended": not bool(alive[number]),
            }
            for number in range(episodes)
        ]

    def _film(self, folder: Path, episodes: int, temperature: float, steps: int, seed: int) -> None:
        """Films of real episodes of random actions, each beside its dream."""
        from zoo_worldmodels.acting import real_world
        from zoo_worldmodels.beside import film

        random = generator(seed, 6)

        def act(seen: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            return np.asarray(self._random_actions(len(seen), random).cpu())

        cut = self.hparams["max_episode_steps"] or steps
        envs = real_world({**self.hparams, "max_episode_steps": min(cut, steps)}, 1)
        try:
            for number, each in enumerate(episode_seeds("test", episodes, seed)):
                path = folder / f"beside-{number:02d}.gif"
                film(self, rollout(envs, act, [each]), path, temperature, seed)
        finally:
            envs.close()

    def _random_actions(self, count: int, random: torch.Generator) -> Tensor:
        number = self.hparams["num_actions"]
        if self.hparams["actions"] == "discrete":
            return torch.randint(number, (count,), generator=random).to(self.device)
        low, high = (torch.tensor(self.hparams[name]) for name in ("action_low", "action_high"))
        drawn = torch.rand(count, number, generator=random)
        return (low + (high - low) * drawn).to(self.device)

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Error by horizon and calibration, of the whole test, and reality beside imagination.

        Args:
            batch: As of the test loader.
        """
        levels, inside = self._errors.calibration
        return {
            "beside": self._drawn_beside(batch),
            "horizon": drawn_horizon(self._errors.by_horizon),
            "calibration": drawn_calibration(levels.tolist(), inside.tolist()),
        }


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
