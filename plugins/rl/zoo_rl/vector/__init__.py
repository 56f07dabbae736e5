"""Many environments of one kind, stepped episode by episode."""

from __future__ import annotations

from typing import Any

from zoo.plugin import one_of
from zoo_rl.vector.base import EpisodicVectorEnv, Steps
from zoo_rl.vector.pooled import EnvPoolVectorEnv
from zoo_rl.vector.sync import SyncEpisodicVectorEnv

__all__ = [
    "BACKENDS",
    "EnvPoolVectorEnv",
    "EpisodicVectorEnv",
    "Steps",
    "SyncEpisodicVectorEnv",
    "make_vec",
]

BACKENDS = ("sync", "envpool")


def make_vec(name: str, num_envs: int, backend: str = "sync", **options: Any) -> EpisodicVectorEnv:
    """Environments by name.

    Stepping in processes of their own (gymnasium's AsyncVectorEnv) was slower on every
    environment tried, and is not offered.

    Args:
        name: The environment's id.
        num_envs: How many episodes may run at once.
        backend: ``sync``, or ``envpool``, whose environments are rewritten in C++: faster, and
            their numbers are not to the last digit those of gymnasium's.
        options: Of ``zoo_rl.environments.make``; EnvPool takes ``max_episode_steps`` of them.

    Raises:
        UsageError: an unknown backend, or as for ``SyncEpisodicVectorEnv`` and
            ``EnvPoolVectorEnv``.
    """
    one_of("backend", backend, BACKENDS)
    if backend == "sync":
        return SyncEpisodicVectorEnv(name, num_envs, **options)
    limit = options.get("max_episode_steps")
    return EnvPoolVectorEnv(name, num_envs, max_episode_steps=limit)
