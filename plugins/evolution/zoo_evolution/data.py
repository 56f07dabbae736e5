"""The datamodules by which tasks are named in recipes. A batch is the number of a generation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from zoo.plugin import NumberedSteps, at_least
from zoo_evolution.objectives.objective import Objective
from zoo_evolution.tasks.base import Task
from zoo_evolution.tasks.named import make_task

NO_ORDER = {
    "seed-decides-order": "a batch is the number of a generation: the seed is that of the search"
}


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

    conformance_exempt: ClassVar[dict[str, str]] = NO_ORDER
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
        position_scale: Meters by which the position is divided for the net.
        angle_scale: Radians by which angles are; the angle of failure if None.
        common: Further arguments of ``Generations``.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"long_run": 1000}

    def __init__(
        self,
        poles: int = 2,
        velocities: bool = False,
        fitness: Literal["steps", "damping"] = "steps",
        long_run: int = 100_000,
        position_scale: float = 2.4,
        angle_scale: float | None = None,
        **common: Any,
    ) -> None:
        task = {
            "name": "pole-balancing",
            "poles": poles,
            "velocities": velocities,
            "fitness": fitness,
            "long_run": long_run,
            "position_scale": position_scale,
            "angle_scale": angle_scale,
        }
        super().__init__(task, **common)


class FunctionGenerations(NumberedSteps):
    """A function to minimize: a known one by its name, or a user's own.

    A user's function takes one point, a float64 array (d,), and returns one number, which is to be
    small. It is called once before the training, to see that it does.

    Args:
        function: ``sphere``, ``ellipsoid``, ``rotated-ellipsoid``, ``cigar``, ``tablet``,
            ``rosenbrock``, ``lennard-jones``, or a user's: ``package.module:function`` or
            ``path/file.py:function``.
        dimension: Coordinates of a point.
        low: Lower bounds, one for all coordinates or one each; None: no bounds.
        high: Upper bounds.
        integers: Coordinates, counted from 0, that are whole numbers.
        start: Where the search begins, one number for all coordinates or one each; None: where
            it is usual for a known function, else the middle of the box, or 0 without one.
        workers: Processes that call a user's function; 0 calls it in this one.
        generations_per_epoch: Generations between two checkpoints.
        seed: Seed of the search.
        batch_size: Kept for the common interface; a batch is a generation.
        num_workers: Kept for the common interface.
        split: Kept for the common interface.

    Raises:
        UsageError: an argument is out of its range, or there is no such function.
    """

    conformance_exempt: ClassVar[dict[str, str]] = NO_ORDER
    not_foldable: ClassVar[str] = Generations.not_foldable

    def __init__(
        self,
        function: str = "sphere",
        dimension: int = 10,
        low: float | list[float] | None = None,
        high: float | list[float] | None = None,
        integers: list[int] | None = None,
        start: float | list[float] | None = None,
        workers: int = 0,
        generations_per_epoch: int = 50,
        seed: int = 0,
        batch_size: int = 1,
        num_workers: int = 0,
        split: str = "standard",
    ) -> None:
        at_least("generations_per_epoch", generations_per_epoch, 1)
        at_least("seed", seed, 0)
        super().__init__(generations_per_epoch, val_steps=0, test_steps=1, seed=seed)
        self.batch_size, self.num_workers, self.split = batch_size, num_workers, split
        self.description = {
            "function": function,
            "dimension": dimension,
            "low": low,
            "high": high,
            "integers": integers,
            "start": start,
            "workers": workers,
        }
        self.objective = Objective(**self.description)  # type: ignore[arg-type]
        self._probed = False

    @property
    def facts(self) -> dict[str, Any]:
        """The function and its box.

        Raises:
            UsageError: a user's function raises at the start, or returns no number there.
        """
        if not self._probed:
            self.objective.probe()
            self._probed = True
        return {"objective": self.description}

    def describe_found(self) -> list[str]:
        """The function, its dimension and its bounds."""
        box = self.objective.box
        bounds = "within bounds" if box.low is not None else "without bounds"
        return [self.objective.name, f"{box.dimension} dimensions", bounds]


class OctopusArmGenerations(Generations):
    """An octopus arm of ten compartments touches a goal behind it.

    Args:
        steps: Control steps of 0.1 s of an episode.
        common: Further arguments of ``Generations``.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"steps": 5}

    def __init__(self, steps: int = 80, **common: Any) -> None:
        super().__init__({"name": "octopus-arm", "steps": steps}, **common)


class GymnasiumGenerations(Generations):
    """Episodes of any environment of gymnasium whose observations are vectors.

    Args:
        environment: Such as ``CartPole-v1``, or ``package.module:Mine-v0``.
        episodes: Of each individual's evaluation.
        threshold: The mean return that solves it, confirmed by other episodes; None: never.
        confirm_episodes: Of the confirmation, and of the test.
        max_episode_steps: Where episodes are cut; the environment's own limit if None.
        common: Further arguments of ``Generations``.
    """

    def __init__(
        self,
        environment: str = "CartPole-v1",
        episodes: int = 1,
        threshold: float | None = None,
        confirm_episodes: int = 20,
        max_episode_steps: int | None = None,
        **common: Any,
    ) -> None:
        task = {
            "name": "gymnasium",
            "environment": environment,
            "episodes": episodes,
            "threshold": threshold,
            "confirm_episodes": confirm_episodes,
            "max_episode_steps": max_episode_steps,
        }
        super().__init__(task, **common)
