"""Upside-Down RL: a behavior function trained by what episodes achieved, and played by commands.

The whole learning loop, each line with the file of this package where it happens. Lightning's
Trainer runs epochs and updates, on batches that CommandedEpisodes plays and draws.

    B(s, d_r, d_h) -> distribution of actions             behavior.py, action_distributions.py
    replay = {}                                           data.py      CommandedEpisodes
    for each epoch, until max_env_steps are played:       zoo_rl/env_steps.py
      for each iteration of the epoch:                    zoo_rl/loading.py, data.py  gather
        # 1. play
        if replay is empty:
          play warmup_episodes with uniform actions       data.py      gather
        else:
          M, S = mean, deviation of the last_few best     commands.py  command_range
                 returns; H = mean of their lengths
          for each of episodes_per_iteration:             zoo_rl/rollout.py  rollout
            d_r, d_h ~ uniform(M, M + S), H               commands.py  exploratory_commands
            until the episode ends:
              a ~ B(s, d_r, d_h)                          actor.py     CommandedActor
              s, r = environment.step(a)                  zoo_rl/vector
              d_r, d_h = min(d_r - r, max_return),        commands.py  updated_commands
                         max(d_h - 1, 1)
        # 2. keep
        replay = the replay_size highest returns so far   replay.py    add_episodes
        # 3. learn
        for each of updates_per_iteration:                data.py      draw
          for each of batch_size:
            an episode of the replay, a step t of it      replay.py    trailing_segments
            d_r, d_h = sum of its rewards from t on,      replay.py    training_pairs
                       number of its steps from t on
          loss = mean of -log B(s_t, d_r, d_h)[a_t]       agent.py     training_step
          a step of Adam                                  agent.py     configure_optimizers
      validate: play with the command M, H                agent.py     validation_step

Srivastava, Shyam, Mutz, Jaśkowski, Schmidhuber: Training Agents using Upside-Down Reinforcement
Learning, arXiv:1912.02877v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import UsageError, attached_trainer, one_of, optim, rank_zero_print
from zoo_rl.env_steps import MaxEnvSteps
from zoo_rl.environments import require_trusted
from zoo_rl.episodes import Episodes
from zoo_rl.evaluation import return_metrics
from zoo_rl.plots import commanded_and_achieved
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_rl.vector import EpisodicVectorEnv, make_vec
from zoo_udrl.action_distributions import ActionDistribution, CategoricalActions, GaussianActions
from zoo_udrl.actor import CommandedActor
from zoo_udrl.behavior import CONDITIONINGS, BehaviorFunction
from zoo_udrl.playing import play_commanded

_SPACES = ("observation_shape", "actions", "num_actions", "action_low", "action_high")
_LOGGED = 10  # every tenth batch's loss goes into the epoch's mean: noting one takes its time
_EVALUATION = 20_191_205  # a seed for the actions of evaluation episodes


class UpsideDownAgent(LightningModule):
    """An agent of Upside-Down Reinforcement Learning, its loss and its metrics.

    Learns by supervision alone: which action was taken where the given return came in the given
    number of steps. Evaluation commands the lower end of the exploratory range and samples the
    actions (arXiv:1912.02877v1).

    Args:
        environment: gymnasium's id. Filled in from the data.
        observation_shape: Lengths of an observation. Filled in from the data.
        actions: ``discrete`` or ``continuous``. Filled in from the data.
        num_actions: Actions to choose from, or numbers in one. Filled in from the data.
        action_low: Bounds of continuous actions. Filled in from the data.
        action_high: Bounds of continuous actions. Filled in from the data.
        max_episode_steps: The environment's limit, 0 for none. Filled in from the data.
        hidden: Units of the fully connected layers; 32, 128, 128, 128 without.
        channels: Of the convolutions, where observations are images; 32, 48, 96, 128 without.
        conditioning: ``gated`` multiplies features by gates that the command opens, as published;
            ``bilinear`` lets the command make the weights of a layer, the later variant.
        return_scale: A desired return is multiplied by it before it enters the net.
        horizon_scale: A desired horizon is multiplied by it before it enters the net.
        max_return: The highest return that the environment allows, which desired returns are cut
            to; None for no limit.
        lr: Learning rate of Adam.
        greedy: Evaluate with the likeliest actions instead of sampled ones.
    """

    task_arguments = ("environment", *_SPACES, "max_episode_steps")
    plot_captions = {  # noqa: RUF012  # read, never changed
        "commands": "A point an episode: the return that was asked for, and the one that came. "
        "The worst episodes lie farthest from the line.",
    }
    conformance_arguments = {"hidden": [16, 32], "lr": 0.01}  # noqa: RUF012

    command: Tensor
    beginning: Tensor
    extremes: Tensor

    def __init__(
        self,
        environment: str,
        observation_shape: list[int],
        actions: str,
        num_actions: int,
        action_low: list[float],
        action_high: list[float],
        max_episode_steps: int = 0,
        hidden: list[int] | None = None,
        channels: list[int] | None = None,
        conditioning: str = "gated",
        return_scale: float = 0.02,
        horizon_scale: float = 0.02,
        max_return: float | None = None,
        lr: float = 0.001,
        greedy: bool = False,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        hidden = [32, 128, 128, 128] if hidden is None else hidden
        channels = [32, 48, 96, 128] if channels is None else channels
        one_of("conditioning", conditioning, CONDITIONINGS)
        if not hidden or min(hidden) < 1:
            raise UsageError(
                f"hidden has to name one layer or more, each of 1 unit or more, not {list(hidden)}"
            )
        if len(observation_shape) not in (1, 3):
            raise UsageError(f"observations of shape {observation_shape} are not supported")
        require_trusted(environment)
        self.environment, self.max_return = environment, max_return
        self.observation_shape, self.max_episode_steps = list(observation_shape), max_episode_steps
        self.lr, self.greedy = lr, greedy
        self.distribution: ActionDistribution = (
            CategoricalActions(num_actions)
            if actions == "discrete"
            else GaussianActions(action_low, action_high)
        )
        self.network = BehaviorFunction(
            observation_shape,
            self.distribution.outputs,
            hidden,
            channels,
            conditioning,
            return_scale,
            horizon_scale,
        )
        # What training has seen, as a bundle carries it: the command of evaluation, then the
        # random_baseline and the return_range of the data. The last two keep the names that
        # published weights have for them.
        self.register_buffer("command", torch.tensor([0.0, 1.0]))
        self.register_buffer("beginning", torch.tensor([0.0, 1.0]))
        self.register_buffer("extremes", torch.tensor([0.0, 0.0]))
        self._played: list[Episodes] = []
        self._own_envs: EpisodicVectorEnv | None = None

    # What a model is

    @property
    def head(self) -> tuple[str, ...]:
        """What `zoo finetune` replaces where there are other actions."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        """Two observations, each followed by a command."""
        count = torch.Size(self.observation_shape).numel()
        observations = torch.arange(2 * count).view(2, count) % 7 / 7
        return torch.cat([observations, torch.tensor([[10.0, 20.0], [3.0, 5.0]])], dim=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Describe the actions.

        Args:
            inputs: float32 (N, O + 2): the observation in a row, the desired return, the desired
                horizon in steps.

        Returns:
            Logits (N, num_actions) of discrete actions; of continuous ones (N, 2 num_actions),
            means and logarithms of standard deviations, for actions mapped to -1 to 1.
        """
        observations = inputs[:, :-2].reshape(-1, *self.observation_shape)
        parameters: Tensor = self.network(observations, inputs[:, -2:])
        return parameters

    def real_inputs(self) -> Tensor:
        """Observations of an episode, each with its command: float32 (N, O + 2), N up to 64."""
        act = self.actor(_single(self.command)[None], generator(_EVALUATION))
        rows: list[Tensor] = []

        def note(observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            actions = act(observations, numbers, rewards)
            if len(rows) < 64:
                rows.append(torch.cat([act.observed.flatten(1).float(), act.commands], dim=1))
            return actions

        rollout(self._envs(), note, episode_seeds("val", 1))
        return torch.cat(rows)

    # Training

    def choose_accelerator(self, data: Any) -> str:
        """``cuda`` where observations are images and there is a GPU, and ``cpu`` otherwise.

        A fixed rule, so that a recipe does the same on a machine every time. An agent asks its net
        once a step, for a few observations at a time. The small nets of vector observations answer
        in less time than a GPU takes to be asked; convolutions do not.

        Args:
            data: What it is trained on; the rule does not depend on it.
        """
        if not torch.cuda.is_available():
            return "cpu"
        if len(self.observation_shape) == 3:
            return "cuda"
        rank_zero_print(
            "udrl trains nets of vector observations on the CPU; --trainer.accelerator gpu takes "
            "the GPU"
        )
        return "cpu"

    def configure_callbacks(self) -> list[Callback]:
        return [MaxEnvSteps()]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr, fused=optim.may_fuse(self))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        observations, commands, actions = batch
        parameters = self.network(observations, commands)
        loss = self.distribution.cross_entropy(parameters, actions).mean()
        if batch_idx % _LOGGED == 0:
            self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(actions))
        return loss

    def on_train_epoch_end(self) -> None:
        self.log_dict(getattr(self._data, "metrics", {}))
        self._note_experience()  # also where nothing is validated

    def _note_experience(self) -> None:
        """What training has seen, into the buffers that a bundle carries."""
        data = self._data
        if getattr(data, "replay", None) is not None:
            self.command.copy_(data.evaluation_command())
            self.beginning.copy_(torch.tensor(data.random_baseline))
            self.extremes.copy_(torch.tensor(data.return_range))

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    # Acting

    def actor(
        self, commands: Tensor, random: torch.Generator, greedy: bool = False
    ) -> CommandedActor:
        """What plays one episode for each command.

        Args:
            commands: float32 (N, 2): desired returns and horizons at the beginning.
            random: Where actions are drawn from, on the CPU.
            greedy: Take the likeliest actions instead.
        """

        def choose(observations: Tensor, now: Tensor) -> Tensor:
            device = self.device
            parameters = self.network(observations.to(device), now.to(device)).float().cpu()
            if greedy:
                return self.distribution.mode(parameters)
            return self.distribution.sample(parameters, random)

        return CommandedActor(choose, commands, self.max_return, self.observation_shape[0])

    def play_episodes(
        self, seeds: Sequence[int], commands: Tensor, greedy: bool | None = None
    ) -> Episodes:
        """Play an episode of each seed by its command.

        Args:
            seeds: What the environment is reset with.
            commands: float32 (N, 2).
            greedy: Take the likeliest actions; as the constructor says by default.
        """
        random = generator(_EVALUATION, *seeds[:1])
        act = self.actor(commands, random, self.greedy if greedy is None else greedy)
        return rollout(self._envs(), act, seeds)

    def _envs(self) -> EpisodicVectorEnv:
        data = self._data if attached_trainer(self) else None
        if data is not None:
            self._refuse_other_spaces(data.facts)
            envs: EpisodicVectorEnv = data.envs
            return envs
        if self._own_envs is None:
            self._own_envs = make_vec(
                self.environment,
                20 if len(self.observation_shape) == 1 else 4,
                max_episode_steps=self.max_episode_steps or None,
                screen_size=self.observation_shape[-1],
            )
        return self._own_envs

    def _refuse_other_spaces(self, facts: Mapping[str, Any]) -> None:
        for name in _SPACES:
            if facts[name] != self.hparams[name]:
                raise UsageError(
                    f"{name} of {facts['environment']!r} is {facts[name]}, that of the agent, "
                    f"which was trained in {self.environment!r}, is {self.hparams[name]}: it plays "
                    "in environments of the same spaces"
                )

    # Evaluation

    def on_validation_epoch_start(self) -> None:
        self._played = []
        self._note_experience()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._play(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_played("val")

    def on_test_epoch_start(self) -> None:
        self._played = []

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._play(batch)

    def on_test_epoch_end(self) -> None:
        self._log_played("test")

    def _play(self, batch: Any) -> None:
        (seeds,) = batch
        commands = _single(self.command).expand(len(seeds), 2)
        self._played.append(self.play_episodes(seeds.tolist(), commands))

    def _log_played(self, stage: str) -> None:
        returns = torch.cat([episodes.returns for episodes in self._played])
        lengths = torch.cat([episodes.lengths for episodes in self._played])
        metrics = {
            **return_metrics(returns),
            "length": float(lengths.double().mean()),
            "commanded_return": float(self.command[0]),
            "commanded_horizon": float(self.command[1]),
        }
        for name, value in metrics.items():
            self.log(f"{stage}/{name}", value, prog_bar=name == "return")

    # Plots and prediction

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """What was asked for and what came, from the level of random episodes to that of the best.

        Args:
            batch: As of the test loader.
        """
        seeds = batch[0].tolist()
        begin, end = _single(self.beginning)[None], _single(self.command)[None]
        fractions = torch.linspace(0, 1, len(seeds), dtype=begin.dtype)[:, None]
        commands = torch.lerp(begin, end, fractions)
        episodes = self.play_episodes(seeds, commands)
        return {
            "commands": commanded_and_achieved(commands[:, 0].tolist(), episodes.returns.tolist())
        }

    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 10,
        command_return: float | None = None,
        command_horizon: int | None = None,
        greedy: bool = False,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Play episodes by one command, and record them.

        Args:
            folder: Where a GIF of each episode goes; None for none.
            episodes: How many.
            command_return: The desired return; that of evaluation by default.
            command_horizon: The desired horizon, in steps; that of evaluation by default.
            greedy: Take the likeliest actions instead of sampling them.
            record_video: Write the GIFs.
            seed: Another seed gives other episodes.

        Returns:
            A row an episode: what was commanded, and what was achieved.

        Raises:
            UsageError: the command is out of the range that was trained, or the environment draws
                no images.
        """
        return play_commanded(
            self, folder, episodes, command_return, command_horizon, greedy, seed, record_video
        )


def _single(values: Tensor) -> Tensor:
    """In single precision and on the CPU, where episodes are played, whatever the net has."""
    return values.cpu().float()
