"""A user's files as clips that a model takes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_lipreading.data.align import UNITS_PER_FRAME, Segment, segments
from zoo_lipreading.data.avletters import NAME as AVLETTERS_NAME
from zoo_lipreading.data.avletters import read_lips, read_mfcc, resize
from zoo_lipreading.data.normalization import Normalizer, Statistics, from_text, statistics
from zoo_lipreading.video.decode import VIDEO_SUFFIXES
from zoo_lipreading.video.face import MouthFinder, mouth_finder
from zoo_lipreading.video.mouths import SIZE, read_mouth
from zoo_lipreading.video.sound import mfcc, read_sound

log = logging.getLogger(__name__)
SUFFIXES = (*VIDEO_SUFFIXES, ".mat", ".npy")
CLIPS = 40
"""Of a speaker, that statistics are taken from at most."""
FEW = 10
_ALIGN_RATE = 25.0


@dataclass(frozen=True)
class ClipSample:
    """A clip read from a user's file.

    Attributes:
        mouth: uint8 (T, H, W), to look at.
        video: float32 (T, H, W), normalized, for the model.
        frame_rate: Frames a second, of both.
        segments: Where the words are, if an alignment lies beside the file.
        audio: float32 (Ta, F), normalized, for models that hear.
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
    left out. A model normalized by its training clips uses their mean and deviation; one
    normalized by speaker those of all clips of the speaker, see `clips_of_speaker`; one by clip
    those of the whole file.

    Args:
        path: The file.
        preprocessing: The fact of that name of the data that the model was trained on.
        frame_rate: Frames a second that the model was trained on.
        audio_size: Features of a frame of sound, for models that hear.

    Raises:
        UsageError: the file cannot be used, naming it; or the mouth finder needs leave.
    """
    mouth, heard = _read(path, preprocessing, frame_rate, audio_size)
    mode = preprocessing.get("normalization")
    if mode == "global":
        normalizer = _of_training(preprocessing)
    elif mode == "speaker":
        key = json.dumps(preprocessing, sort_keys=True)
        normalizer = _of_speaker(clips_of_speaker(path), key, frame_rate, audio_size)
    else:
        normalizer = Normalizer("clip")
    return ClipSample(
        mouth,
        torch.from_numpy(normalizer.video(mouth, 0)),
        frame_rate,
        _segments(path, len(mouth), frame_rate),
        None if heard is None else torch.from_numpy(normalizer.audio(heard, 0)),
    )


def clips_of_speaker(path: Path) -> tuple[Path, ...]:
    """The clips taken to be of the same speaker as a file: those of its kind in its folder, and
    of AVLetters those with the same name at their end; of more than `CLIPS` an even choice."""
    named = AVLETTERS_NAME.fullmatch(path.name)
    ending = (f"_{named[3]}-lips.mat" if named else path.suffix).lower()
    found = sorted(
        each
        for each in path.parent.iterdir()
        if each.name.lower().endswith(ending) and not each.name.startswith(".")
    )
    if len(found) <= CLIPS:
        return tuple(found)
    return tuple(found[round(at)] for at in np.linspace(0, len(found) - 1, CLIPS))


@lru_cache(maxsize=16)
def _of_speaker(
    paths: tuple[Path, ...], preprocessing: str, frame_rate: float, audio_size: int | None
) -> Normalizer:
    """Statistics of all these clips; what cannot be read is left out, and told of where it is
    itself to be predicted."""
    mouths, sounds = [], []
    for path in paths:
        try:
            mouth, heard = _read(path, json.loads(preprocessing), frame_rate, audio_size)
        except UsageError as error:
            log.debug("Not among the clips of the speaker: %s", error)
            continue
        mouths.append(mouth)
        if heard is not None:
            sounds.append(heard)
    if len(mouths) < FEW:
        log.warning(
            "The model is normalized by speaker, and %s holds %d clip(s) of the speaker; %d or "
            "more in one folder are read better",
            paths[0].parent,
            len(mouths),
            FEW,
        )
    found: Mapping[int | None, Statistics] = {None: statistics(mouths, "video")}
    return Normalizer("global", found, {None: statistics(sounds, "audio")} if sounds else None)


def _read(
    path: Path, preprocessing: Mapping[str, Any], frame_rate: float, audio_size: int | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mouth and features of the sound, not normalized."""
    size = preprocessing.get("size") or SIZE
    if path.suffix.lower() == ".mat":
        mouth = read_lips(path, size)
    elif path.suffix.lower() == ".npy":
        mouth = resize(_read_array(path), size)
    else:
        mouth = _read_video(path, preprocessing.get("crop") or {}, size, frame_rate)
    if audio_size is None:
        return mouth, None
    heard = _read_audio(path, len(mouth) / frame_rate, preprocessing.get("sound"))
    if heard.shape[1] != audio_size:
        raise UsageError(
            f"{path}: its sound has {heard.shape[1]} features, and the model takes {audio_size}"
        )
    return mouth, heard


def _read_video(path: Path, crop: Mapping[str, Any], size: Any, frame_rate: float) -> np.ndarray:
    # Data whose publisher did the cropping say in what shape.
    shape = crop.get("size") or size
    return resize(read_mouth(path, _finder(crop), shape, frame_rate), size)


def _finder(crop: Mapping[str, Any]) -> MouthFinder:
    """The finder that the training data were cropped by; whether it may be used was asked when
    the model was built."""
    name = str(crop.get("finder", "haar"))
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
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path} is not a readable .npy file ({error})") from error
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
    raise UsageError(f"{path}: the model takes sound too: give it {takes}")


def _of_training(preprocessing: Mapping[str, Any]) -> Normalizer:
    """The statistics that the bundle carries."""
    found: dict[str, dict[int | None, Statistics]] = {}
    for kind, shape in (("video", preprocessing["size"]), ("audio", [-1])):
        if f"{kind}_mean" in preprocessing:
            mean = from_text(preprocessing[f"{kind}_mean"], shape)
            found[kind] = {None: (mean, from_text(preprocessing[f"{kind}_std"], shape))}
    return Normalizer("global", found.get("video"), found.get("audio"))


def _segments(path: Path, frames: int, frame_rate: float) -> list[Segment] | None:
    """The words' places in frames, of an alignment where GRID's layouts have it."""
    near = path.parent
    folders = (
        near,
        near / "align",
        near.parent / "align",  # s1/video/NAME.mpg
        near.parent.parent / "align",  # s1/video/mpg_6000/NAME.mpg
        near.parent / "alignments" / near.name,  # LipNet's
    )
    places = (folder / f"{path.stem}.align" for folder in folders)
    align = next((place for place in places if place.is_file()), None)
    if align is None:
        return None
    if frame_rate != _ALIGN_RATE:
        raise UsageError(
            f"{align} counts frames of 1/25 s ({UNITS_PER_FRAME} units), and the model takes "
            f"{frame_rate:g} frames a second; remove it to read the clip as one word"
        )
    return segments(align, frames, any_word=True)
