"""One net for everything: new skills are learnt, and old ones kept by replaying what they did.

    one = a recurrent net: (observation, task, state) -> action, and the next observation
    for each task, one after the other; a training epoch:
      new = traces of a teacher of the task                                 skills.py
      for each update:
        segments of the new traces: loss = cross-entropy of the teacher's actions
        segments of every old skill: loss = cross-entropy of what ONE itself did there
        loss += prediction_weight (next observation - predicted)^2, of all of them
      replay[task] = the new traces, with the probabilities that ONE now gives   _remember

Schmidhuber: One Big Net For Everything, arXiv:1802.08864, 2018; that a net which predicts is to be
the place of what a controller knows: On Learning to Think, arXiv:1511.09249, 2015. There a copy of
ONE learns the new skill by any method; here it is shown by a teacher, and ONE learns it while it
replays. ``finetune`` leaves the replay away, and forgets; ``joint`` has all tasks at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

from zoo.plugin import above, at_least, one_of
from zoo_rl.rollout import Policy
from zoo_rl.seeding import episode_seeds, generator
from zoo_worldmodels.skills import SKILLS, Traces, described

METHODS = ("replay", "finetune", "joint")


class OneNet(nn.Module):
    """A recurrent net of many tasks.

    Args:
        observed: Numbers in an observation.
        choices: Actions of each task; there are outputs for the most of them.
        hidden: Units.
    """

    forbidden: Tensor

    def __init__(self, observed: int, choices: list[int], hidden: int) -> None:
        super().__init__()
        self.tasks, self.actions = len(choices), max(choices)
        self.recurrent = nn.GRU(observed + self.tasks, hidden, batch_first=True)
        self.policy = nn.Linear(hidden, self.actions)
        self.prediction = nn.Linear(hidden + self.actions, observed)
        forbidden = torch.arange(self.actions) >= torch.tensor(choices)[:, None]
        self.register_buffer("forbidden", forbidden, persistent=False)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Act through sequences.

        Args:
            inputs: Described observations and the task, one-hot: (N, T, observed + tasks).
            state: (1, N, hidden); zeros without.

        Returns:
            Log probabilities of actions (N, T, actions), about -1e9 for those that the task does
            not have; units (N, T, hidden); and the state.
        """
        units, state = self.recurrent(inputs, state)
        goals = inputs[..., -self.tasks :]
        logits = self.policy(units) - 1e9 * (goals @ self.forbidden.to(inputs.dtype))
        return logits.log_softmax(-1), units, state

    def predicted(self, seen: Tensor, units: Tensor, done: Tensor) -> Tensor:
        """Next observations (N, T, observed).

        Args:
            seen: Described observations (N, T, observed).
            units: As of ``forward``.
            done: Actions, one-hot (N, T, actions).
        """
        changes: Tensor = self.prediction(torch.cat([units, done], -1))
        return seen + changes


