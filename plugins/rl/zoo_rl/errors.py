"""What environments do wrong while they are played."""

from __future__ import annotations

from zoo.plugin import ZooError


class EnvironmentFailure(ZooError):
    """An environment raised an error, returned something that is not a number, or never ended.

    Args:
        name: The environment's id.
        what: What it did, such as ``raised ValueError: ...``.
        seed: Seed of the episode.
        step: Steps of the episode before, counted from 0.
    """

    def __init__(self, name: str, what: str, seed: int, step: int) -> None:
        super().__init__(
            f"the environment {name!r} {what} (episode of seed {seed}, step {step}); a training "
            "run continues from its last checkpoint with --resume, once the environment is fixed"
        )
