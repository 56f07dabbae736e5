"""Stop training after a number of environment steps."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer

from zoo.plugin import Budget


class MaxEnvSteps(Budget):
    """Ends the training with the first epoch that reaches the datamodule's ``max_env_steps``.

    A module adds this callback in its ``configure_callbacks``; the datamodule has ``env_steps``,
    the steps played for training so far, and ``max_env_steps``, how many there may be, or None.
    ``--budget env_steps=COUNT`` of a recipe ends it within an epoch instead, where the datamodule
    has ``env_steps`` among its ``counters``.
    """

    def __init__(self) -> None:
        super().__init__({}, whole_epochs=True)

    def limits(self, trainer: Trainer) -> dict[str, int]:
        """What the datamodule allows."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        limit = getattr(data, "max_env_steps", None)
        return {} if limit is None else {"env_steps": limit}

    def counts(self, trainer: Trainer) -> dict[str, int]:
        """What it has played."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        return {"env_steps": data.env_steps}

    def reason(self, unit: str, counted: int, limit: int) -> str:
        """The sentence for a limit that is reached."""
        return f"{counted} environment steps are played, and max_env_steps is {limit}"
