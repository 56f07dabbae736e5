"""Curiosity: what an agent without any reward from outside is drawn to.

    M predicts the bits that a place and an action show        a table, learnt by gradient steps
    for each step:
      a = greedy in Q, sometimes random
      the world shows bits b
      r = intrinsic reward of (place, action, b)               IntrinsicReward
      M learns from b
      Q(s, a) += alpha (r + gamma max Q(s', .) - Q(s, a))

`error`         r = (b - M)^2: what M cannot predict (Schmidhuber: A possibility for implementing
                curiosity and boredom in model-building neural controllers, SAB 1991). Noise is
                never predicted, and never boring.
`progress`      r = error of M as it was some steps ago - error of M now, on the same bits, from
                which neither has learnt (Schmidhuber: Curious model-building control systems,
                IJCNN 1991). Noise is boring.
`disagreement`  r = variance among several M that learn from different steps (Sekar et al.,
                arXiv:2005.05960)
`rnd`           r = (f(b) - g)^2: how badly a fixed random function f of what is shown is predicted
                for the place and action (Burda et al., arXiv:1810.12894)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import above, at_least, one_of, within
from zoo_worldmodels.noisy_tv import CORRIDOR, LEARNABLE, NOISE, TwoRooms

MODES = ("error", "progress", "disagreement", "rnd")
_HEADS, _CODES = 5, 8
_WINDOW = 2000


class IntrinsicReward:
    """A reward from a model of the world alone. All tables are float64.

    Args:
        mode: One of ``MODES``.
        states: Places.
        actions: In each.
        bits: That are shown.
        lr: Of the models' gradient steps.
        lag: Steps after which the old model of ``progress`` is brought up.
        random: Of what is drawn.
    """

    def __init__(
        self,
        mode: str,
        states: int,
        actions: int,
        bits: int,
        lr: float,
        lag: int,
        random: np.random.Generator,
    ) -> None:
        self._mode, self._lr, self._lag = mode, lr, lag
        heads = _HEADS if mode == "disagreement" else 1
        width = _CODES if mode == "rnd" else bits
        self.model = np.full((heads, states, actions, width), 0.5)
        if mode == "disagreement":
            self.model += random.normal(0, 0.25, self.model.shape)
        self.old = self.model.copy()
        self._codes = random.normal(0, 1 / bits**0.5, (bits, width))
        self._steps = 0

    def __call__(
        self, state: int, action: int, shown: np.ndarray, random: np.random.Generator
    ) -> float:
        """The reward of having seen ``shown``, from which the models learn."""
        target = shown @ self._codes if self._mode == "rnd" else shown
        now = self.model[:, state, action]
        learns = random.random(len(now)) < 0.5 if self._mode == "disagreement" else np.array([True])
        before, disagreed = now.copy(), float(now.var(0).mean())
        now[learns] += self._lr * (target - now[learns])
        self._steps += 1
        if self._mode == "progress":
            # The model from before it learnt these bits: what it had just been told it would know
            # of noise too.
            earlier = self.old[0, state, action]
            reward = float(((target - earlier) ** 2 - (target - before[0]) ** 2).mean())
            if self._steps % self._lag == 0:
                self.old[:] = self.model
            return reward
        if self._mode == "disagreement":
            return disagreed
        return float(((target - before[0]) ** 2).mean())

    def state_dict(self) -> dict[str, Any]:
        """All that it goes on from."""
        return {
            "model": self.model.copy(),
            "old": self.old.copy(),
            "codes": self._codes,
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.model, self.old = state["model"].copy(), state["old"].copy()
        self._codes, self._steps = state["codes"], state["steps"]


class CuriousAgent(LightningModule):
    """An agent in the two rooms that is paid by its own curiosity alone.

    Args:
        states: Places. Filled in from the data.
        num_actions: In each. Filled in from the data.
        bits: That are shown. Filled in from the data.
        reward: ``error``, ``progress``, ``disagreement`` or ``rnd``.
        model_lr: Of the model's gradient steps.
        lag: Steps after which the old model of ``progress`` is brought up.
        alpha: Learning rate of the values.
        gamma: What the next step's value is discounted by.
        epsilon: Part of the actions that are random.

    Raises:
        UsageError: an argument is out of its range.
    """

    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "rooms": "Where the agent is, in stretches of 2,000 steps.",
    }
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "a batch is the number of a stretch of steps",
    }
    not_exportable = "its values are a table"

    values: Tensor
    visits: Tensor

    def __init__(
        self,
        states: int,
        num_actions: int,
        bits: int,
        reward: Literal["error", "progress", "disagreement", "rnd"] = "progress",
        model_lr: float = 0.02,
        lag: int = 200,
        alpha: float = 0.1,
        gamma: float = 0.95,
        epsilon: float = 0.1,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        one_of("reward", reward, MODES)
        within("model_lr", model_lr, 0, 1)
        within("epsilon", epsilon, 0, 1)
        within("gamma", gamma, 0, 1)
        above("alpha", alpha, 0)
        at_least("lag", lag, 1)
        self.automatic_optimization = False
        self.values = torch.nn.Parameter(
            torch.zeros(states, num_actions, dtype=torch.float64), requires_grad=False
        )
        self.register_buffer("visits", torch.zeros(3, dtype=torch.int64))
        self.counters = {"env_steps": 0}
        self._curiosity: IntrinsicReward | None = None
        self._saved: dict[str, Any] | None = None
        self._place = -1
        self._rooms: list[int] = []

    @property
    def example_input(self) -> Tensor:
        """Two places."""
        return torch.tensor([0, 1])

    def forward(self, states: Tensor) -> Tensor:
        """Values of the actions, float64 (N, A), in places int64 (N,)."""
        return self.values[states]

    def configure_optimizers(self) -> None:
        """Values are learnt step by step."""

    def on_fit_start(self) -> None:
        arguments = self.hparams
        self._curiosity = IntrinsicReward(
            arguments["reward"],
            arguments["states"],
            arguments["num_actions"],
            arguments["bits"],
            arguments["model_lr"],
            arguments["lag"],
            np.random.default_rng([self._data.seed, 0]),
        )
        if self._saved is not None:
            self._curiosity.load_state_dict(self._saved)

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        data = self._data
        random = np.random.default_rng([data.seed, 1, int(batch)])
        rooms = TwoRooms(data.seed)
        values = self.values.detach().cpu().numpy().copy()
        place = rooms.start if self._place < 0 else self._place
        paid = 0.0
        for _ in range(data.stretch):
            place, reward = self._step(rooms, values, place, random)
            paid += reward
            self._rooms.append(int(rooms.rooms[place]))
        self._place = place
        self.values.copy_(torch.from_numpy(values))
        counts = np.bincount(self._rooms[-data.stretch :], minlength=3)
        self.visits += torch.from_numpy(counts).to(self.visits.device)
        self.counters["env_steps"] += data.stretch
        self.log("train/intrinsic_reward", paid / data.stretch, batch_size=1)
        self.log("train/noise_share", counts[NOISE] / data.stretch, batch_size=1)

    def _step(
        self, rooms: TwoRooms, values: np.ndarray, place: int, random: np.random.Generator
    ) -> tuple[int, float]:
        assert self._curiosity is not None
        row = values[place]
        action = self._choice(row, random)
        after, shown = rooms.step(place, action, random)
        reward = self._curiosity(place, action, shown, random)
        goal = reward + self.hparams["gamma"] * values[after].max()
        row[action] += self.hparams["alpha"] * (goal - row[action])
        return after, reward

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        total = max(1, int(self.visits.sum()))
        for name, room in (("learnable", LEARNABLE), ("corridor", CORRIDOR), ("noise", NOISE)):
            self.log(f"test/{name}_share", float(self.visits[room]) / total, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curiosity"] = {
            "place": self._place,
            "rooms": list(self._rooms),
            "reward": None if self._curiosity is None else _tensors(self._curiosity.state_dict()),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint.get("curiosity")
        if state is not None:
            self._place, self._rooms = state["place"], list(state["rooms"])
            saved = state["reward"]
            self._saved = None if saved is None else _arrays(saved)

    def play(
        self, folder: Path | None, *, episodes: int = 5, steps: int = 200, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Go where the values say, without learning.

        Args:
            folder: Nothing is written.
            episodes: How many, each from the middle.
            steps: Of each.
            seed: Another seed gives other ones.

        Returns:
            A row an episode: the part of its steps in each room.

        Raises:
            UsageError: a number is out of its range.
        """
        at_least("--episodes", episodes, 1)
        at_least("--steps", steps, 1)
        rooms, random = TwoRooms(0), np.random.default_rng(seed)
        rows = []
        for number in range(episodes):
            place, counts = rooms.start, np.zeros(3)
            for _ in range(steps):
                row = self.values[place].detach().cpu().numpy()
                place, _ = rooms.step(place, self._choice(row, random), random)
                counts[rooms.rooms[place]] += 1 / steps
            learnable, _, noise = counts.round(4).tolist()
            rows.append({"episode": number, "learnable_share": learnable, "noise_share": noise})
        return rows

    def _choice(self, row: np.ndarray, random: np.random.Generator) -> int:
        if random.random() < self.hparams["epsilon"]:
            return int(random.integers(len(row)))
        return int(random.choice(np.flatnonzero(row == row.max())))  # of as good ones, any

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Where the agent was, over time.

        Args:
            batch: As of the test loader.
        """
        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        rooms = np.array(self._rooms or [CORRIDOR])
        starts = range(0, len(rooms), _WINDOW)
        for name, room in (("learnable room", LEARNABLE), ("noise room", NOISE)):
            shares = [(rooms[start : start + _WINDOW] == room).mean() for start in starts]
            axes.plot([start + _WINDOW / 2 for start in starts], shares, marker="o", label=name)
        axes.set(
            xlabel="steps", ylabel="part of the time", ylim=(0, 1), title=self.hparams["reward"]
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        return {"rooms": figure}


def _tensors(state: dict[str, Any]) -> dict[str, Any]:
    return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in state.items()}


def _arrays(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.cpu().numpy() if isinstance(v, Tensor) else v for k, v in state.items()}
