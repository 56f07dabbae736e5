"""Tasks by name, from their description."""

from __future__ import annotations

from typing import Any

from zoo.plugin import one_of
from zoo_evolution.tasks.base import Task
from zoo_evolution.tasks.gymnasium_episodes import GymnasiumEpisodes
from zoo_evolution.tasks.octopus.reaching import OctopusArm
from zoo_evolution.tasks.poles.balancing import PoleBalancing

TASKS: dict[str, type[Task]] = {
    "pole-balancing": PoleBalancing,
    "octopus-arm": OctopusArm,
    "gymnasium": GymnasiumEpisodes,
}


def make_task(description: dict[str, Any]) -> Task:
    """A task of ``TASKS``.

    Args:
        description: ``name``, and the constructor's arguments.

    Raises:
        UsageError: there is none of that name, or an argument is out of its range.
    """
    arguments = dict(description)
    name = arguments.pop("name", "")
    one_of("the task's name", name, TASKS)
    return TASKS[name](**arguments)
