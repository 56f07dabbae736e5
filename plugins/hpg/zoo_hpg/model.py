"""A goal-conditional policy trained by policy gradients with and without hindsight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.errors import UsageError
from zoo_hpg import drawing, estimators, pairs, playing
from zoo_hpg.environments import make_environment
from zoo_hpg.episodes import Chooser, Episodes
from zoo_hpg.hindsight import active_goals, hindsight_rewards
from zoo_hpg.inference import Inference, exactly
from zoo_hpg.networks import GoalNet

ESTIMATORS = {"hpg": estimators.hpg, "weighted-hpg": estimators.weighted_hpg}


class HindsightPolicyGradient(LightningModule):
    """A policy over discrete actions, of a state and a goal.

    Rauber, Ummadisingu, Mutz, Schmidhuber: Hindsight Policy Gradients, ICLR 2019. An optimiser
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
        optimal_return: Mean return of the best policy, for pictures. Filled in from the data.
        estimator: ``gcpg`` without hindsight, ``hpg`` with importance weights per decision,
            ``weighted-hpg`` with these normalised over the batch's episodes.
        baseline: Subtract what the baseline net expects.
        goals_per_episode: Hindsight goals drawn of each episode; 0 takes all.
        hidden: Units of the hidden layers, of the baseline net too.
        initialisation: ``normal`` draws the policy's weights with standard deviation 0.01 and
            the baseline's with 0.001, ``glorot`` from Glorot's uniform distribution.
        lr: Learning rate of Adam.
        baseline_lr: That of the baseline net; ``lr`` if None.
        max_pairs: Pairs of a state and a goal that go through a net at once, which bounds the
            memory that a step takes.

    Raises:
        UsageError: the environment has no goals, the net does not fit its observations, or an
            argument is out of its range.
    """

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
        initialisation: Literal["normal", "glorot"] = "normal",
        lr: float = 0.0005,
        baseline_lr: float | None = None,
        max_pairs: int = 4096,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.environment, self.action_names = environment, action_names
        self.observation_shape, self.goal_size = tuple(observation_shape), goal_size
        made = make_environment(environment)
        self._require_fit(made.observation_shape, made.goal_size, made.action_names)
        for name, value in (("goals_per_episode", goals_per_episode), ("max_pairs", max_pairs - 1)):
            if value < 0:
                raise UsageError(f"{name} is {getattr(self.hparams, name)}, which is too few")
        self.horizon, self.tolerance = horizon, tolerance
        self.optimal_return = optimal_return
        self.estimator, self.goals_per_episode = estimator, goals_per_episode
        self.lr, self.baseline_lr, self.max_pairs = lr, baseline_lr or lr, max_pairs
        normal = initialisation == "normal"
        self.policy = GoalNet(
            self.observation_shape, goal_size, len(action_names), hidden, 0.01 if normal else None
        )
        self.baseline: GoalNet | None = None
        if baseline:
            if len(self.observation_shape) > 1:
                raise UsageError("the baseline net takes no pictures; leave model.baseline false")
            inputs = (self.observation_shape[0] + 1,)
            self.baseline = GoalNet(inputs, goal_size, 1, hidden, 0.001 if normal else None)
        self.train_return = MeanMetric()
        self.evaluations: list[float] = []
        """Mean returns of all evaluations so far, the one before training first."""

    def setup(self, stage: str) -> None:
        """Refuse data whose environment is another than the net was made for.

        Raises:
            UsageError: observations, goals or actions differ.
        """
        facts = self.trainer.datamodule.facts  # type: ignore[attr-defined]
        self._require_fit(facts["observation_shape"], facts["goal_size"], facts["action_names"])

    def _require_fit(self, shape: Sequence[int], goal_size: int, actions: list[str]) -> None:
        own = self.observation_shape, self.goal_size, len(self.action_names)
        if own != (tuple(shape), goal_size, len(actions)):
            raise UsageError(
                f"the policy net is made for observations of {own[0]}, goals of {own[1]} numbers "
                f"and {own[2]} actions, which does not fit the environment's {tuple(shape)}, "
                f"{goal_size} and {len(actions)}: leave these arguments of the model to the data, "
                "and train one for each environment"
            )

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
        shaped = observations.reshape(len(inputs), *self.observation_shape)
        return self.policy(shaped, inputs[:, self._observation_size :])

    # Acting

    def begin(self, goals: Tensor, random: torch.Generator | None, greedy: bool = False) -> Chooser:
        """What chooses the actions of episodes, by the policy as it is now.

        Args:
            goals: (N, D), of the episodes.
            random: Actions are drawn from it.
            greedy: Take the likeliest action instead.
        """
        policy = Inference(self.policy)
        with torch.no_grad():
            goal_parts = policy.goal_part(goals)

        def choose(observations: Tensor) -> tuple[Tensor, Tensor]:
            scores = policy.outputs(policy.state_part(observations) + goal_parts).log_softmax(1)
            if greedy:
                actions = scores.argmax(1, keepdim=True)
            else:
                actions = torch.multinomial(scores.exp(), 1, generator=random)
            return actions[:, 0], scores.gather(1, actions)[:, 0]

        return choose

    def play(
        self, folder: Path | None, *, goal: str | None = None, episodes: int = 5, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Play episodes, always with the likeliest action.

        Args:
            folder: Where the picture or animation is written.
            goal: The goal to reach, numbers with commas between, such as 3,7; drawn anew for each
                episode without.
            episodes: How many.
            seed: Seed of starts, drawn goals and chance.
        """
        return playing.play_to_goal(self, folder, goal, episodes, seed)

    # Learning

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        episodes = Episodes(*batch)
        if self.estimator == "gcpg":
            gain = self._gcpg(episodes)
        else:
            goals = active_goals(episodes, self.goals_per_episode)
            gain = self.hindsight_gain(episodes, goals)
        self.train_return.update(episodes.returns.mean())
        loss = -gain
        if self.baseline is not None:
            error = self._baseline_error(episodes)
            loss = loss + error
        return loss

    def on_train_epoch_end(self) -> None:
        # Logged once an epoch: self.log takes as long as a small step.
        self.log("train/return", self.train_return)

    def _gcpg(self, episodes: Episodes) -> Tensor:
        expected = None
        if self.baseline is not None:
            with torch.no_grad():
                expected = self._expected(episodes)
        coefficients = estimators.gcpg(episodes.rewards, episodes.mask, expected)
        mask = episodes.mask
        states, state_of = pairs.distinct(episodes.observations[mask])
        own = torch.arange(len(mask), device=mask.device)[:, None].expand_as(mask)[mask]
        return pairs.surrogate(
            self.policy.joined,
            self.policy.state_part(states),
            self.policy.goal_part(episodes.goals),
            state_of,
            episodes.actions[mask],
            (torch.arange(len(own), device=own.device), own, coefficients[mask]),
            len(self.action_names),
            self.max_pairs,
        )

    def hindsight_gain(self, episodes: Episodes, goals: Tensor) -> Tensor:
        """What to climb: its gradient is the estimator's, for all goals at once.

        Args:
            episodes: N of them.
            goals: Hindsight goals (G, D).
        """
        mask = episodes.mask
        rewards, before = hindsight_rewards(episodes, goals, self.horizon, self.tolerance)
        expected = self._hindsight_baselines(episodes, goals, before) if self.baseline else None
        states, state_of = pairs.distinct(episodes.observations[mask])
        actions = episodes.actions[mask]
        state_parts, goal_parts = self.policy.state_part(states), self.policy.goal_part(goals)
        # Weights count up to the last reward of a goal, of any episode; all with a baseline.
        needed = mask[..., None].expand_as(before)
        if expected is None:
            rewarded = (rewards > 0).any(0)
            needed = needed & rewarded.flip(0).cummax(0).values.flip(0)
        likely = torch.zeros_like(rewards)
        policy = Inference(self.policy)
        with torch.no_grad(), exactly(mask.device):
            likely[mask] = pairs.evaluate(
                policy.outputs,
                policy.state_part(states),
                policy.goal_part(goals),
                state_of,
                needed[mask],
                self.max_pairs,
                actions,
            )
        estimate = ESTIMATORS[self.estimator]
        found = estimate(likely, episodes.log_probabilities, rewards, mask, expected)[mask]
        steps, of_goals = found.nonzero(as_tuple=True)
        return pairs.surrogate(
            self.policy.joined,
            state_parts,
            goal_parts,
            state_of,
            actions,
            (steps, of_goals, found[steps, of_goals]),
            len(self.action_names),
            self.max_pairs,
        )

    def _hindsight_baselines(self, episodes: Episodes, goals: Tensor, before: Tensor) -> Tensor:
        """What the baseline expects (N, T, G), 0 once the goal was reached."""
        assert self.baseline is not None
        mask = episodes.mask
        timed, state_of = pairs.distinct(self._timed(episodes)[mask])
        net = Inference(self.baseline)
        expected = before.new_zeros(before.shape, dtype=goals.dtype)
        with torch.no_grad(), exactly(mask.device):
            expected[mask] = pairs.evaluate(
                net.outputs,
                net.state_part(timed),
                net.goal_part(goals),
                state_of,
                before[mask],
                self.max_pairs,
            )
        return expected

    def _baseline_error(self, episodes: Episodes) -> Tensor:
        """Mean squared difference to the reward and the value a step later."""
        expected = self._expected(episodes)
        later = torch.cat([expected[:, 1:] * episodes.mask[:, 1:], expected[:, :1] * 0], 1)
        errors = (expected - episodes.rewards - later.detach()) ** 2
        return errors[episodes.mask].mean()

    def _expected(self, episodes: Episodes) -> Tensor:
        """What the baseline expects (N, T) of the goals pursued."""
        assert self.baseline is not None
        timed = self._timed(episodes)
        parts = self.baseline.state_part(timed) + self.baseline.goal_part(episodes.goals)[:, None]
        return self.baseline.joined(parts)[..., 0]

    def _timed(self, episodes: Episodes) -> Tensor:
        """Observations (N, T, ...) with the number of the step, from 1, behind."""
        count, steps = episodes.mask.shape
        time = torch.arange(1, steps + 1, device=episodes.mask.device, dtype=torch.float32)
        return torch.cat([episodes.observations, time[:, None].expand(count, steps, 1)], 2)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [{"params": list(self.policy.parameters()), "lr": self.lr}]
        if self.baseline is not None:
            groups.append({"params": list(self.baseline.parameters()), "lr": self.baseline_lr})
        fused = self.device.type in ("cpu", "cuda")
        return torch.optim.Adam(groups, lr=self.lr, fused=fused)

    # Measuring

    def on_train_start(self) -> None:
        """The evaluation before the first step."""
        if self.evaluations or self.trainer.limit_val_batches == 0:
            return
        loader = self.trainer.datamodule.val_dataloader()  # type: ignore[attr-defined]
        limit = self.trainer.limit_val_batches
        batches = islice(loader, limit if isinstance(limit, int) else None)
        returns = torch.cat([Episodes(*batch[1:]).returns for batch in batches])
        self.evaluations.append(float(returns.mean()))
        for logger in self.loggers:
            logger.log_metrics({"val/return": self.evaluations[0]}, 0)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        returns = Episodes(*batch[1:]).returns
        self._evaluated.append(returns)
        self.log("val/return", returns.mean(), batch_size=len(returns), prog_bar=True)

    def on_validation_epoch_start(self) -> None:
        self._evaluated: list[Tensor] = []

    def on_validation_epoch_end(self) -> None:
        """The average performance: the mean of all evaluations so far."""
        if self.trainer.sanity_checking or not self._evaluated:
            return
        self.evaluations.append(float(torch.cat(self._evaluated).mean()))
        average = sum(self.evaluations) / len(self.evaluations)
        self.log("val/average_return", average, batch_size=1)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        returns = Episodes(*batch[1:]).returns
        values = {"test/return": returns.mean(), "test/success": (returns > 0).float().mean()}
        self.log_dict(values, batch_size=len(returns), sync_dist=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["evaluations"] = self.evaluations

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.evaluations = list(checkpoint["evaluations"])

    def draw_figures(self, batch: Any) -> dict[str, Figure]:
        """The learning curve, if this module was trained, and episodes of a test batch."""
        episodes = Episodes(*(each.cpu() for each in batch[1:]))
        environment = make_environment(self.environment)
        figures = {"episodes": drawing.draw_episodes(environment, episodes)}
        if self.evaluations:
            figures["learning"] = drawing.draw_learning(self.evaluations, self.optimal_return)
        return figures
