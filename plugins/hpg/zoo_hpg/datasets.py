"""The datamodules by which environments are named in recipes, with their published protocols."""

from __future__ import annotations

from zoo_hpg.data import GoalEpisodes


class BitFlippingEpisodes(GoalEpisodes):
    """Episodes of bit flipping: k bits, all 0 in the beginning, k actions, horizon k + 1.

    Args:
        bits: Number of bits, k.
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of goals and actions.
        split: ``standard`` or ``all``, which are the same: episodes are always played anew.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
    """

    def __init__(
        self,
        bits: int = 8,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        batches_per_epoch: int = 50,
        eval_episodes: int = 256,
    ) -> None:
        environment = {"name": "bit-flipping", "bits": bits}
        super().__init__(
            environment, batch_size, num_workers, seed, split, batches_per_epoch, eval_episodes
        )


class EmptyRoomEpisodes(GoalEpisodes):
    """Episodes in a room of 11x11 cells, begun in its top left corner; horizon 32.

    Args:
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of goals and actions.
        split: ``standard`` or ``all``, which are the same: episodes are always played anew.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
    """

    def __init__(
        self,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        batches_per_epoch: int = 22,
        eval_episodes: int = 256,
    ) -> None:
        environment = {"name": "empty-room"}
        super().__init__(
            environment, batch_size, num_workers, seed, split, batches_per_epoch, eval_episodes
        )


class FourRoomsEpisodes(GoalEpisodes):
    """Episodes in four rooms on 11x11 cells, begun in one of the corners, every fifth action
    random; horizon 32.

    Args:
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of starts, goals, actions and chance.
        split: ``standard`` or ``all``, which are the same: episodes are always played anew.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
    """

    def __init__(
        self,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        batches_per_epoch: int = 100,
        eval_episodes: int = 256,
    ) -> None:
        environment = {"name": "four-rooms"}
        super().__init__(
            environment, batch_size, num_workers, seed, split, batches_per_epoch, eval_episodes
        )


class MsPacmanEpisodes(GoalEpisodes):
    """Episodes of Ms. Pac-man with cells of a 14x19 grid as goals; horizon 28.

    Needs ale-py, which is under the GPL: ``pip install "zoo-hpg[atari]"``.

    Args:
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of goals, actions and chance.
        split: ``standard`` or ``all``, which are the same: episodes are always played anew.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
    """

    conformance_arguments = {"batch_size": 2, "eval_episodes": 2, "batches_per_epoch": 2}  # noqa: RUF012
    side_by_side = 8  # each has an emulator

    def __init__(
        self,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        batches_per_epoch: int = 400,
        eval_episodes: int = 240,
    ) -> None:
        environment = {"name": "ms-pacman"}
        super().__init__(
            environment, batch_size, num_workers, seed, split, batches_per_epoch, eval_episodes
        )


class FetchPushEpisodes(GoalEpisodes):
    """Episodes of FetchPush: an arm pushes a block to a place on the table, by impulses in eight
    directions and strengths; horizon 50.

    Needs gymnasium-robotics and MuJoCo: ``pip install "zoo-hpg[robotics]"``.

    Args:
        batch_size: Episodes an optimizer step, N, in each process.
        num_workers: Kept for the common interface; episodes are played in the policy's process.
        seed: Seed of starts, goals and actions.
        split: ``standard`` or ``all``, which are the same: episodes are always played anew.
        batches_per_epoch: Optimizer steps between two evaluations.
        eval_episodes: Episodes of an evaluation, and of the test.
    """

    conformance_arguments = {"batch_size": 2, "eval_episodes": 2, "batches_per_epoch": 2}  # noqa: RUF012
    side_by_side = 8  # each has a simulation

    def __init__(
        self,
        batch_size: int = 2,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        batches_per_epoch: int = 400,
        eval_episodes: int = 512,
    ) -> None:
        environment = {"name": "fetch-push"}
        super().__init__(
            environment, batch_size, num_workers, seed, split, batches_per_epoch, eval_episodes
        )
