"""A user's files as clips that a model takes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo_lipreading.data.align import UNITS_PER_FRAME, Segment, segments
from zoo_lipreading.data.avletters import read_lips, read_mfcc, resize
from zoo_lipreading.data.normalisation import Normaliser, Statistics, from_text
from zoo_lipreading.video.decode import VIDEO_SUFFIXES
from zoo_lipreading.video.face import FINDERS, MouthFinder, mouth_finder
from zoo_lipreading.video.mouths import SIZE, read_mouth
from zoo_lipreading.video.sound import mfcc, read_sound

log = logging.getLogger(__name__)
ALLOWED = "ZOO_MOUTH_FINDERS"
"""Environment variable: finders of one's own that a bundle may name, with commas between."""
SUFFIXES = (*VIDEO_SUFFIXES, ".mat", ".npy")
_ALIGN_RATE = 25.0


@dataclass(frozen=True)
class ClipSample:
    """A clip read from a user's file.

    Attributes:
        mouth: uint8 (T, H, W), to look at.
        video: float32 (T, H, W), normalised, for the model.
        frame_rate: Frames a second, of both.
        segments: Where the words are, if an alignment lies beside the file.
        audio: float32 (Ta, F), normalised, for models that hear.
    """

    mouth: np.ndarray
    video: Tensor
    frame_rate: float
    segments: list[Segment] | None
    audio: Tensor | None = None


def read_clip(
    path: Path, preprocessing: Mapping[str, Any], frame_rate: float, audio_size: int | None
) -> ClipSample:
    """Read a file and prepare it as the training data were.

    A video's mouth is found and cropped; ``.mat`` (of AVLetters) and ``.npy`` (uint8, frames x
    height x width) hold mouths already. A video of another frame rate has frames repeated or
    left out. A model normalised by its training clips uses their mean and deviation; all others
    use the file's own, all of it.

    Args:
        path: The file.
        preprocessing: The fact of that name of the data that the model was trained on.
        frame_rate: Frames a second that the model was trained on.
        audio_size: Features of a frame of sound, for models that hear.

    Raises:
        UsageError: the file cannot be used, naming it; or the mouth finder needs leave.
    """
    size = preprocessing.get("size") or SIZE
    if path.suffix.lower() == ".mat":
        mouth = read_lips(path, size)
    elif path.suffix.lower() == ".npy":
        mouth = resize(_read_array(path), size)
    else:
        mouth = _read_video(path, preprocessing.get("crop") or {}, size, frame_rate)
    normaliser = _normaliser(preprocessing)
    audio = None
    if audio_size is not None:
        heard = _read_audio(path, len(mouth) / frame_rate, preprocessing.get("sound"))
        if heard.shape[1] != audio_size:
            raise UsageError(
                f"{path}: its sound has {heard.shape[1]} features, and the model takes {audio_size}"
            )
        audio = torch.from_numpy(normaliser.audio(heard, 0))
    return ClipSample(
        mouth,
        torch.from_numpy(normaliser.video(mouth, 0)),
        frame_rate,
        _segments(path, len(mouth), frame_rate),
        audio,
    )


def _read_video(path: Path, crop: Mapping[str, Any], size: Any, frame_rate: float) -> np.ndarray:
    # Data whose publisher did the cropping say in what shape.
    shape = crop.get("size") or size
    return resize(read_mouth(path, _finder(crop), shape, frame_rate), size)


def _finder(crop: Mapping[str, Any]) -> MouthFinder:
    """The finder that the training data were cropped by.

    A bundle comes from anywhere, and what it names must not run unasked: only a finder of this
    plugin is used without leave.
    """
    name = str(crop.get("finder", "haar"))
    if name not in FINDERS and name not in os.environ.get(ALLOWED, "").split(","):
        raise UsageError(
            f"the model was trained on mouths found by {name!r}, which is not of this plugin; if "
            f"you trust that code, allow it by {ALLOWED}={name}"
        )
    found = mouth_finder(name)
    version = str(getattr(found, "version", ""))
    if version != str(crop.get("finder_version", version)):
        log.warning(
            "The mouth finder %s is of version %s, and the model was trained with version %s",
            name,
            version or "(none)",
            crop["finder_version"],
        )
    return found


def _read_array(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} is no readable .npy file ({error})") from error
    if array.dtype != np.uint8 or array.ndim != 3 or 0 in array.shape:
        raise UsageError(
            f"{path} is {array.dtype} of {' x '.join(map(str, array.shape))}; it takes mouths in "
            "uint8 of frames x height x width"
        )
    return array


def _read_audio(path: Path, seconds: float, sound: str | None) -> np.ndarray:
    """Features of the file's sound, of the kind that the model was trained on."""
    kind = path.suffix.lower()
    if sound == "mfcc" and kind in VIDEO_SUFFIXES:
        return mfcc(read_sound(path))
    if sound == "publisher" and kind == ".mat":
        return read_mfcc(path, seconds)
    takes = "videos with sound" if sound == "mfcc" else ".mat files of AVLetters, in their folder"
    raise UsageError(f"{path}: the model also hears; it takes {takes}")


def _normaliser(preprocessing: Mapping[str, Any]) -> Normaliser:
    if preprocessing.get("normalisation") != "global":
        return Normaliser("clip")
    size = preprocessing["size"]
    found: dict[str, dict[int | None, Statistics]] = {}
    for kind, shape in (("video", size), ("audio", [-1])):
        if f"{kind}_mean" in preprocessing:
            mean = from_text(preprocessing[f"{kind}_mean"], shape)
            found[kind] = {None: (mean, from_text(preprocessing[f"{kind}_std"], shape))}
    return Normaliser("global", found.get("video"), found.get("audio"))


def _segments(path: Path, frames: int, frame_rate: float) -> list[Segment] | None:
    """The words' places in frames, of an alignment beside the file or in ``../align``."""
    places = (path.with_suffix(".align"), path.parent.parent / "align" / f"{path.stem}.align")
    align = next((place for place in places if place.is_file()), None)
    if align is None:
        return None
    if frame_rate != _ALIGN_RATE:
        raise UsageError(
            f"{align} counts frames of 1/25 s ({UNITS_PER_FRAME} units), and the model takes "
            f"{frame_rate:g} frames a second; remove it to read the clip as one word"
        )
    return segments(align, frames, any_word=True)
