"""Where the mouth is in a clip."""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from zoo.plugin import UsageError, require_trusted_module
from zoo_lipreading.errors import LeftOutError

FRAMES_LOOKED_AT = 8
_SMALLEST_FACE = 0.2
"""Of the frame's shorter side."""
_SCALE, _NEIGHBORS = 1.1, 4
# A mouth in the box of the face that the cascade finds: center and width, in the box's size.
_CENTER_X, _CENTER_Y, _WIDTH = 0.5, 0.79, 0.56
_local = threading.local()


class NoMouthError(LeftOutError):
    """A clip has nothing to read: no face, or nothing but gray."""


class MouthFinder(Protocol):
    """Finds the mouth in a clip; any function will do.

    It may have an attribute ``version``, text that goes into the cache's key: change it when the
    same clip gives other boxes.
    """

    def __call__(self, frames: np.ndarray, /) -> np.ndarray | None:
        """Find it.

        Args:
            frames: uint8 (T, H, W).

        Returns:
            Left, top, width and height of the mouth in pixels: (4,) for the whole clip, or
            (T, 4) for each frame; None if there is none. The box is widened to the shape that
            the model takes.
        """
        ...


def find_by_haar(frames: np.ndarray, /) -> np.ndarray | None:
    """A steady box from OpenCV's Haar cascade for frontal faces.

    A few frames spread over the clip are looked at; the median of the faces found there is the
    clip's, and the mouth lies at a fixed place in it.

    Source: Viola, Jones: Rapid Object Detection using a Boosted Cascade of Simple Features, CVPR
    2001; OpenCV's haarcascade_frontalface_default.
    """
    height, width = frames.shape[1:]
    least = max(24, round(_SMALLEST_FACE * min(height, width)))
    faces = []
    places = np.linspace(0, len(frames) - 1, min(FRAMES_LOOKED_AT, len(frames)))
    for index in places.round().astype(int):
        boxes = _cascade().detectMultiScale(
            frames[index], _SCALE, _NEIGHBORS, minSize=(least, least)
        )
        if len(boxes):
            faces.append(max(boxes, key=lambda box: box[2]))
    if not faces:
        return None
    x, y, w, h = np.median(faces, axis=0)
    mouth = _WIDTH * w
    return np.array(
        [x + _CENTER_X * w - mouth / 2, y + _CENTER_Y * h - mouth / 4, mouth, mouth / 2]
    )


find_by_haar.version = "1"  # type: ignore[attr-defined]


def whole_frame(frames: np.ndarray, /) -> np.ndarray | None:
    """The box of the whole frame, for clips that show nothing but a mouth."""
    height, width = frames.shape[1:]
    return np.array([0, 0, width, height])


FINDERS: dict[str, MouthFinder] = {"haar": find_by_haar, "whole": whole_frame}


def mouth_finder(name: str) -> MouthFinder:
    """The finder of that name.

    Args:
        name: ``haar``; ``whole`` for images that are mouths already; or any function as
            ``package.module:function``.

    Raises:
        UsageError: there is none.
    """
    if name in FINDERS:
        return FINDERS[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise UsageError(
            f"there is no mouth finder {name!r}; it is {' or '.join(FINDERS)}, or a function of "
            "yours as package.module:function"
        )
    try:
        finder: MouthFinder = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the mouth finder {name!r} cannot be imported ({error})") from error
    if not callable(finder):
        raise UsageError(f"the mouth finder {name!r} is not a function")
    return finder


def require_trusted(name: str) -> None:
    """Refuse a finder that is a function of somebody's, where a bundle or somebody's recipe names
    it and the user did not allow its module.

    Raises:
        UsageError: it is not allowed.
    """
    if name not in FINDERS:
        require_trusted_module(name.partition(":")[0], f"the mouth finder {name!r}")


def _cascade() -> cv2.CascadeClassifier:
    """OpenCV's classifier, one a thread: it keeps what it works on inside."""
    if not hasattr(_local, "cascade"):
        if not hasattr(cv2, "CascadeClassifier"):
            raise UsageError(
                f"OpenCV {cv2.__version__} has no Haar cascades; install "
                "'opencv-python-headless<5', or name another mouth finder"
            )
        path = Path(cv2.__file__).parent / "data" / "haarcascade_frontalface_default.xml"
        _local.cascade = cv2.CascadeClassifier(str(path))
    cascade: cv2.CascadeClassifier = _local.cascade
    return cascade
