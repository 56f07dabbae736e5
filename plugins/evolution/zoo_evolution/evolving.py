"""A search as a LightningModule: what controllers and functions share.

The whole loop, each line with the file of this package where it happens. Lightning's Trainer runs
batches, and a batch is the number of a generation.

    search = an optimizer, begun at the champion            evolving.py  on_fit_start
    for each generation:                                    evolving.py  training_step
      candidates = search.ask()                             search/      a method a file
      fitness = evaluate(candidates)                        controller.py or black_box.py
      evaluations += as many                                counted before all else
      if one of them solves the task: it is the champion, and the training ends
      search.tell(fitness)                                  search/
      champion = the best so far, or the search's center
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import Budget, UsageError, at_least, one_of
from zoo_evolution.methods import make_optimizer, require_options
from zoo_evolution.plots import draw_search
from zoo_evolution.search.base import Optimizer
from zoo_evolution.tasks.base import Outcome


class Evolving(LightningModule):
    """Searches by evolution; subclasses say what is evaluated.

    Args:
        size: Numbers in a genome.
        optimizer: A name of ``methods.METHODS``.
        options: Arguments of the optimizer.
        keep: ``best``: the champion is the best candidate so far; ``center``: the point that the
            search is around, for fitness that is noisy.
        evaluations_per_step: Candidates that a training step evaluates, so that a run is saved and
            resumed within a generation; 0 for all of it.
        stop: End the training once the task is solved.
    """

    automatic_optimization = False
    trainer_defaults: ClassVar[dict[str, Any]] = {"max_epochs": -1, "num_sanity_val_steps": 0}
    champion: Tensor
    solved: Tensor
    used: Tensor

    def __init__(
        self,
        size: int,
        optimizer: str,
        options: dict[str, Any],
        keep: Literal["best", "center"],
        evaluations_per_step: int,
        stop: bool,
    ) -> None:
        super().__init__()
        one_of("keep", keep, ("best", "center"))
        at_least("evaluations_per_step", evaluations_per_step, 0)
        require_options(optimizer, options)
        self.optimizer_name, self.options = optimizer, options
        self.keep, self.stop = keep, stop
        self.evaluations_per_step = evaluations_per_step
        self.register_buffer("champion", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("solved", torch.tensor(False))
        self.register_buffer("used", torch.zeros((), dtype=torch.int64))
        self.counters = {"evaluations": 0}
        self.search: Optimizer | None = None
        self.history: list[list[float]] = []
        """For each generation: evaluations so far, the generation's best and median fitness, the
        best so far, and the spread of the search."""
        self._told: list[float] = []
        self._resumed: dict[str, Any] | None = None

    @abstractmethod
    def evaluate(self, genomes: Tensor, seed: tuple[int, int]) -> Outcome:
        """The outcome for genomes (n, size); the seed is the run's and the generation's number."""

    @property
    def neurons(self) -> Tensor | None:
        """Where each neuron's numbers lie in a genome, for methods that evolve neurons."""
        return None

    def make_search(self, seed: int) -> Optimizer:
        """The optimizer, begun at the champion.

        Raises:
            UsageError: the optimizer does not fit the genome, or an option is out of its range.
        """
        start = self.champion.double().cpu()
        return make_optimizer(self.optimizer_name, start, seed, self.options, self.neurons)

    def configure_optimizers(self) -> None:
        return None

    def configure_callbacks(self) -> list[Callback]:
        return [EndWhenSolved()] if self.stop else []

    def setup(self, stage: str) -> None:
        """Refuse a search that could not do one generation.

        Raises:
            UsageError: the budget is below a generation.
        """
        if stage != "fit" or self.search is not None:
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.search = self.make_search(int(getattr(data, "seed", 0)))
        self._require_a_generation(self.search.population)

    def _require_a_generation(self, population: int) -> None:
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        for each in callbacks:
            if not isinstance(each, Budget):
                continue
            limit = each.limits(self.trainer).get("evaluations")
            if limit is not None and limit < population:
                raise UsageError(
                    f"the budget of {limit} evaluations is below one generation, which has "
                    f"{population}: set budget.evaluations to {population} or more, or a smaller "
                    "population in model.options"
                )

    def on_fit_start(self) -> None:
        """Continue the search of a resumed run."""
        if self._resumed is not None:
            assert self.search is not None
            self.search.load_state_dict(self._resumed)
            self._resumed = None

    @torch.no_grad()
    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        search = self.search
        assert search is not None
        candidates = search.ask()
        if not len(candidates):  # importance mixing kept all of the last generation
            search.tell(torch.zeros(0, dtype=torch.float64))
            return
        begin, chunk = len(self._told), self.evaluations_per_step or len(candidates)
        part = candidates[begin : begin + chunk].to(self.device)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        outcome = self.evaluate(part, (int(getattr(data, "seed", 0)), search.generations))
        self._count(outcome)
        self._told += outcome.fitness.tolist()
        solver = outcome.solver
        if solver is not None and not bool(self.solved):
            self.solved.fill_(True)
            self.used.fill_(self.counters["evaluations"])
            self.champion.copy_(part[solver])
        if len(self._told) == len(candidates) or solver is not None:
            self._end_generation(search, candidates)

    def _count(self, outcome: Outcome) -> None:
        self.counters["evaluations"] += outcome.counted
        if not bool(self.solved):
            self.used.fill_(self.counters["evaluations"])

    def _end_generation(self, search: Optimizer, candidates: Tensor) -> None:
        told = torch.tensor(self._told, dtype=torch.float64)
        self._told = []
        best, median = float(told.nan_to_num(-torch.inf).max()), float(told.nanmedian())
        if len(told) == len(candidates):
            search.tell(told.to(search.device))
            if not bool(self.solved):
                self.champion.copy_(search.best if self.keep == "best" else search.center)
        so_far = max(search.best_fitness, best)
        self.history.append(
            [float(self.counters["evaluations"]), best, median, so_far, search.spread]
        )
        shown = {"train/best": best, "train/median": median, "train/step_size": search.spread}
        self.log_dict(shown, on_step=True, on_epoch=True, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.search is not None:
            state = self._resumed or self.search.state_dict()
            checkpoint["evolution"] = {
                "search": state,
                "told": list(self._told),
                "evaluations": self.counters["evaluations"],
                "history": [list(each) for each in self.history],
            }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        kept = checkpoint.get("evolution")
        if kept is not None:
            self._resumed, self._told = kept["search"], list(kept["told"])
            self.history = [list(each) for each in kept["history"]]
            self.counters["evaluations"] = kept["evaluations"]

    def search_plots(self) -> dict[str, Figure]:
        """The curves of the search, if this module was trained here."""
        return {"search": draw_search(self.history)} if self.history else {}


class EndWhenSolved(Callback):
    """Ends a training whose module has solved its task."""

    def __init__(self) -> None:
        self.stop_reason = ""
        """Why it ended the training, said at the training's end."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that was cut after its last batch has nothing left to train."""
        self._end_if_solved(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop if it is solved."""
        self._end_if_solved(trainer, pl_module)

    def _end_if_solved(self, trainer: Trainer, module: LightningModule) -> None:
        if isinstance(module, Evolving) and bool(module.solved):
            trainer.should_stop = True
            self.stop_reason = f"solved with evaluation {int(module.used)}"
