"""``dataset.json``: what the Decathlon's and nnU-Net's folders say of themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from zoo.plugin import UsageError
from zoo_segmentation.data.nifti import SUFFIXES

NAME = "dataset.json"
IGNORE = "ignore"
"""nnU-Net's name of the label of voxels that are not to be learned."""


@dataclass(frozen=True)
class Description:
    """What a ``dataset.json`` says.

    Attributes:
        path: The file.
        label_names: Name of each value in the label maps.
        channel_names: The channels' names in their order.
        training: How many training images there are to be, if it says so.
    """

    path: Path
    label_names: dict[int, str]
    channel_names: list[str]
    training: int | None


def read_json(path: Path) -> Mapping[str, Any]:
    """A file that holds a JSON object.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not readable JSON ({error})") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} has to hold a JSON object")
    return content


def is_nnunet(about: Mapping[str, Any]) -> bool:
    """Whether it is nnU-Net's second format, which names numbers where the Decathlon's numbers
    names."""
    labels = about.get("labels")
    numbers = labels.values() if isinstance(labels, dict) else ()
    return "file_ending" in about or any(isinstance(number, int | list) for number in numbers)


def read_description(folder: Path) -> Description | None:
    """What a folder says of itself, in nnU-Net's or the Decathlon's format.

    Args:
        folder: With ``imagesTr``, ``labelsTr`` and perhaps ``dataset.json``.

    Returns:
        None if there is no such file.

    Raises:
        UsageError: it asks for something that is not supported, or is damaged.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    about = read_json(path)
    labels = about.get("labels", {})
    channels = about.get("channel_names", about.get("modality", {}))
    if not isinstance(labels, dict) or not isinstance(channels, dict):
        raise UsageError(f"{path}: 'labels' and 'channel_names' have to be JSON objects")
    if is_nnunet(about):
        _refuse_unsupported(path, about)
        labels = {number: name for name, number in labels.items()}
    training = about.get("numTraining")
    return Description(
        path,
        {_number(path, number): str(name) for number, name in labels.items()},
        [str(channels[number]) for number in sorted(channels, key=partial(_number, path))],
        training if isinstance(training, int) else None,
    )


def _refuse_unsupported(path: Path, about: Mapping[str, Any]) -> None:
    ending = str(about.get("file_ending", ".nii.gz"))
    if ending.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} says that the images end in {ending!r}; here they have to be NIfTI "
            f"({' or '.join(SUFFIXES)}): convert them, and change file_ending"
        )
    if "dataset" in about:
        raise UsageError(
            f"{path} lists files of other folders under 'dataset', which is not supported: put "
            "them into imagesTr/ and labelsTr/"
        )
    regions = [name for name, number in about["labels"].items() if isinstance(number, list)]
    if regions:
        raise UsageError(
            f"{path} trains on regions ({', '.join(regions)}: lists of labels that overlap), which "
            "is not supported: every voxel has one class here. Name the classes of the label maps "
            'themselves, {"labels": {"background": 0, ...}}'
        )


def _number(path: Path, text: object) -> int:
    try:
        return int(str(text))
    except ValueError as error:
        raise UsageError(f"{path}: {text!r} has to be a whole number") from error
