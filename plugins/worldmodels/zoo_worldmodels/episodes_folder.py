"""The data `episodes-folder`: your own logs, as npz, parquet or CSV."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zoo.plugin import (
    Facts,
    MissingDependencyError,
    Reference,
    UsageError,
    at_least,
    install_hint,
    one_of,
)
from zoo_rl.environments import describe, make, require_trusted
from zoo_worldmodels.episode import Episode
from zoo_worldmodels.episodes_data import EpisodesData

SUFFIXES = (".npz", ".csv", ".parquet")


class EpisodesFolder(EpisodesData):
    """A folder of logged episodes.

    An ``.npz`` file is an episode of T steps: ``observations`` (T + 1, O), before each step and
    after the last; ``actions`` (T,) whole numbers or (T, A); ``rewards`` (T,); ``terminated``, one
    truth value, whether the world ended it, or one for each step.

    A ``.csv`` or ``.parquet`` file is a table with a row a step: the columns ``observation_0``,
    ``observation_1``, ..., ``action`` or ``action_0``, ..., ``reward`` and ``terminated`` (0 or 1).
    Where there are several episodes in a file, a column ``episode`` says which; a column ``step``
    counts from 0 without gaps. The last row of an episode is the observation after its last step:
    action, reward and terminated are empty there.

    Args:
        root: The folder.
        environment: gymnasium's id of the world that the logs are of, which says what actions there
            are and lets a controller be measured in it. Without, ``actions`` and its bounds are
            needed.
        actions: ``discrete`` or ``continuous``.
        num_actions: Of how many, where they are discrete.
        action_low: Lower bounds of each number of a continuous action.
        action_high: Upper bounds.
        batch_size: Segments or steps in a batch.
        num_workers: Processes that prepare batches.
        seed: Of what is drawn in training.
        split: ``standard``, or ``all`` to test on everything.
        items: ``segments`` for a world model, ``steps`` for a clone of behavior.
        length: Steps of a segment in training.
        eval_length: Steps of a segment in validation and test.
        per_epoch: Segments of a training epoch.
        val_fraction: Part of the episodes for validation.
        test_fraction: Part of the episodes for the test.
        encoder: A model whose codes of pictures are the features.

    Raises:
        UsageError: the folder or a log is not as described; the sentence names file and row.
    """

    conformance_arguments = {"actions": "discrete", "num_actions": 2}  # noqa: RUF012

    def __init__(
        self,
        root: str,
        environment: str | None = None,
        actions: Literal["discrete", "continuous"] | None = None,
        num_actions: int | None = None,
        action_low: list[float] | None = None,
        action_high: list[float] | None = None,
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
            root,
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
        if environment is not None:
            require_trusted(environment)
        else:
            _check_space(actions, num_actions, action_low, action_high)
        self._environment = environment
        self._space = (
            actions,
            num_actions or len(action_low or []),
            action_low or [],
            action_high or [],
        )

    def spaces(self) -> Facts:
        if self._environment is not None:
            return self._of_environment
        actions, count, low, high = self._space
        return {
            "environment": "",
            "observation_shape": list(self.episodes[0].observations.shape[1:]),
            "actions": actions,
            "num_actions": count,
            "action_low": low,
            "action_high": high,
            "max_episode_steps": 0,
        }

    @cached_property
    def _of_environment(self) -> Facts:
        assert self._environment is not None
        env = make(self._environment)
        try:
            return describe(env, self._environment)
        finally:
            env.close()

    def read(self) -> list[Episode]:
        folder = Path(self.root)
        if not folder.is_dir():
            raise UsageError(
                f"there is no folder {folder}: --data.root takes a folder of episodes as "
                ".npz, .csv or .parquet"
            )
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if not files:
            raise UsageError(f"{folder} has no file with one of the suffixes {', '.join(SUFFIXES)}")
        kind = self._of_environment["actions"] if self._environment else self._space[0]
        found = [episode for path in files for episode in read_log(path, kind == "discrete")]
        self._check(found)
        return found

    def _check(self, episodes: list[Episode]) -> None:
        shape = episodes[0].observations.shape[1:]
        if self._environment:
            facts = self._of_environment
            shape = tuple(facts["observation_shape"])
            count, low, high = facts["num_actions"], facts["action_low"], facts["action_high"]
        else:
            _, count, low, high = self._space
        for each in episodes:
            if each.observations.shape[1:] != shape:
                raise UsageError(
                    f"{each.name}: an observation has the shape "
                    f"{list(each.observations.shape[1:])}, and {list(shape)} was expected"
                )
            check_actions(each, count, low, high)


def _check_space(
    actions: str | None, count: int | None, low: list[float] | None, high: list[float] | None
) -> None:
    if actions is None:
        raise UsageError(
            "the logs do not say which actions there are: give --data.environment, or "
            "--data.actions discrete with --data.num_actions, or --data.actions continuous with "
            "--data.action_low and --data.action_high"
        )
    one_of("actions", actions, ("discrete", "continuous"))
    if actions == "discrete":
        if count is None:
            raise UsageError("discrete actions need --data.num_actions: how many there are")
        at_least("num_actions", count, 2)
    elif (
        not low
        or not high
        or len(low) != len(high)
        or any(a >= b for a, b in zip(low, high, strict=True))
    ):
        raise UsageError(
            "continuous actions need --data.action_low and --data.action_high: a lower bound and a "
            "higher upper bound for each number of an action"
        )


def check_actions(episode: Episode, count: int, low: list[float], high: list[float]) -> None:
    """Refuse actions outside the space.

    Raises:
        UsageError: there is one; the sentence names the step.
    """
    actions = episode.actions
    if not low:
        wrong = np.asarray((actions < 0) | (actions >= count))
        space = f"0 to {count - 1}"
    else:
        if actions.shape[1:] != (len(low),):
            raise UsageError(
                f"{episode.name}: an action has {actions[0].size} numbers, and the space {len(low)}"
            )
        outside = (actions < np.array(low) - 1e-6) | (actions > np.array(high) + 1e-6)
        wrong = np.asarray(outside.any(1))
        space = f"{low} to {high}"
    if wrong.any():
        step = int(wrong.argmax())
        raise UsageError(
            f"{episode.name}: the action {actions[step].tolist()} of step {step} is outside the "
            f"space, {space}: correct the log or the space"
        )


def read_log(path: Path, discrete: bool) -> Iterator[Episode]:
    """The episodes of a file.

    Args:
        path: Of one of ``SUFFIXES``.
        discrete: Whether actions are whole numbers.

    Raises:
        UsageError: it is not as ``EpisodesFolder`` describes.
    """
    if path.suffix.lower() == ".npz":
        yield _of_arrays(path, discrete)
    else:
        yield from _of_table(path, discrete)


def _of_arrays(path: Path, discrete: bool) -> Episode:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(f"{path} cannot be read as npz: {error}") from error
    missing = [n for n in ("observations", "actions", "rewards", "terminated") if n not in arrays]
    if missing:
        raise UsageError(
            f"{path}: {', '.join(missing)} is not in it; there are {sorted(arrays)}. An episode "
            "that was cut has terminated=False"
        )
    arrays = {name: np.atleast_1d(values) for name, values in arrays.items()}
    observations, steps = arrays["observations"], len(arrays["actions"])
    if len(observations) != steps + 1 or arrays["rewards"].shape != (steps,):
        raise UsageError(
            f"{path}: observations {list(observations.shape)}, actions "
            f"{list(arrays['actions'].shape)} and rewards {list(arrays['rewards'].shape)} do not "
            "fit: an episode of T steps has T + 1 observations, T actions and T rewards"
        )
    if observations.ndim not in (2, 4):
        raise UsageError(
            f"{path}: observations have the shape {list(observations.shape)}; those of T steps are "
            "(T + 1, numbers), or (T + 1, channels, height, width) of pictures"
        )
    pictures = observations.dtype == np.uint8
    return _checked(
        str(path),
        observations if pictures else observations.astype(np.float32),
        arrays["actions"],
        arrays["rewards"],
        _ended(str(path), arrays["terminated"], steps),
        discrete,
    )


def _ended(name: str, terminated: np.ndarray, steps: int) -> bool:
    """Whether the world ended an episode, by one truth value or by one of each step."""
    if terminated.shape not in ((1,), (steps,)) or terminated.dtype.kind not in "fiub":
        raise UsageError(
            f"{name}: terminated has the shape {list(terminated.shape)} of {terminated.dtype}; it "
            "is one truth value, or one for each step"
        )
    early = np.flatnonzero(terminated[:-1] > 0)
    if len(early):
        raise UsageError(
            f"{name}: step {int(early[0])} ended the episode, and steps follow: what comes after "
            "it is another episode"
        )
    return bool(terminated[-1] > 0)


def _of_table(path: Path, discrete: bool) -> Iterator[Episode]:
    columns = _columns(path)
    observed = _numbered(columns, "observation")
    acted = ["action"] if "action" in columns else _numbered(columns, "action")
    missing = [
        name
        for name, there in (
            ("observation_0", observed),
            ("action", acted),
            ("reward", "reward" in columns),
            ("terminated", "terminated" in columns),
        )
        if not there
    ]
    if missing:
        raise UsageError(f"{path}: it has no column {', '.join(missing)}; it has {sorted(columns)}")
    rows = len(columns["reward"])
    if rows == 0:
        raise UsageError(f"{path}: there is no row in it")
    episode_of = columns.get("episode", np.zeros(rows))
    for number in dict.fromkeys(episode_of.tolist()):
        chosen = np.flatnonzero(episode_of == number)
        name = f"{path}, episode {number:g}" if "episode" in columns else str(path)
        if (np.diff(chosen) != 1).any():
            raise UsageError(f"{name}: its rows do not stand together; sort the file by episode")
        if "step" in columns:
            _check_steps(name, columns["step"][chosen])
        actions = np.stack([columns[each][chosen] for each in acted], 1)
        if not np.isnan(actions[-1]).all():
            raise UsageError(
                f"{name}: its last row has an action, and no row what followed: the last row of an "
                "episode holds the observation after its last step, with an empty action"
            )
        yield _checked(
            name,
            np.stack([columns[each][chosen] for each in observed], 1).astype(np.float32),
            actions[:-1, 0] if acted == ["action"] else actions[:-1],
            columns["reward"][chosen][:-1],
            len(chosen) > 1 and _ended(name, columns["terminated"][chosen][:-1], len(chosen) - 1),
            discrete,
        )


def _columns(path: Path) -> dict[str, np.ndarray]:
    return _of_csv(path) if path.suffix.lower() == ".csv" else _of_parquet(path)


def _of_csv(path: Path) -> dict[str, np.ndarray]:
    # A spreadsheet begins its files with a mark of their encoding, which is no part of a name.
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    if not any(line.strip() for line in lines[1:]):
        raise UsageError(f"{path}: it has no row below a line of names")
    try:
        table: Any = np.genfromtxt(lines, delimiter=",", names=True, dtype=np.float64)
    except ValueError as error:
        text = " ".join(str(error).split())
        raise UsageError(
            f"{path} is not a table of numbers, with commas between: {text}"
        ) from error
    return {name: np.atleast_1d(table[name]) for name in table.dtype.names or ()}


def _of_parquet(path: Path) -> dict[str, np.ndarray]:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{path}: reading parquet needs pyarrow: {install_hint('zoo-worldmodels[parquet]')}"
        ) from error
    parquet: Any = pyarrow.parquet
    try:
        table = parquet.read_table(path)
        return {
            name: np.asarray(table[name].to_numpy(zero_copy_only=False), dtype=np.float64)
            for name in table.column_names
        }
    except (OSError, ValueError, TypeError) as error:  # also what pyarrow calls invalid
        text = " ".join(str(error).split())
        raise UsageError(f"{path} is not a table of numbers as parquet: {text}") from error


def _numbered(columns: dict[str, np.ndarray], name: str) -> list[str]:
    count = 0
    while f"{name}_{count}" in columns:
        count += 1
    return [f"{name}_{number}" for number in range(count)]


def _check_steps(name: str, steps: np.ndarray) -> None:
    gaps = np.flatnonzero(steps != np.arange(len(steps)))
    if len(gaps):
        raise UsageError(
            f"{name}: step {int(gaps[0])} is missing, {steps[gaps[0]]:g} stands in its place: a "
            "log with a gap is two episodes"
        )


def _checked(
    name: str,
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    terminated: bool,
    discrete: bool,
) -> Episode:
    if len(actions) == 0:
        raise UsageError(f"{name}: there is no step in it")
    for what, values in (("observation", observations), ("action", actions), ("reward", rewards)):
        if values.dtype.kind not in "fiub":
            raise UsageError(f"{name}: its {what}s are {values.dtype}, not numbers")
        wrong = ~np.isfinite(values.reshape(len(values), -1)).all(1)
        if wrong.any():
            raise UsageError(f"{name}: the {what} of step {int(wrong.argmax())} is not a number")
    if discrete and (actions.ndim != 1 or (actions != np.round(actions)).any()):
        raise UsageError(f"{name}: discrete actions are one whole number a step")
    if not discrete and actions.ndim == 1:
        actions = actions[:, None]
    kind = np.int64 if discrete else np.float32
    return Episode(observations, actions.astype(kind), rewards.astype(np.float32), terminated, name)
