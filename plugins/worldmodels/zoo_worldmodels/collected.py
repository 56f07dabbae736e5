"""The data `collected-episodes`: played in an environment by a policy without aim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from zoo.plugin import (
    Facts,
    Reference,
    UsageError,
    at_least,
    one_of,
    trained_model,
    write_atomically,
)
from zoo_rl.environments import describe, make, require_trusted
from zoo_rl.rollout import Policy, rollout
from zoo_rl.seeding import episode_seeds
from zoo_worldmodels.episode import Episode, unpadded
from zoo_worldmodels.episodes_data import EpisodesData
from zoo_worldmodels.reality import Reality

POLICIES = ("random", "held", "lander")
_AT_ONCE = 8  # episodes
_ABOUT = "episodes.json"
_PLAYED: dict[tuple[str, int, int], list[Episode]] = {}


class CollectedEpisodes(EpisodesData):
    """Episodes that are played in any gymnasium environment when they are first needed.

    Actions are drawn: ``random``, anew at every step; ``held``, for 1 to ``hold`` steps each (as
    for Doom in arXiv:1803.10122); ``lander``, in LunarLander alone: gymnasium's own heuristic, in
    whose place an episode's share of random actions steps in, 0.3, 0.6 or all, so that the log is
    of mixed quality. With ``controller`` every second episode is played by a trained controller,
    a second round of data.

    Args:
        environment: gymnasium's id.
        episodes: How many.
        max_steps: Steps of all together after which no further episode is begun; 0 for no limit.
            Where they are passed the last episode is cut.
        policy: ``random``, ``held`` or ``lander``.
        hold: Steps that an action is held, at most, of ``held``.
        controller: A trained dream-controller, or None.
        folder: Where episodes are kept, as ``.npz`` files for ``episodes-folder`` too, and taken
            from when they are there; a collection that was cut is completed. Without they are
            played anew by every command.
        max_episode_steps: Where episodes are cut; the environment's own limit without.
        screen_size: Side of pictures, in pixels.
        color: Keep the color of pictures, as published; gray without.
        collect_seed: Of the episodes.
        batch_size: Segments or steps in a batch.
        num_workers: Processes that prepare batches.
        seed: Of what is drawn in training.
        split: ``standard``, or ``all`` to test on everything.
        items: ``segments`` for a world model, ``steps`` for an encoder or a clone of behavior.
        length: Steps of a segment in training.
        eval_length: Steps of a segment in validation and test.
        per_epoch: Segments of a training epoch.
        val_fraction: Part of the episodes for validation.
        test_fraction: Part of the episodes for the test.
        encoder: A model whose codes of pictures are the features.

    Raises:
        UsageError: an argument is out of its range, or the folder holds other episodes.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {
        "environment": "CartPole-v1",
        "policy": "held",
        "episodes": 40,
        "length": 12,
        "eval_length": 12,
        "per_epoch": 64,
    }

    def __init__(
        self,
        environment: str = "CartPole-v1",
        episodes: int = 200,
        max_steps: int = 0,
        policy: Literal["random", "held", "lander"] = "random",
        hold: int = 10,
        controller: Reference | None = None,
        folder: str | None = None,
        max_episode_steps: int | None = None,
        screen_size: int = 64,
        color: bool = False,
        collect_seed: int = 0,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        items: Literal["segments", "steps"] = "segments",
        length: int = 50,
        eval_length: int = 60,
        per_epoch: int = 640,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        encoder: Reference | None = None,
    ) -> None:
        super().__init__(
            folder or f"the episodes of {environment}",
            batch_size,
            num_workers,
            seed,
            split,
            items,
            length,
            eval_length,
            per_epoch,
            val_fraction,
            test_fraction,
            encoder,
        )
        at_least("episodes", episodes, 1)
        at_least("max_steps", max_steps, 0)
        at_least("hold", hold, 1)
        at_least("collect_seed", collect_seed, 0)
        one_of("policy", policy, POLICIES)
        require_trusted(environment)
        if policy == "lander" and not environment.startswith("LunarLander"):
            raise UsageError(
                f"the policy 'lander' plays LunarLander, not {environment!r}: take random or held"
            )
        self._name, self._count, self._max_steps = environment, episodes, max_steps
        self._policy, self._hold, self._seed = policy, hold, collect_seed
        self._folder = Path(folder) if folder else None
        self._options: dict[str, Any] = {
            "max_episode_steps": max_episode_steps,
            "screen_size": screen_size,
        }
        if color:  # folders from before there was a choice are gray
            self._options["color"] = True
        self._about = {
            "environment": environment,
            "policy": policy,
            "hold": hold,
            "collect_seed": collect_seed,
            "controller": bool(controller),
            **self._options,
        }
        self._controller: Any = None if controller is None else trained_model(controller)

    def spaces(self) -> Facts:
        return self._spaces

    @cached_property
    def _spaces(self) -> Facts:
        env = make(self._name, **self._options)
        try:
            return describe(env, self._name)
        finally:
            env.close()

    def prepare_data(self) -> None:
        """Play what is kept in a folder and not yet there."""
        if self._folder is not None:
            _ = self.episodes

    def read(self) -> list[Episode]:
        if self._folder is not None:
            self._claim(self._folder)
        elif self._controller is None:  # played once, and held for those who ask again
            key = (json.dumps(self._about), self._count, self._max_steps)
            if key not in _PLAYED:
                _PLAYED.clear()
                _PLAYED[key] = self._read()
            return _PLAYED[key]
        return self._read()

    def _read(self) -> list[Episode]:
        episodes: list[Episode] = []
        steps = 0
        for start in range(0, self._count, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, self._count))
            for episode in self._played(numbers):
                if self._max_steps and steps + len(episode) > self._max_steps:
                    return [*episodes, *_cut(episode, self._max_steps - steps)]
                episodes.append(episode)
                steps += len(episode)
        return episodes

    def _claim(self, folder: Path) -> None:
        """Take a folder for these episodes, or refuse it where it holds others."""
        note = folder / _ABOUT
        if note.is_file():
            found = json.loads(note.read_text(encoding="utf-8"))
            if found != self._about:
                differing = ", ".join(n for n, v in self._about.items() if found.get(n) != v)
                raise UsageError(
                    f"{folder} holds episodes that were collected otherwise ({differing} differs): "
                    "name another folder"
                )
            return
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} is not empty and holds no collected episodes: name another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(note, json.dumps(self._about, indent=2).encode())

    def _played(self, numbers: range) -> list[Episode]:
        """Some of the episodes, from the folder or from the environment."""
        names = [f"episode {number}" for number in numbers]
        if self._folder is None:
            return self._play(numbers, names)
        paths = [self._folder / f"episode-{number:05d}.npz" for number in numbers]
        if not all(path.is_file() for path in paths):
            for path, episode in zip(paths, self._play(numbers, names), strict=True):
                save(path, episode)
        return [load(path) for path in paths]

    def _play(self, numbers: range, names: list[str]) -> list[Episode]:
        envs = Reality(self._name, len(numbers), **self._options)
        try:
            seeds = episode_seeds("train", len(numbers), self._seed, numbers.start)
            return unpadded(rollout(envs, self._acting(numbers), seeds), names)
        finally:
            envs.close()

    def _acting(self, numbers: range) -> Policy:
        random = np.random.default_rng([self._seed, numbers.start])
        without_aim = WithoutAim(self._spaces, random, self._hold if self._policy == "held" else 1)
        if self._policy == "lander":
            return MixedLander(without_aim, random, numbers)
        if self._controller is None:
            return without_aim
        return EverySecond(self._controller.acting(), without_aim)


