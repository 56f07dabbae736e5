"""C and M: a recurrent controller that learns by gradients through a recurrent model of the world.

The whole learning loop, each line with the place where it happens. An iteration is a training
batch; the replay holds all episodes so far.

    M(x_t, a_t, state) -> prediction of x_{t+1}                WorldNet
    C(x_t, state) -> action a_t from -1 to 1                   ControlNet
    replay = episodes of random actions                        cm.py            _gather
    for each iteration, until the pole is balanced:
      play episodes with C and noise, into the replay          pole_positions.py  play
      for each of model_updates:                               cm.py            _learn_model
        M predicts every x_{t+1} of the replay from what was before
        a step of Adam on (x_{t+1} - M)^2
      for each of controller_updates:                          cm.py            _learn_controller
        after up to max_prefix real steps, C acts in M for `horizon`, seeing M's predictions
        pain = angle^2 + 0.3 position^2 of what is predicted, cut where it is lost
        a step of Adam on C alone: the gradient of the pain flows through M into the actions
      validate: real episodes; the best C is kept

Schmidhuber: Making the world differentiable, report FKI-126-90, TU München, 1990, and An on-line
algorithm for dynamic reinforcement learning and planning in reactive environments, IJCNN 1990.
There M predicts the pain too, and both nets have tanh units; here pain is a known function of what
is observed, the nets have gates (Cho et al., arXiv:1406.1078), M predicts differences, and C learns
in M's continuation instead of beside the real inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from zoo.plugin import above, at_least
from zoo_rl.seeding import generator
from zoo_worldmodels import pole
from zoo_worldmodels.pole_pictures import drawn_balance, save_pole_gif
from zoo_worldmodels.pole_positions import Played, balance, join, play, random_actions

_EPISODES, _MODEL, _CONTROLLER = range(3)  # what a generator is for
_LOST = 4.0
"""The pain of a step in which the pole is lost, and no step has more: an imagination that explodes
would outweigh all others."""


class WorldNet(nn.Module):
    """M: predicts the next observation from the observation, the action and its own state.

    Args:
        observations: Numbers in an observation.
        hidden: Units.
    """

    def __init__(self, observations: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(observations + 1, hidden, batch_first=True)
        self.output = nn.Linear(hidden, observations)

    def forward(
        self, seen: Tensor, actions: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What follows each of T steps.

        Args:
            seen: Observations (N, T, O).
            actions: (N, T, 1).
            state: (1, N, hidden); zeros without.

        Returns:
            Predicted observations (N, T, O), and the state (1, N, hidden).
        """
        hidden, state = self.recurrent(torch.cat([seen, actions], dim=-1), state)
        return seen + self.output(hidden), state

    def step(self, seen: Tensor, action: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The same of one step: (N, O), (N, 1) and (N, hidden), in half the time."""
        state = _gru_step(self.recurrent, torch.cat([seen, action], dim=-1), state)
        return seen + self.output(state), state


class ControlNet(nn.Module):
    """C: an action from -1 to 1 for an observation and its own state.

    Args:
        observations: Numbers in an observation.
        hidden: Units.
    """

    def __init__(self, observations: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(observations, hidden, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def forward(self, seen: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Actions (N, T, 1) for observations (N, T, O), and the state (1, N, hidden)."""
        hidden, state = self.recurrent(seen, state)
        return self.output(hidden).tanh(), state

    def step(self, seen: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The same of one step: (N, O) and (N, hidden)."""
        state = _gru_step(self.recurrent, seen, state)
        return self.output(state).tanh(), state


def _gru_step(layer: nn.GRU, inputs: Tensor, state: Tensor) -> Tensor:
    weights: list[Tensor] = list(layer.parameters())  # of inputs, of state, and their biases
    return torch.gru_cell(inputs, state, *weights)


def pain(observations: Tensor) -> Tensor:
    """How bad it is to be seen at (position, angle), each 1 where the pole is lost: (...,).

    Args:
        observations: (..., 2), as ``pole.positions`` gives them.
    """
    position, angle = observations.unbind(-1)
    return (angle.square() + 0.3 * position.square()).clamp(max=_LOST)


class ControllerAndModel(LightningModule):
    """The controller C, the model M, and how they learn in turns.

    Args:
        observations: Numbers in an observation. Filled in from the data.
        model_hidden: Units of M.
        controller_hidden: Units of C.
        first_episodes: Episodes of random actions to begin with.
        episodes: Episodes that C plays in an iteration, with noise.
        random_share: Part of them that are played with random actions instead.
        noise: Standard deviation of the noise on C's actions.
        model_updates: Updates of M in an iteration.
        controller_updates: Updates of C in an iteration.
        horizon: Steps that C acts in M.
        max_prefix: Steps of real episodes, at most, after which it begins to; how many is drawn.
        lr: Learning rate of Adam, of both nets.
        clip: Norm that gradients are cut to.

    Raises:
        UsageError: an argument is out of its range.
    """

    monitor, monitor_mode = "val/steps", "max"
    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "imagination": "What M predicts, having seen the first steps alone, beside what happens.",
        "balance": "Where cart and pole are while C balances: test episodes, the worst first.",
    }
    conformance_arguments = {  # noqa: RUF012
        "model_hidden": 8,
        "controller_hidden": 6,
        "first_episodes": 6,
        "episodes": 4,
        "model_updates": 2,
        "controller_updates": 2,
        "horizon": 5,
        "max_prefix": 3,
    }
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "a batch is the number of an iteration, in which it plays itself",
    }

    def __init__(
        self,
        observations: int,
        model_hidden: int = 48,
        controller_hidden: int = 24,
        first_episodes: int = 32,
        episodes: int = 16,
        random_share: float = 0.125,
        noise: float = 0.2,
        model_updates: int = 60,
        controller_updates: int = 40,
        horizon: int = 50,
        max_prefix: int = 40,
        lr: float = 0.003,
        clip: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name in ("first_episodes", "episodes", "model_updates", "controller_updates"):
            at_least(name, self.hparams[name], 1)
        at_least("horizon", horizon, 1)
        at_least("max_prefix", max_prefix, 0)
        at_least("noise", noise, 0)
        above("lr", lr, 0)
        above("clip", clip, 0)
        self.automatic_optimization = False
        self.world = WorldNet(observations, model_hidden)
        self.controller = ControlNet(observations, controller_hidden)
        self.counters = {"env_steps": 0}
        self._replay: Played | None = None

    @property
    def example_input(self) -> Tensor:
        """Two sequences of three observations."""
        return torch.linspace(-0.5, 0.5, 2 * 3 * self.hparams["observations"]).view(2, 3, -1)

    def forward(self, seen: Tensor) -> Tensor:
        """Actions (N, T, 1) of C for sequences of observations (N, T, O) from the beginning."""
        actions: Tensor = self.controller(seen)[0]
        return actions

    def real_inputs(self) -> Tensor:
        """Observations of an episode that C plays: (1, T, O)."""
        with torch.no_grad():
            return balance(self.controller, pole.starts(1, generator(1)), 64)[1]

    # Training

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        lr = self.hparams["lr"]
        return [torch.optim.Adam(net.parameters(), lr) for net in (self.world, self.controller)]

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        iteration = int(batch)
        replay = self._gather(iteration)
        of_model, of_controller = self.optimizers()  # type: ignore[attr-defined]
        for update in range(self.hparams["model_updates"]):
            loss = self._model_loss(replay, iteration, update)
            self._update(of_model, self.world, loss)
        for update in range(self.hparams["controller_updates"]):
            random = generator(self._seed, iteration, _CONTROLLER, update)
            felt = self._imagined_pain(replay, random)
            self._update(of_controller, self.controller, felt)
        self.log("train/model_loss", loss.detach(), batch_size=1)
        self.log("train/pain", felt.detach(), batch_size=1)

    @property
    def _seed(self) -> int:
        return int(self.trainer.datamodule.seed)  # type: ignore[attr-defined]

    def _update(self, optimizer: Any, net: nn.Module, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=list(net.parameters()))
        clip_grad_norm_(net.parameters(), self.hparams["clip"])
        optimizer.step()

    @torch.no_grad()
    def _gather(self, iteration: int) -> Played:
        """Play the iteration's episodes into the replay."""
        random = generator(self._seed, iteration, _EPISODES)
        if self._replay is None:
            count = self.hparams["first_episodes"]
            new = play(random_actions(random), count, random)
        else:
            count = self.hparams["episodes"]
            by_chance = round(self.hparams["random_share"] * count)
            new = play(self._noisy(random), count - by_chance, random)
            if by_chance:
                new = join(new, play(random_actions(random), by_chance, random))
        self.counters["env_steps"] += int(new.lengths.sum())
        self.log("train/steps", new.lengths.float().mean(), batch_size=len(new.lengths))
        self._replay = new if self._replay is None else join(self._replay, new)
        return self._replay

    def _noisy(self, random: torch.Generator) -> Any:
        state: Tensor | None = None
        noise = self.hparams["noise"]

        def act(seen: Tensor) -> Tensor:
            nonlocal state
            actions, state = self.controller(seen[:, None].to(self.device), state)
            drawn: Tensor = noise * torch.randn(len(seen), generator=random)
            pushed: Tensor = (drawn + actions[:, 0, 0].cpu()).clamp(-1, 1)
            return pushed

        return act

    def _model_loss(self, replay: Played, iteration: int, update: int) -> Tensor:
        random = generator(self._seed, iteration, _MODEL, update)
        chosen = torch.randperm(len(replay.lengths), generator=random)[:128]
        longest = int(replay.lengths[chosen].max())
        seen = replay.observations[chosen, : longest + 1].to(self.device)
        actions = replay.actions[chosen, :longest].to(self.device)
        mask = replay.mask[chosen, :longest].to(self.device)
        predicted, _ = self.world(seen[:, :-1], actions[..., None])
        # Differences between steps are small numbers, in which little would be left to learn.
        errors = (predicted - seen[:, 1:]).square().sum(-1) * 1000
        loss: Tensor = (errors * mask).sum() / mask.sum()
        return loss

    def _imagined_pain(self, replay: Played, random: torch.Generator) -> Tensor:
        longest = min(self.hparams["max_prefix"], int(replay.lengths.max()) - 1)
        started = int(torch.randint(longest + 1, (), generator=random))
        long_enough = (replay.lengths > started).nonzero()[:, 0]
        chosen = long_enough[torch.randint(len(long_enough), (64,), generator=random)]
        seen = replay.observations[chosen, : started + 1].to(self.device)
        actions = replay.actions[chosen, :started, None].to(self.device)
        felt: Tensor = self.imagined(seen, actions, self.hparams["horizon"])[1]
        return felt.mean()

    def imagined(self, seen: Tensor, actions: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """C acting in M, after steps that were really made.

        Args:
            seen: Observations (N, 1 + T, O) from the beginning.
            actions: What was done after each of them but the last, (N, T, 1).
            steps: How many C makes.

        Returns:
            Predicted observations (N, steps, O) and their pain (N, steps).
        """
        count = len(seen)
        of_world = seen.new_zeros(count, self.hparams["model_hidden"])
        of_controller = seen.new_zeros(count, self.hparams["controller_hidden"])
        if actions.shape[1]:
            with torch.no_grad():
                of_world = self.world(seen[:, :-1], actions)[1][0]
            of_controller = self.controller(seen[:, :-1])[1][0]
        now = seen[:, -1]
        predicted = []
        for _ in range(steps):
            action, of_controller = self.controller.step(now, of_controller)
            now, of_world = self.world.step(now, action, of_world)
            predicted.append(now)
        observations = torch.stack(predicted, dim=1)
        return observations, pain(observations)

    # Evaluation

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("val", int(batch))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("test", int(batch))

    def _measure(self, stage: str, number: int) -> None:
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        _, _, steps = balance(self.controller, data.starts(stage, number), data.max_steps)
        count = len(steps)
        self.log(f"{stage}/steps", steps.float().mean(), prog_bar=True, batch_size=count)
        solved = (steps == data.max_steps).float().mean()
        self.log(f"{stage}/solved", solved, batch_size=count)
        if stage == "test" and self._experience:  # a bundle does not know what it was trained by
            self.log("test/env_steps", float(self._experience), batch_size=count)

    @property
    def _experience(self) -> int:
        """Steps that were played to train what is measured."""
        return int(self.counters["env_steps"])

    # What a checkpoint carries beside the nets

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["replay"] = self._replay.state() if self._replay else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("replay")
        self._replay = Played(**state) if state else None

    # Plots and prediction

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """C at work, and M's imagination beside what happens.

        Args:
            batch: As of the test loader.
        """
        states, seen, steps = balance(self.controller, pole.starts(20, generator(2, 0)), 1000)
        imagined, _ = self.imagined(
            seen[:, :1], seen.new_zeros(len(seen), 0, 1), min(100, seen.shape[1] - 1)
        )
        return {
            "balance": drawn_balance(states, steps),
            "imagination": drawn_imagination(seen.cpu(), imagined.cpu()),
        }

    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 3,
        max_steps: int = 1000,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Balance the pole, and record it.

        Args:
            folder: Where a GIF of each episode goes; None for none.
            episodes: How many.
            max_steps: Steps of 0.02 s after which an episode is over.
            record_video: Write the GIFs, of the first 500 steps.
            seed: Another seed gives other starts.

        Returns:
            A row an episode: how long the pole was balanced.

        Raises:
            UsageError: a number is out of its range.
        """
        at_least("--episodes", episodes, 1)
        at_least("--max-steps", max_steps, 1)
        first = pole.starts(episodes, generator(seed, 3))
        states, _, steps = balance(self.controller, first, max_steps)
        if folder is not None and record_video:
            for number in range(episodes):
                path = folder / f"episode-{number:02d}.gif"
                save_pole_gif(states[number, : int(steps[number]) + 1][:500], path)
        return [
            {
                "episode": number,
                "steps": int(steps[number]),
                "balanced": int(steps[number]) == max_steps,
            }
            for number in range(episodes)
        ]


def drawn_imagination(seen: Tensor, imagined: Tensor) -> Figure:
    """Observations of the first episode, and what M imagined from its first step on.

    Args:
        seen: (N, T + 1, 2).
        imagined: (N, T, 2).
    """
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    for axes, index, name in zip(
        figure.subplots(2, 1, sharex=True), range(2), ("position", "angle"), strict=True
    ):
        steps = range(1, imagined.shape[1] + 1)
        axes.plot(steps, seen[0, 1 : imagined.shape[1] + 1, index], label="real")
        axes.plot(steps, imagined[0, :, index], "--", label="imagined by M")
        axes.set_ylabel(f"{name} (1 = lost)")
        axes.grid(alpha=0.3)
    axes.set_xlabel("steps of 0.02 s")
    axes.legend(fontsize=8)
    return figure
