"""A goal-conditional policy trained by policy gradients with and without hindsight.

The whole learning loop, each line with the file of this package where it happens. Lightning's
Trainer runs epochs and optimizer steps, on batches that EpisodeBatches plays.

    pi(a | s, g), the softmax of a net                   networks/goal_net.py
    for each epoch, for each of batches_per_epoch:       data/batches.py EpisodeBatches
      # 1. play N = batch_size episodes i with the policy as it is
      for each i:                                        episodes.py  rollout
        s_1, g_i ~ environment                           environments/  reset
        for t = 1, 2, ... until g_i is reached, t < T:
          a_t ~ pi(s_t, g_i)                             model.py  actor
          s_t+1 ~ environment                            environments/  step
          r_t = T - t if s_t+1 reaches g_i, else 0       episodes.py  rollout
      # 2. count the same episodes for every goal that any of them reached
      G = the goals that the states s_it are             policy_gradient/hindsight.py
      for each i, t, and g in G:
        r_itg = T - t where i first reaches g, else 0    policy_gradient/hindsight.py
        p_itg = pi(a_it | s_it, g)                       networks/state_goal_pairs.py
      # 3. estimate the gradient
      w_itg = product over k <= t of p_ikg / p_ikg_i     policy_gradient/estimators.py  hpg
      w_itg = w_itg / sum over j of w_jtg                ... or weighted_hpg
      b_itg = what the baseline net expects, or 0        policy_gradient/baseline.py
      c_itg = sum over k >= t of w_ikg r_ikg             policy_gradient/estimators.py
              - w_itg b_itg
      objective = sum of c_itg log pi(a_it | s_it, g)    policy_gradient/objectives.py
      # 4. learn
      loss = - objective + loss of the baseline net      model.py  training_step
      a step of Adam                                     model.py  configure_optimizers
    evaluate: play greedily to drawn goals               model.py  validation_step

Without hindsight (gcpg) steps 2 and 3 know one goal for each episode, its own: c_it is the sum of
its rewards from t on, less the baseline.

Rauber, Ummadisingu, Mutz, Schmidhuber: Hindsight Policy Gradients, ICLR 2019 (arXiv:1711.06006).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import (
    DeviceMean,
    UsageError,
    at_least,
    attached_trainer,
    optim,
    rank_zero_print,
    rename_keys,
)
from zoo_hpg import playing
from zoo_hpg.data.module import GoalEpisodes
from zoo_hpg.environments import make_environment
from zoo_hpg.episodes import Actor, Episodes
from zoo_hpg.networks.frozen import FrozenGoalNet
from zoo_hpg.networks.goal_net import GoalNet, log_probabilities
from zoo_hpg.plots import draw_episodes, draw_learning_curve
from zoo_hpg.policy_gradient.baseline import baseline_loss
from zoo_hpg.policy_gradient.hindsight import active_goals
from zoo_hpg.policy_gradient.objectives import gcpg_objective, hindsight_objective


class HindsightPolicyGradient(LightningModule):
    """A policy over discrete actions, of a state and a goal.

    Rauber, Ummadisingu, Mutz, Schmidhuber: Hindsight Policy Gradients, ICLR 2019. An optimizer
    step takes a batch of episodes played by the policy as it is. The estimators with hindsight
    learn from it for every goal that any of its episodes reached. The baseline is a net of state,
    goal and time, trained on the goals pursued, towards the reward and its own value a step later.

    Args:
        environment: The environment's name and arguments. Filled in from the data.
        observation_shape: Of one observation. Filled in from the data.
        goal_size: Numbers in a goal. Filled in from the data.
        action_names: The actions' names. Filled in from the data.
        horizon: T; reaching a goal by the t-th action pays T - t. Filled in from the data.
        tolerance: A goal is reached where the achieved one is nearer. Filled in from the data.
        optimal_return: Mean return of the best policy, for plots. Filled in from the data.
        estimator: ``gcpg`` without hindsight, ``hpg`` with importance weights per decision,
            ``weighted-hpg`` with these normalized over the batch's episodes.
        baseline: Subtract what the baseline net expects.
        goals_per_episode: Hindsight goals drawn of each episode; 0 takes all.
        hidden: Units of the hidden layers, of the baseline net too.
        initialization: ``normal`` draws the policy's weights with standard deviation 0.01 and
            the baseline's with 0.001, ``glorot`` from Glorot's uniform distribution.
        lr: Learning rate of Adam.
        baseline_lr: That of the baseline net; ``lr`` if None.
        max_pairs: Pairs of a state and a goal that go through a net at once, which bounds the
            memory that a step takes.

    Raises:
        UsageError: the environment has no goals, the net does not fit its observations, or an
            argument is out of its range.
    """

    # Importance weights are products of ratios of probabilities: rounded factors would spoil them.
    trainer_defaults = {"tf32": False}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012  # read, never changed
        "episodes": "The worst episodes of the test above, the best below: the way to the goal, "
        "step by step.",
        "learning": "Mean return of the greedy policy over training, and the best that is "
        "possible.",
    }
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "its loss has the policy gradient; the value itself says nothing",
    }
    task_arguments = (
        "environment",
        "observation_shape",
        "goal_size",
        "action_names",
        "horizon",
        "tolerance",
        "optimal_return",
    )

    def __init__(
        self,
        environment: dict[str, Any],
        observation_shape: list[int],
        goal_size: int,
        action_names: list[str],
        horizon: int,
        tolerance: float,
        optimal_return: float | None = None,
        estimator: Literal["gcpg", "hpg", "weighted-hpg"] = "weighted-hpg",
        baseline: bool = False,
        goals_per_episode: int = 0,
        hidden: list[int] = [256, 256],  # noqa: B006  # read, never written
        initialization: Literal["normal", "glorot"] = "normal",
        lr: float = 0.001,
        baseline_lr: float | None = None,
        max_pairs: int = 4096,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.environment, self.action_names = environment, action_names
        self.observation_shape, self.goal_size = tuple(observation_shape), goal_size
        made = make_environment(environment)
        self._require_fit(made.observation_shape, made.goal_size, made.action_names)
        at_least("goals_per_episode", goals_per_episode, 0)
        at_least("max_pairs", max_pairs, 1)
        self.horizon, self.tolerance = horizon, tolerance
        self.optimal_return = optimal_return
        self.estimator, self.goals_per_episode = estimator, goals_per_episode
        self.lr, self.baseline_lr, self.max_pairs = lr, baseline_lr or lr, max_pairs
        normal = initialization == "normal"
        self.policy = GoalNet(
            self.observation_shape, goal_size, len(action_names), hidden, 0.01 if normal else None
        )
        self.baseline: GoalNet | None = None
        if baseline:
            if len(self.observation_shape) > 1:
                raise UsageError("the baseline net does not take images; omit model.baseline")
            inputs = (self.observation_shape[0] + 1,)
            self.baseline = GoalNet(inputs, goal_size, 1, hidden, 0.001 if normal else None)
        self.train_return = DeviceMean()
        self.evaluations: list[float] = []
        """Mean returns of all evaluations so far, the one before training first."""
        self.evaluated_after: list[int] = []
        """Training episodes before each of them, in all processes."""
        self.episodes_played = 0

    def setup(self, stage: str) -> None:
        """Refuse data whose environment is another than the net was made for.

        Raises:
            UsageError: observations, goals or actions differ.
        """
        data = getattr(self.trainer, "datamodule", None)
        if isinstance(data, GoalEpisodes):
            made = data.environment
            self._require_fit(made.observation_shape, made.goal_size, made.action_names)

    def _require_fit(self, shape: Sequence[int], goal_size: int, actions: Sequence[str]) -> None:
        own = self.observation_shape, self.goal_size, len(self.action_names)
        if own != (tuple(shape), goal_size, len(actions)):
            raise UsageError(
                f"the policy net is made for observations of {own[0]}, goals of {own[1]} numbers "
                f"and {own[2]} actions, which does not fit the environment's {tuple(shape)}, "
                f"{goal_size} and {len(actions)}: leave these arguments of the model to the data, "
                "and train one for each environment"
            )

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"initialisation": "initialization"})

    @property
    def counters(self) -> dict[str, int]:
        """Episodes played for training."""
        return {"episodes": self.episodes_played}

    @property
    def head(self) -> tuple[str, ...]:
        """What other actions replace."""
        return ("policy.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self._observation_size + self.goal_size)

    @property
    def _observation_size(self) -> int:
        return int(torch.tensor(self.observation_shape).prod())

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (N, actions) for observations, flattened, each followed by its goal (N, ...)."""
        observations = inputs[:, : self._observation_size]
        shaped = observations.reshape(-1, *self.observation_shape)
        logits: Tensor = self.policy(shaped, inputs[:, self._observation_size :])
        return logits

    # Acting

    def actor(self, goals: Tensor, random: torch.Generator | None, greedy: bool = False) -> Actor:
        """What chooses the actions of episodes, by the policy as it is now.

        Args:
            goals: (N, D), of the episodes.
            random: Actions are drawn from it.
            greedy: Take the likeliest action instead.
        """
        policy = FrozenGoalNet(self.policy)
        with torch.no_grad():
            goal_parts = policy.goal_part(goals)

        def act(observations: Tensor) -> tuple[Tensor, Tensor]:
            outputs = policy.outputs(policy.state_part(observations) + goal_parts)
            scores = log_probabilities(outputs)
            actions = scores.argmax(1, keepdim=True) if greedy else _draw(scores.exp(), random)
            return actions[:, 0], scores.gather(1, actions)[:, 0]

        return act

    def play(
        self,
        folder: Path | None,
        *,
        goal: str | None = None,
        episodes: int = 5,
        greedy: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Play episodes.

        Args:
            folder: Where the plot and the animations are written.
            goal: The goal to reach, numbers with commas between, such as 3,7; another one is
                drawn for each episode without.
            episodes: How many.
            greedy: Always take the likeliest action; false draws actions, as in training.
            seed: Seed of starts, drawn goals and chance.
        """
        return playing.play_to_goal(self, folder, goal, episodes, greedy, seed)

    # Learning

    def choose_accelerator(self, data: Any) -> str:
        """``cuda`` where observations are images and there is a GPU, and ``cpu`` otherwise.

        A fixed rule, as that of Upside-Down RL: batches of a few episodes and nets of a few hundred
        units take less time on a core than a GPU takes to be asked, step by step.

        Args:
            data: What it is trained on; the rule does not depend on it.
        """
        if not torch.cuda.is_available():
            return "cpu"
        if len(self.observation_shape) == 3:
            return "cuda"
        rank_zero_print(
            "hpg trains nets of vector observations on the CPU; --trainer.accelerator gpu takes "
            "the GPU"
        )
        return "cpu"

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        episodes = Episodes(*batch).at_least_single()
        loss = -self.surrogate_objective(episodes)
        self.train_return.update(episodes.returns.mean())
        trainer = attached_trainer(self)
        self.episodes_played += len(episodes.mask) * (trainer.world_size if trainer else 1)
        if self.baseline is not None:
            loss = loss + baseline_loss(self.baseline, episodes)
        return loss

    def surrogate_objective(self, episodes: Episodes, goals: Tensor | None = None) -> Tensor:
        """A scalar whose gradient is this model's estimate of the policy gradient.

        Args:
            episodes: Played by the policy as it is.
            goals: Hindsight goals (G, D); the active ones, or a draw of them, if None.
        """
        if self.estimator == "gcpg":
            return gcpg_objective(self.policy, episodes, self.baseline, self.max_pairs)
        if goals is None:
            goals = active_goals(episodes, self.goals_per_episode)
        return hindsight_objective(
            self.policy,
            episodes,
            goals,
            self.estimator,
            self.horizon,
            self.tolerance,
            self.baseline,
            self.max_pairs,
        )

    def on_train_epoch_end(self) -> None:
        # Logged once an epoch: self.log takes as long as a small step.
        self.log("train/return", self.train_return)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [{"params": list(self.policy.parameters()), "lr": self.lr}]
        if self.baseline is not None:
            groups.append({"params": list(self.baseline.parameters()), "lr": self.baseline_lr})
        return torch.optim.Adam(groups, lr=self.lr, fused=optim.may_fuse(self))

    # Evaluation

    def on_train_start(self) -> None:
        """The evaluation before the first step."""
        data, limit = getattr(self.trainer, "datamodule", None), self.trainer.limit_val_batches
        if self.evaluations or limit == 0 or not isinstance(data, GoalEpisodes):
            return
        batches = islice(data.val_dataloader(), limit if isinstance(limit, int) else None)
        returns = torch.cat([Episodes(*batch[1:]).returns for batch in batches])
        self._add_evaluation(returns)
        for logger in self.loggers:
            logger.log_metrics({"val/return": self.evaluations[0]}, 0)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        returns = Episodes(*batch[1:]).returns
        self._evaluated.append(returns)
        count = len(returns)
        self.log("val/return", returns.mean(), batch_size=count, prog_bar=True, sync_dist=True)

    def on_validation_epoch_start(self) -> None:
        self._evaluated: list[Tensor] = []

    def on_validation_epoch_end(self) -> None:
        """The average performance: the mean of all evaluations so far."""
        if self.trainer.sanity_checking or not self._evaluated:
            return
        self._add_evaluation(torch.cat(self._evaluated))
        average = sum(self.evaluations) / len(self.evaluations)
        self.log("val/average_return", average, batch_size=1)

    def _add_evaluation(self, returns: Tensor) -> None:
        """Add the mean over all processes to the evaluations."""
        gathered = self.all_gather(returns.mean())
        self.evaluations.append(float(torch.as_tensor(gathered).mean()))
        self.evaluated_after.append(self.episodes_played)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        returns = Episodes(*batch[1:]).returns
        values = {"test/return": returns.mean(), "test/success": (returns > 0).float().mean()}
        self.log_dict(values, batch_size=len(returns), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["evaluations"] = self.evaluations
        checkpoint["evaluated_after"] = self.evaluated_after
        checkpoint["episodes_played"] = self.episodes_played

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.evaluations = list(checkpoint["evaluations"])
        # Checkpoints of zoo 0.1.0 have none of these.
        self.evaluated_after = list(checkpoint.get("evaluated_after", []))
        self.episodes_played = checkpoint.get("episodes_played", 0)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The learning curve, if this module was trained, and episodes of a test batch."""
        episodes = Episodes(*(each.cpu() for each in batch[1:]))
        environment = make_environment(self.environment)
        plots = {"episodes": draw_episodes(environment, episodes)}
        if self.evaluations:
            plots["learning"] = draw_learning_curve(
                self.evaluations, self.optimal_return, self.evaluated_after
            )
        return plots


def _draw(probabilities: Tensor, random: torch.Generator | None) -> Tensor:
    """An action (N, 1) for each row of probabilities (N, actions)."""
    if probabilities.device.type == "cpu":
        return torch.multinomial(probabilities, 1, generator=random)
    # What torch.multinomial does, without the check of its argument that makes the host wait.
    lots = torch.empty_like(probabilities).exponential_(generator=random)
    return (probabilities / lots).argmax(1, keepdim=True)
