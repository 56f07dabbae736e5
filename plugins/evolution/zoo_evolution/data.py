"""The datamodules by which tasks are named in recipes. A batch is the number of a generation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from zoo.plugin import NumberedSteps, at_least
from zoo_evolution.tasks.base import Task
from zoo_evolution.tasks.named import make_task


class Generations(NumberedSteps):
    """Generations of an evolution on one task; what the tasks' datamodules share.

    Args:
        task: Its description, for ``make_task``.
        generations_per_epoch: Generations between two checkpoints.
        seed: Seed of the search and of all episodes.
        batch_size: Kept for the common interface; a batch is a generation.
        num_workers: Kept for the common interface.
        split: Kept for the common interface.

    Raises:
        UsageError: an argument is out of its range, or a package is missing.
    """

    not_foldable: ClassVar[str] = (
        "it has no samples: its episodes are played by the candidates; train it by several seeds "
        "instead"
    )

    def __init__(
        self,
        task: dict[str, Any],
        generations_per_epoch: int = 10,
        seed: int = 0,
        batch_size: int = 1,
        num_workers: int = 0,
        split: str = "standard",
    ) -> None:
        at_least("generations_per_epoch", generations_per_epoch, 1)
        at_least("seed", seed, 0)
        super().__init__(generations_per_epoch, val_steps=0, test_steps=1, seed=seed)
        self.description, self.batch_size = task, batch_size
        self.num_workers, self.split = num_workers, split
        self.task: Task = make_task(task)

    @property
    def facts(self) -> dict[str, Any]:
        """The task and its sizes."""
        return {
            "task": self.description,
            "observation_size": int(self.task.observation_size),
            "action_size": int(self.task.action_size),
        }

    def describe_found(self) -> list[str]:
        """What is seen and done."""
        task = self.task
        sizes = f"{task.observation_size} numbers seen, {task.action_size} done"
        return [*task.describe(), sizes]


class PoleBalancingGenerations(Generations):
    """A cart balances one pole or two, with or without seeing velocities.

    Args:
        poles: One or two.
        velocities: Whether the net sees velocities.
        fitness: ``steps`` that it balances, or ``damping``, which counts calm at the end too.
        long_run: Steps that a solution balances.
        common: Further arguments of ``Generations``.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"long_run": 1000}

    def __init__(
        self,
        poles: int = 2,
        velocities: bool = False,
        fitness: Literal["steps", "damping"] = "steps",
        long_run: int = 100_000,
        **common: Any,
    ) -> None:
        task = {
            "name": "pole-balancing",
            "poles": poles,
            "velocities": velocities,
            "fitness": fitness,
            "long_run": long_run,
        }
        super().__init__(task, **common)
