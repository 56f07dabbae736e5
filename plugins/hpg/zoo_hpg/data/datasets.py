"""The datamodules by which environments are named in recipes, with their published protocols.

They differ in defaults; the arguments that all of them take are those of ``GoalEpisodes``.
"""

from __future__ import annotations

from typing import Any

from zoo_hpg.data.module import GoalEpisodes


class BitFlippingEpisodes(GoalEpisodes):
    """Episodes of bit flipping: k bits, all 0 in the beginning, k actions, horizon k + 1.

    Args:
        bits: Number of bits, k.
        batches_per_epoch: Optimizer steps between two evaluations.
        common: Further arguments of ``GoalEpisodes``.
    """

    def __init__(self, bits: int = 8, batches_per_epoch: int = 50, **common: Any) -> None:
        super().__init__({"name": "bit-flipping", "bits": bits}, batches_per_epoch, **common)


class EmptyRoomEpisodes(GoalEpisodes):
    """Episodes in a room of 11x11 cells, begun in its top left corner; horizon 32.

    Args:
        batches_per_epoch: Optimizer steps between two evaluations.
        common: Further arguments of ``GoalEpisodes``.
    """

    def __init__(self, batches_per_epoch: int = 22, **common: Any) -> None:
        super().__init__({"name": "empty-room"}, batches_per_epoch, **common)


class FourRoomsEpisodes(GoalEpisodes):
    """Episodes in four rooms on 11x11 cells, begun in one of the corners, every fifth action
    random; horizon 32.

    Args:
        batches_per_epoch: Optimizer steps between two evaluations.
        common: Further arguments of ``GoalEpisodes``.
    """

    def __init__(self, batches_per_epoch: int = 100, **common: Any) -> None:
        super().__init__({"name": "four-rooms"}, batches_per_epoch, **common)


class MsPacmanEpisodes(GoalEpisodes):
    """Episodes of Ms. Pac-man with cells of a 14x19 grid as goals; horizon 28.

    Needs ale-py, which is under the GPL: the extra ``zoo-hpg[atari]``.

    Args:
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
        common: Further arguments of ``GoalEpisodes``.
    """

    conformance_arguments = {"batch_size": 2, "eval_episodes": 2, "batches_per_epoch": 2}  # noqa: RUF012
    eval_batch_size = 8  # each has an emulator

    def __init__(
        self, batches_per_epoch: int = 400, eval_episodes: int = 240, **common: Any
    ) -> None:
        super().__init__(
            {"name": "ms-pacman"}, batches_per_epoch, eval_episodes=eval_episodes, **common
        )


class FetchPushEpisodes(GoalEpisodes):
    """Episodes of FetchPush: an arm pushes a block to a place on the table, by impulses in eight
    directions and strengths; horizon 50.

    Needs gymnasium-robotics and MuJoCo: the extra ``zoo-hpg[robotics]``.

    Args:
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
        common: Further arguments of ``GoalEpisodes``.
    """

    conformance_arguments = {"batch_size": 2, "eval_episodes": 2, "batches_per_epoch": 2}  # noqa: RUF012
    eval_batch_size = 8  # each has a simulation

    def __init__(
        self, batches_per_epoch: int = 400, eval_episodes: int = 512, **common: Any
    ) -> None:
        super().__init__(
            {"name": "fetch-push"}, batches_per_epoch, eval_episodes=eval_episodes, **common
        )
