"""A controller that is evolved in dreams alone, and then acts in the world.

The whole learning loop, each line with the place where it happens. A batch is a generation.

    world = a trained world model, frozen                        world_model.py
    search = SNES or xNES over the weights of a linear controller  zoo_evolution.optimizers
    for each generation:
      candidates = search.ask()
      for each candidate, all at once, or in real episodes:      _fitness, dream_returns
        for each of `dreams`, the same chances for every candidate:
          until the dream ends, or max_steps:
            action = controller(what the memory knows)           linear.py
            the world model draws what comes, the reward, the end
      search.tell(mean returns of the dreams)
    with a clone of the log's behavior the controller adds to what that would do, and with `halt` a
    dream that leaves the log ends there, at its worst   cloning.py, support.py
    test: the search's center in new dreams, and in real episodes  acting.py

Ha, Schmidhuber: World Models, arXiv:1803.10122, sections 2.3, 4 and A.4, where CMA-ES searches with
a population of 64 and 16 episodes each. In its place: SNES (Schaul, Glasmachers, Schmidhuber, GECCO
2011), which has a step size for each weight, and xNES (Glasmachers et al., GECCO 2010), which has a
full covariance as CMA-ES does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import (
    NumberedSteps,
    Reference,
    UsageError,
    above,
    at_least,
    one_of,
    rank_zero_print,
    trained_model,
)
from zoo_evolution.optimizers import SNES, XNES
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_worldmodels.acting import RealActing, real_metrics, real_returns, real_world
from zoo_worldmodels.cloning import BehaviorClone
from zoo_worldmodels.dream import checked_world
from zoo_worldmodels.linear import LinearControllers
from zoo_worldmodels.mixtures import chosen_by, drawn
from zoo_worldmodels.world_model import WorldModel

_SEARCH, _TRAINING, _VALIDATION, _TEST, _ACTING = range(5)
SEARCHES: dict[str, type[SNES] | type[XNES]] = {"snes": SNES, "xnes": XNES}
_DREAMS = 100  # of a validation or test
_OVER = 1e-3  # chance that a dream goes on, below which what comes is left out
READS = ("features", "readout", "all")


class Dreams(NumberedSteps):
    """Generations of a search in dreams, and real episodes to test it.

    Args:
        generations_per_epoch: Generations between two validations, which are dreams too.
        test_episodes: Real episodes of the test.
        seed: Of the search and its dreams.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_exempt = {  # noqa: RUF012  # read, never changed
        "seed-decides-order": "a batch is the number of a generation; the search has the seed"
    }

    def __init__(
        self, generations_per_epoch: int = 10, test_episodes: int = 100, seed: int = 0
    ) -> None:
        super().__init__(generations_per_epoch, 1, 1, seed)
        at_least("test_episodes", test_episodes, 1)
        self.test_episodes = test_episodes