class CollectedFrames(CollectedEpisodes):
    """Episodes of an environment of pictures, which are kept in a folder.

    Args:
        root: Where they are kept, or are to be: they are played when they are first needed, and a
            collection that was cut is completed.
        environment: gymnasium's id.
        options: Of ``collected-episodes``, but for its ``folder``.
    """

    conformance_arguments: ClassVar[dict[str, Any]] = {"episodes": 2}
    conformance_exempt: ClassVar[dict[str, str]] = {
        "missing-root": "episodes are collected into a folder that is not there yet"
    }

    def __init__(self, root: str, environment: str = "VizdoomTakeCover-v1", **options: Any) -> None:
        options.pop("folder", None)
        super().__init__(environment, folder=root, **options)


def save(path: Path, episode: Episode) -> None:
    """Write an episode as ``episodes-folder`` reads it."""
    import io

    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        observations=episode.observations,
        actions=episode.actions,
        rewards=episode.rewards,
        terminated=episode.terminated,
    )
    write_atomically(path, buffer.getvalue())


def load(path: Path) -> Episode:
    """Read what ``save`` wrote."""
    with np.load(path, allow_pickle=False) as file:
        return Episode(
            file["observations"],
            file["actions"],
            file["rewards"],
            bool(file["terminated"]),
            str(path),
        )