class One(LightningModule):
    """ONE, and how it learns task after task.

    Args:
        observed: Numbers in an observation. Filled in from the data.
        choices: Actions of each task. Filled in from the data.
        learns: By ``replay``; ``finetune`` learns every task alone, after the others; ``joint``
            has all of them all the time, the bound of what a sequence can reach.
        hidden: Units.
        segments: Of the new task in an update, and of each old one of ``replay``; ``joint`` has
            as many of each.
        prediction_weight: Of the error of the next observation.
        lr: Learning rate of Adam.
        clip: Norm that gradients are cut to.

    Raises:
        UsageError: an argument is out of its range.
    """

    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "scores": "How well each task is done after each epoch: 0 as random actions, 1 as the "
        "teacher. A row that fades is a task that is forgotten.",
    }
    conformance_arguments = {"hidden": 8, "segments": 2}  # noqa: RUF012
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "a batch is the number of an update of one of several tasks",
    }

    def __init__(
        self,
        observed: int,
        choices: list[int],
        learns: Literal["replay", "finetune", "joint"] = "replay",
        hidden: int = 64,
        segments: int = 16,
        prediction_weight: float = 0.1,
        lr: float = 0.003,
        clip: float = 1.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        one_of("learns", learns, METHODS)
        at_least("hidden", hidden, 1)
        at_least("segments", segments, 1)
        at_least("prediction_weight", prediction_weight, 0)
        above("lr", lr, 0)
        above("clip", clip, 0)
        self.network = OneNet(observed, choices, hidden)
        self._replay: dict[int, Tensor] = {}  # what ONE did in the traces of old tasks
        self._history: list[list[float]] = []

    @property
    def example_input(self) -> Tensor:
        """Two sequences of three steps, of the first task and of the second."""
        seen = torch.linspace(-1, 1, 2 * 3 * self.hparams["observed"]).view(2, 3, -1)
        goals = F.one_hot(torch.arange(2), self.network.tasks).float()
        return torch.cat([seen, goals[:, None].expand(-1, 3, -1)], -1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Log probabilities of actions (N, T, A) for sequences (N, T, observed + tasks)."""
        found: Tensor = self.network(inputs)[0]
        return found

    def _inputs(self, task: int, seen: Tensor) -> Tensor:
        goal = F.one_hot(torch.tensor(task), self.network.tasks).to(seen)
        return torch.cat([seen, goal.expand(*seen.shape[:-1], -1)], -1)

    # Training

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.hparams["lr"])

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        update = int(batch)
        task = update // self._data.steps_per_epoch % self.network.tasks
        loss = torch.stack([self._loss(each, update) for each in self._tasks(task)]).mean()
        self.log("train/loss", loss.detach(), batch_size=1)
        return loss

    def _tasks(self, new: int) -> list[int]:
        """Which tasks an update is of."""
        learns = self.hparams["learns"]
        if learns == "joint":
            return list(range(self.network.tasks))
        return sorted({new, *self._replay}) if learns == "replay" else [new]

    def _loss(self, task: int, update: int) -> Tensor:
        """Of some segments of a task."""
        traces: Traces = self._data.traces(task)
        random = generator(self._data.seed, update, task)
        rows = torch.randint(len(traces.mask), (self.hparams["segments"],), generator=random)
        chosen = traces.chosen(rows)
        wanted = F.one_hot(chosen.advised, self.network.actions).float()
        if task in self._replay:
            wanted = self._replay[task][rows]
        mask = chosen.mask.to(self.device)
        seen = chosen.seen.to(self.device)
        found, units, _ = self.network(self._inputs(task, seen[:, :-1]))
        losses = -(wanted.to(self.device) * found).sum(-1)
        done = F.one_hot(chosen.done, self.network.actions).to(seen)
        predicted = self.network.predicted(seen[:, :-1], units, done)
        errors = (predicted - seen[:, 1:]).square().mean(-1)
        losses = losses + self.hparams["prediction_weight"] * errors
        loss: Tensor = (losses * mask).sum() / mask.sum()
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        clip_grad_norm_(self.parameters(), self.hparams["clip"])

    def on_train_epoch_end(self) -> None:
        if self.hparams["learns"] == "replay":
            self._remember((self.trainer.current_epoch) % self.network.tasks)

    @torch.no_grad()
    def _remember(self, task: int) -> None:
        """Keep what ONE now does in the traces of a task."""
        traces: Traces = self._data.traces(task)
        found = self(self._inputs(task, traces.seen[:, :-1].to(self.device)))
        self._replay[task] = found.exp().cpu()

    # Evaluation

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._history.append(self._measure("val"))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("test")

    def _measure(self, stage: str) -> list[float]:
        """Real episodes of every task: the scores, from 0 to 1."""
        seeds = episode_seeds(stage, self._data.counts[stage])
        scores = []
        for number, skill in enumerate(SKILLS):
            played = skill.play(self.acting(number), seeds)
            returns = torch.tensor([float(each.rewards.sum()) for each in played])
            scores.append(skill.score(returns))
            self.log(f"{stage}/{skill.name}_return", returns.mean(), batch_size=1)
        self.log(f"{stage}/score", sum(scores) / len(scores), prog_bar=True, batch_size=1)
        return scores

    def acting(self, task: int) -> Policy:
        """A policy for real episodes of a task, by its number; one for each call of ``rollout``."""
        states: dict[int, Tensor] = {}
        blank = torch.zeros(1, self.hparams["hidden"], device=self.device)

        @torch.no_grad()
        def act(seen: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            state = torch.stack([states.get(number, blank) for number in numbers.tolist()], 1)
            inputs = described(SKILLS[task], seen)[:, None].to(self.device)
            found, _, state = self.network(self._inputs(task, inputs), state)
            states.update(zip(numbers.tolist(), state.unbind(1), strict=True))
            return np.asarray(found[:, 0].argmax(-1).cpu())

        return act

    # What a checkpoint carries beside the net

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["replay"] = dict(self._replay)
        checkpoint["history"] = [list(scores) for scores in self._history]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._replay = dict(checkpoint.get("replay", {}))
        self._history = [list(scores) for scores in checkpoint.get("history", [])]

    # Plots and prediction

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """How well each task is done after each epoch.

        Args:
            batch: As of the test loader.
        """
        figure = Figure(figsize=(6, 2.6), layout="constrained")
        axes = figure.add_subplot()
        scores = np.array(self._history or [[0.0] * len(SKILLS)]).T
        axes.imshow(scores, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        for (row, column), score in np.ndenumerate(scores):
            color = "black" if score > 0.6 else "white"
            axes.text(column, row, f"{score:.2f}", ha="center", va="center", color=color)
        axes.set(xlabel="after epoch", xticks=range(scores.shape[1]), yticks=range(len(SKILLS)))
        axes.set_xticklabels([str(1 + epoch) for epoch in range(scores.shape[1])])
        axes.set_yticklabels([skill.name for skill in SKILLS])
        return {"scores": figure}

    def play(
        self, folder: Path | None, *, episodes: int = 2, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Do every task in its real world.

        Args:
            folder: Nothing is written.
            episodes: Of each task.
            seed: Another seed gives other episodes.

        Returns:
            A row an episode: the task, its return and length.

        Raises:
            UsageError: a number is out of its range.
        """
        at_least("--episodes", episodes, 1)
        seeds = episode_seeds("test", episodes, seed)
        return [
            {
                "task": skill.name,
                "episode": episode,
                "return": round(float(played.rewards.sum()), 4),
                "length": len(played),
            }
            for number, skill in enumerate(SKILLS)
            for episode, played in enumerate(skill.play(self.acting(number), seeds))
        ]