class DreamController(LightningModule):
    """A linear controller, searched for in the dreams of a world model.

    Args:
        world_model: The trained world model.
        reads: What the controller knows: ``features`` of the observation; ``readout``, with what
            the memory says of the past; ``all``, with an LSTM's cells, as published for Doom.
        bias: Whether each output has one.
        search: ``snes``, with a step size for each weight; or ``xnes``, with a full covariance, for
            some hundred weights at most.
        population: Candidates of a generation; the search's default without.
        dreams: Of each candidate in a generation.
        temperature: Of the dreams; above 1 they are harder to exploit.
        max_steps: Steps after which a dream is cut.
        train_in: ``dream``, or ``reality``, where the memory keeps up with real episodes, as
            published for CarRacing.
        step_size: Of the search in the beginning, in every weight.
        start_scale: Standard deviation of the weights that the search begins with.
        clone: A trained behavior-clone whose outputs the controller's are added to, as a residual
            policy's (arXiv:1812.06298): the search begins with what the log did. Discrete actions
            are drawn then, unless the clone is greedy.
        draw_ends: Draw the ends of dreams by their probability; without, a dream ends where that is
            likelier than not. In the search each step counts by the probability that its dream
            lasts until then, which tells candidates apart by fewer dreams.
        halt: End a dream that leaves what the log has seen (``support`` of the world model), as
            MOReL does (arXiv:2005.05951).
        halt_reward: Of the step that leaves it; the least return of an episode of the log without.

    Raises:
        UsageError: an argument is out of its range, the model named is no world model, the clone
            is of another world, or dreams are to halt and the world model keeps no states of its
            log.
    """

    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "returns": "Returns of the controller in dreams and in reality: where dreams are better, "
        "the controller lives by the model's errors.",
    }
    conformance_arguments = {  # noqa: RUF012
        "world_model": "recipe:worldmodels/dreamt-cartpole",
        "population": 4,
        "dreams": 2,
        "max_steps": 8,
    }
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "a batch is the number of a generation",
    }
    not_exportable = "it acts by a world model's memory, one step at a time"

    def __init__(
        self,
        world_model: Reference,
        reads: Literal["features", "readout", "all"] = "readout",
        bias: bool = True,
        search: Literal["snes", "xnes"] = "snes",
        population: int | None = None,
        dreams: int = 8,
        temperature: float = 1.0,
        max_steps: int = 1000,
        train_in: Literal["dream", "reality"] = "dream",
        step_size: float = 0.1,
        start_scale: float = 0.0,
        clone: Reference | None = None,
        draw_ends: bool = False,
        halt: bool = False,
        halt_reward: float | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        one_of("reads", reads, READS)
        one_of("search", search, SEARCHES)
        one_of("train_in", train_in, ("dream", "reality"))
        at_least("dreams", dreams, 1)
        at_least("temperature", temperature, 0)
        at_least("max_steps", max_steps, 1)
        above("step_size", step_size, 0)
        at_least("start_scale", start_scale, 0)
        if population is not None:
            at_least("population", population, 2)
        self.automatic_optimization = False
        self.world = checked_world(trained_model(world_model))
        memory = self.world.memory
        inputs = {
            "features": memory.features,
            "readout": memory.readout_size,
            "all": memory.readout_size + memory.extra_size,
        }[reads]
        self._halt_reward = self.world.halt_reward(halt, halt_reward)
        self.clone = None if clone is None else checked_clone(trained_model(clone), self.world)
        self.controllers = LinearControllers(inputs, self.world.hparams["num_actions"], bias)
        self.weights = nn.Parameter(torch.zeros(self.controllers.size), requires_grad=False)
        self.counters = {"dream_steps": 0, "env_steps": 0}
        self._search: SNES | XNES | None = None
        self._saved: dict[str, Any] | None = None
        self._returns: dict[str, Tensor] = {}

    @property
    def example_input(self) -> Tensor:
        """What the controller reads, twice."""
        return torch.linspace(-1, 1, 2 * self.controllers.inputs).view(2, -1)

    def forward(self, known: Tensor) -> Tensor:
        """Outputs (N, A) for what is known (N, inputs): the greatest is the action, or each its
        number before it is cut to the bounds."""
        return self._outputs(self.weights[None], known)

    # Acting

    def _read(self, readout: Tensor, extra: Tensor) -> Tensor:
        if self.hparams["reads"] == "features":
            return readout[..., : self.world.memory.features]
        return torch.cat([readout, extra], -1) if self.hparams["reads"] == "all" else readout

    def _outputs(self, weights: Tensor, known: Tensor) -> Tensor:
        """Outputs (P * N, A) of P controllers (P, size), for what is known (P * N, inputs)."""
        rows = known.view(len(weights), -1, self.controllers.inputs)
        outputs = self.controllers(weights, rows).flatten(0, 1)
        if self.clone is None:
            return outputs
        features = known[:, : self.world.memory.features]
        return outputs + self.clone.outputs(features * self.world.std + self.world.mean)

    def _actions(self, outputs: Tensor, random: torch.Generator, copies: int = 1) -> Tensor:
        """Actions of outputs (N, A): int64 (N,), or (N, A) within their bounds."""
        arguments = self.world.hparams
        if arguments["actions"] == "discrete":
            if self.clone is None or self.clone.hparams["greedy"]:
                return outputs.argmax(-1)
            uniform = drawn(torch.rand, outputs.shape, random, copies)
            return chosen_by(outputs, uniform.to(outputs))
        low, high = (outputs.new_tensor(arguments[name]) for name in ("action_low", "action_high"))
        return low + (high - low) * (outputs.tanh() + 1) / 2

    def acting(self, weights: Tensor | None = None) -> RealActing:
        """A policy for real episodes; one for each call of ``rollout``.

        Args:
            weights: Of a controller, (size,); its own without.
        """
        row = (self.weights if weights is None else weights)[None]
        random = generator(0, _ACTING)

        def choose(readout: Tensor, extra: Tensor) -> Tensor:
            return self._actions(self._outputs(row, self._read(readout, extra)), random)

        return RealActing(self.world, choose)

    @torch.no_grad()
    def dream_returns(
        self,
        weights: Tensor,
        dreams: int,
        random: torch.Generator,
        temperature: float | None = None,
        expect: bool = False,
    ) -> Tensor:
        """Returns of dreams, (P, dreams); every controller meets the same chances.

        Args:
            weights: Of P controllers, (P, size).
            dreams: Of each.
            random: Of the chances.
            temperature: Of the dreams; the constructor's without.
            expect: Where ends are drawn, weight each step by the probability of getting there.
        """
        heat = self.hparams["temperature"] if temperature is None else temperature
        world, count = self.world, len(weights)
        draw_ends = self.hparams["draw_ends"]
        state = tuple(
            part.repeat(count, *[1] * (part.ndim - 1))
            for part in world.begin_dreams(dreams, random)
        )
        returns = torch.zeros(count * dreams, device=self.device)
        alive = torch.ones_like(returns)
        for _ in range(self.hparams["max_steps"]):
            known = self._read(world.memory.readout(state), world.memory.extra(state))
            action = world.coded(self._actions(self._outputs(weights, known), random, count))
            state, rewards, ends = world.dream(
                state, action, random, heat, count, draw_ends, expect
            )
            if self._halt_reward is not None:
                rewards, ends, left = world.halted(state, rewards, ends, self._halt_reward)
                self._left += int((left & (alive > 0)).sum())
            returns += rewards * alive
            self._dreamt += int(alive.sum())
            alive = alive * (1 - ends.to(alive))
            if float(alive.max()) < _OVER:
                break
        return returns.view(count, dreams)

    _dreamt = 0
    _left = 0  # dreams that have left the log

    # Training

    def configure_optimizers(self) -> None:
        """The search moves the weights."""

    def on_fit_start(self) -> None:
        start = torch.randn(len(self.weights), generator=generator(self._seed, _SEARCH))
        self._search = SEARCHES[self.hparams["search"]](
            (self.hparams["start_scale"] * start).double(),
            self.hparams["step_size"],
            self.hparams["population"],
            seed=self._seed,
        )
        if self._saved is not None:
            self._search.load_state_dict(self._saved)
        else:
            self.weights.copy_(self._search.center)

    @property
    def _seed(self) -> int:
        return int(self.trainer.datamodule.seed)  # type: ignore[attr-defined]

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        assert self._search is not None
        self._dreamt = 0
        candidates = self._search.ask().to(self.weights)
        returns = self._fitness(candidates, int(batch))
        self._search.tell(returns)
        with torch.no_grad():
            self.weights.copy_(self._search.center)
        self.counters["dream_steps"] += self._dreamt
        self.log("train/return", returns.mean(), on_step=True, on_epoch=False, batch_size=1)
        self.log("train/best_return", returns.max(), batch_size=1)

    def _fitness(self, candidates: Tensor, generation: int) -> Tensor:
        """Mean returns of candidates, (P,)."""
        if self.hparams["train_in"] == "dream":
            random = generator(self._seed, _TRAINING, generation)
            dreams = self.hparams["dreams"]
            return self.dream_returns(candidates, dreams, random, expect=True).mean(1)
        seeds = episode_seeds("train", self.hparams["dreams"], self._seed, generation)
        envs = real_world(self.world.hparams, len(seeds))
        played = [rollout(envs, self.acting(each), seeds) for each in candidates]
        envs.close()
        self.counters["env_steps"] += sum(each.steps for each in played)
        return torch.stack([each.returns.mean() for each in played])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["search"] = None if self._search is None else self._search.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._saved = checkpoint.get("search")

    # Evaluation

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        returns = self._dreams_of_center(_VALIDATION)
        self.log("val/dream_return", returns.mean(), prog_bar=True, batch_size=1)

    def _dreams_of_center(self, use: int) -> Tensor:
        self._left = 0
        found: Tensor = self.dream_returns(self.weights[None], _DREAMS, generator(use))[0]
        return found

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        dreamt = self._dreams_of_center(_TEST)
        self._returns = {"dream": dreamt.cpu()}
        metrics = {
            "test/dream_return": float(dreamt.mean()),
            "test/dream_return/std": float(dreamt.std()),
        }
        if self._halt_reward is not None:
            metrics["test/left_log"] = self._left / _DREAMS
        if self.world.hparams["environment"]:
            data = self.trainer.datamodule  # type: ignore[attr-defined]
            real = real_returns(self.world.hparams, self.acting(), data.test_episodes, "test")
            self._returns["real"] = real
            metrics |= real_metrics(real, "test")
            metrics["test/gap"] = metrics["test/dream_return"] - metrics["test/return"]
        else:
            rank_zero_print(
                "the world is of logs that name no environment: measured in dreams alone"
            )
        for name, value in metrics.items():
            self.log(name, value, batch_size=1)

    # Plots and prediction

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Returns in dreams and in reality.

        Args:
            batch: As of the test loader.
        """
        returns = self._returns or {"dream": self._dreams_of_center(_TEST).cpu()}
        return {"returns": drawn_returns(returns)}

    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 3,
        temperature: float = 1.0,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Act in the world, and dream beside it what the same actions do.

        Args:
            folder: Where a film of each episode goes, the world beside the dream; None for none.
            episodes: How many.
            temperature: Of the dream that is shown.
            record_video: Write the films.
            seed: Another seed gives other episodes.

        Returns:
            A row an episode: its real return and length.

        Raises:
            UsageError: the world model is of logs that name no environment.
        """
        from zoo_worldmodels.beside import film

        at_least("--episodes", episodes, 1)
        envs = real_world(self.world.hparams, 1)
        seeds = episode_seeds("test", episodes, seed)
        rows = []
        for number, each in enumerate(seeds):
            played = rollout(envs, self.acting(), [each])
            if folder is not None and record_video:
                film(self.world, played, folder / f"episode-{number:02d}.gif", temperature, seed)
            rows.append(
                {
                    "episode": number,
                    "return": round(float(played.returns[0]), 4),
                    "length": int(played.lengths[0]),
                    "seed": each,
                }
            )
        envs.close()
        return rows


def checked_clone(model: Any, world: WorldModel) -> BehaviorClone:
    """A clone of behavior in the world of a world model.

    Raises:
        UsageError: the model is of another kind or of another world.
    """
    if not isinstance(model, BehaviorClone):
        raise UsageError(f"{type(model).__name__} is not a behavior-clone: name one as clone")
    for name in ("observation_shape", "actions", "num_actions", "action_low", "action_high"):
        if model.hparams[name] != world.hparams[name]:
            raise UsageError(
                f"the clone is of another world than the world model: its {name} is "
                f"{model.hparams[name]}, not {world.hparams[name]}"
            )
    return model


def drawn_returns(returns: dict[str, Tensor]) -> Figure:
    """Histograms of returns, by where they are from."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    values = [each.numpy() for each in returns.values()]
    edges = np.histogram_bin_edges(np.concatenate(values), 30).tolist()
    for name, each in zip(returns, values, strict=True):
        axes.hist(each, bins=edges, alpha=0.6, label=f"{name}, mean {each.mean():.4g}")
    axes.set(xlabel="return", ylabel="episodes")
    axes.legend(fontsize=8)
    return figure
