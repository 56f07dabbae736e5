"""Images of several channels: a fourth axis, or one file a channel (NAME_0000, NAME_0001, ...)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError
from zoo_segmentation.data.nifti import (
    TOLERANCE,
    Scan,
    count_channels,
    grid_distance,
    on_grid_of,
    read_image,
    stem,
)

# case_0000.nii.gz, case_0001.nii.gz, ...: one file a channel, as nnU-Net names them.
_CHANNEL = re.compile(r"(.+)_(\d{4})")


def channel_of(path: Path) -> str | None:
    """NAME of a file called ``NAME_0000.nii.gz``, that of one channel; None of another."""
    match = _CHANNEL.fullmatch(stem(path))
    return match[1] if match else None


def image_name(path: Path) -> str | None:
    """NAME if the file, called ``NAME_0000.nii.gz``, holds one channel; None of another.

    A file with channels of its own is an image of its own, whatever its number.
    """
    name = channel_of(path)
    if name is None:
        return None
    try:
        return name if count_channels(path) == 1 else None
    except UsageError:  # said when it is read
        return name


def channel_files(path: Path) -> list[Path]:
    """The files of an image's channels: ``path`` alone, or with ``NAME_0000`` all of ``NAME``."""
    name = image_name(path)
    if name is None:
        return [path]
    found = path.parent.glob(f"{_escaped(name)}_[0-9][0-9][0-9][0-9].nii*")
    return sorted(other for other in found if other == path or image_name(other) == name)


def read_channels(paths: Sequence[Path], channels: int | None) -> Scan:
    """Read an image from one file, or from one file a channel.

    Raises:
        UsageError: a file cannot be used, one is missing, or they do not lie on one grid.
    """
    if channels is not None and channels > 1:
        _require_channels(paths, channels)
    if len(paths) == 1:
        return read_image(paths[0], channels)
    if channels is not None and len(paths) != channels:
        raise UsageError(
            f"{paths[0]}: there are {len(paths)} channels ({', '.join(p.name for p in paths)}) and "
            f"have to be {channels}; every image needs all of them"
        )
    scans = [read_image(path, 1) for path in paths]
    first = scans[0]
    for path, scan in zip(paths, scans, strict=True):
        tolerance = TOLERANCE * min(first.spacing)
        if scan.shape != first.shape or grid_distance(scan, first) > tolerance:
            raise UsageError(
                f"{path} and {paths[0]} do not lie on one grid (shape or affine matrix differ); "
                "register them"
            )
    return replace(first, array=np.concatenate([on_grid_of(first, scan) for scan in scans]))


def _require_channels(paths: Sequence[Path], channels: int) -> None:
    """Name the channels' files that are missing beside those that are there."""
    first = paths[0]
    name = channel_of(first)
    if name is None or (len(paths) == 1 and count_channels(first) > 1):
        return
    suffix = first.name[len(stem(first)) :]
    there = {stem(path) for path in paths}
    wanted = [f"{name}_{number:04d}" for number in range(channels)]
    missing = [f"{file}{suffix}" for file in wanted if file not in there]
    if missing:
        raise UsageError(
            f"{first.parent} lacks {', '.join(missing)} beside {first.name}; every image has to "
            f"have {channels} channels, here a file each"
        )


def _escaped(name: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", name)
