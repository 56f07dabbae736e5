"""A controller whose weights are evolved. The loop is written out in ``evolving.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import UsageError, at_least, one_of
from zoo_evolution.encodings.base import Direct, Encoding
from zoo_evolution.encodings.dct import Dct
from zoo_evolution.evolving import Evolving
from zoo_evolution.plots import draw_weights
from zoo_evolution.policies.named import make_policy
from zoo_evolution.tasks.base import Outcome
from zoo_evolution.tasks.named import make_task
from zoo_rl.plots import save_gif


class EvolvedController(Evolving):
    """A small net that acts in an environment, its weights searched by evolution.

    Args:
        task: The environment's name and arguments. Filled in from the data.
        observation_size: Numbers in an observation. Filled in from the data.
        action_size: Numbers in an action. Filled in from the data.
        policy: ``feed-forward``, ``recurrent`` (fully), ``elman``, ``lstm``, ``fast-weights``, or
            ``fast-weights-plain``, which is that without fast weights.
        hidden: Units of the policy's hidden layer.
        bias: Whether units have a bias.
        encoding: ``direct``: a number of the genome for each weight; ``dct``: the low frequencies
            of each weight matrix.
        coefficients: Of encoding ``dct``, in all.
        optimizer: ``snes``, ``xnes``, ``enes``, ``pgpe``, ``open-es``, ``cosyne``, ``esp``,
            ``cne`` or ``random-search``.
        options: The optimizer's arguments, such as ``{population: 20, step_size: 1.0}``.
        keep: ``best``: the best candidate so far is kept; ``center``: the point that the search is
            around, for fitness that is noisy.
        evaluations_per_step: Candidates that a training step evaluates, so that a run is saved and
            resumed within a generation; 0 for all of it.

    Raises:
        UsageError: an argument is out of its range, or does not fit the environment.
    """

    plot_captions: ClassVar[dict[str, str]] = {
        "search": "Fitness of the generations and the step size, by evaluations.",
        "weights": "The weight matrices of the champion.",
    }

    def __init__(
        self,
        task: dict[str, Any],
        observation_size: int,
        action_size: int,
        policy: str = "recurrent",
        hidden: int = 1,
        bias: bool = False,
        encoding: Literal["direct", "dct"] = "direct",
        coefficients: int = 20,
        optimizer: str = "snes",
        options: dict[str, Any] = {},  # noqa: B006  # read, never written
        keep: Literal["best", "center"] = "best",
        evaluations_per_step: int = 0,
    ) -> None:
        self.task = make_task(task)
        sizes = self.task.observation_size, self.task.action_size
        if sizes != (observation_size, action_size):
            raise UsageError(
                f"the net is made for {observation_size} inputs and {action_size} outputs, and the "
                f"environment has {sizes[0]} and {sizes[1]}: leave these arguments of the model "
                "to the data, and train one for each environment"
            )
        self.policy = make_policy(policy, observation_size, action_size, hidden, bias)
        one_of("encoding", encoding, ("direct", "dct"))
        self.encoding: Encoding = Direct(self.policy.size)
        if encoding == "dct":
            self.encoding = Dct(self.policy.shapes, coefficients)
        super().__init__(
            self.encoding.size, optimizer, options, keep, evaluations_per_step, stop=True
        )
        self.save_hyperparameters()

    @property
    def neurons(self) -> Tensor | None:
        return self.policy.neurons if isinstance(self.encoding, Direct) else None

    @property
    def weights(self) -> Tensor:
        """The champion's weights (weights,), float64."""
        return self.encoding.decode(self.champion.double()[None])[0]

    @property
    def memory_size(self) -> int:
        """Numbers that the net remembers from step to step."""
        return sum(int(torch.Size(shape).numel()) for shape in self.policy.remembered)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.policy.inputs + self.memory_size)

    def forward(self, inputs: Tensor) -> Tensor:
        """A step of the champion.

        Args:
            inputs: Observations, each followed by what the step before gave after its action
                (zeros at the start): (N, observation_size + memory).

        Returns:
            Actions between -1 and 1, each followed by what is remembered: (N, action_size +
            memory).
        """
        remembered = self.policy.remembered
        sizes = [int(torch.Size(shape).numel()) for shape in remembered]
        observed, *memory = inputs.split([self.policy.inputs, *sizes], 1)
        count = inputs.shape[0]
        state = tuple(m.reshape(count, *s) for m, s in zip(memory, remembered, strict=True))
        matrices = self.policy.split(self.weights.to(inputs.dtype)[None])
        weights = [each.expand(count, *each.shape[1:]) for each in matrices]
        actions, state = self.policy.step(weights, state, observed)
        return torch.cat([actions, *(each.flatten(1) for each in state)], 1)

    def evaluate(self, genomes: Tensor, seed: tuple[int, int]) -> Outcome:
        """Play all of them."""
        return self.task.evaluate(self.policy, self.encoding.decode(genomes), seed)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        figures = self.task.test(self.policy, self.weights, int(batch))
        values = {f"test/{name}": value for name, value in figures.items()}
        values["test/evaluations"] = float(self.used)
        values["test/solved"] = float(self.solved)
        self.log_dict(values, batch_size=1)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The curves of the search, if this module was trained, and the champion's weights."""
        return {
            **self.search_plots(),
            "weights": draw_weights([each[0] for each in self.policy.split(self.weights[None])]),
        }

    def play(
        self, folder: Path | None, *, episodes: int = 1, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Play episodes and film them: a GIF for each.

        Args:
            episodes: How many; the first from the usual start, the others from starts that are
                drawn.
            seed: Of the starts.
        """
        at_least("--episodes", episodes, 1)
        at_least("--seed", seed, 0)
        rows = []
        for number in range(episodes):
            drawn = number + 1000 * seed
            row, frames = self.task.play(self.policy, self.weights.cpu(), drawn, bool(folder))
            if folder and frames:
                save_gif(frames, folder / f"episode-{number + 1}.gif", fps=self.task.film_fps)
            rows.append(row)
        return rows