def _cut(episode: Episode, steps: int) -> Iterator[Episode]:
    if steps > 0:
        yield Episode(
            episode.observations[: steps + 1],
            episode.actions[:steps],
            episode.rewards[:steps],
            False,
            episode.name,
        )


class WithoutAim:
    """Drawn actions, each held for some steps.

    Args:
        spaces: What actions there are.
        random: Where they are drawn from.
        hold: Steps that one is held, at most.
    """

    def __init__(self, spaces: Facts, random: np.random.Generator, hold: int) -> None:
        self._spaces, self._random, self._hold = spaces, random, hold
        self._held: dict[int, tuple[int, Any]] = {}

    def __call__(
        self, observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        return np.stack([self._next(number) for number in numbers.tolist()])

    def _next(self, number: int) -> Any:
        left, action = self._held.get(number, (0, None))
        if left == 0:
            left, action = int(self._random.integers(1, self._hold + 1)), self._draw()
        self._held[number] = (left - 1, action)
        return action

    def _draw(self) -> Any:
        if self._spaces["actions"] == "discrete":
            return self._random.integers(self._spaces["num_actions"])
        low, high = self._spaces["action_low"], self._spaces["action_high"]
        return np.asarray(self._random.uniform(low, high), np.float32)


class MixedLander:
    """gymnasium's heuristic for LunarLander, of which episodes follow a part.

    Args:
        without_aim: What acts otherwise.
        random: What decides which.
        numbers: Of the episodes, which decide their share.
    """

    shares = (0.3, 0.6, 1.0)

    def __init__(
        self, without_aim: WithoutAim, random: np.random.Generator, numbers: range
    ) -> None:
        self._without_aim, self._random, self._first = without_aim, random, numbers.start

    def __call__(
        self, observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        from types import SimpleNamespace

        from gymnasium.envs.box2d import lunar_lander

        lander: Any = lunar_lander.heuristic
        # All that it reads of the environment is which kind of actions there are.
        world: Any = SimpleNamespace(unwrapped=SimpleNamespace(continuous=False))
        drawn = self._without_aim(observations, numbers, rewards)
        for row, (number, seen) in enumerate(zip(numbers.tolist(), observations, strict=True)):
            share = self.shares[(self._first + number) % len(self.shares)]
            if self._random.random() >= share:
                drawn[row] = lander(world, seen)
        return drawn


class EverySecond:
    """A controller in every second episode, drawn actions in the others.

    Args:
        controller: Acts in all of them, and is asked in the odd ones.
        without_aim: Acts in the others.
    """

    def __init__(self, controller: Policy, without_aim: WithoutAim) -> None:
        self._controller, self._without_aim = controller, without_aim

    def __call__(
        self, observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray
    ) -> np.ndarray:
        chosen = self._controller(observations, numbers, rewards)
        drawn = self._without_aim(observations, numbers, rewards)
        odd = (numbers % 2 == 1).reshape(-1, *[1] * (drawn.ndim - 1))
        return np.where(odd, chosen, drawn)
