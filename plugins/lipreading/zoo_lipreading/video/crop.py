"""From a clip and a mouth's place to small images of the mouth."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from zoo.plugin import UsageError
from zoo_lipreading.video.face import MouthFinder, NoMouthError

LEAST_CONTRAST = 4.0
"""Deviation of the gray values in a frame, below which it shows nothing."""


def crop_mouth(frames: np.ndarray, finder: MouthFinder, size: Sequence[int]) -> np.ndarray:
    """The mouth in every frame.

    Args:
        frames: uint8 (T, H, W).
        finder: Says where the mouth is.
        size: Height and width of the result; the mouth's box is widened to that shape.

    Returns:
        uint8 (T, *size).

    Raises:
        NoMouthError: the clip is all gray, or the finder finds nothing.
        UsageError: the finder gives something else than boxes.
    """
    if max(float(frame.std()) for frame in frames[:: max(1, len(frames) // 8)]) < LEAST_CONTRAST:
        raise NoMouthError("the clip is all gray")
    boxes = finder(frames)
    if boxes is None:
        raise NoMouthError("there is no face in the clip")
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.shape not in ((4,), (len(frames), 4)) or not (boxes[..., 2:] > 0).all():
        raise UsageError(
            f"the mouth finder gave {boxes.shape}; it takes left, top, width and height, once or "
            f"for each of {len(frames)} frames"
        )
    boxes = np.broadcast_to(boxes, (len(frames), 4))
    return np.stack([_crop(frame, box, size) for frame, box in zip(frames, boxes, strict=True)])


def _crop(frame: np.ndarray, box: np.ndarray, size: Sequence[int]) -> np.ndarray:
    height, width = size
    x, y, w, h = box
    scale = max(w / width, h / height)
    center = (x + w / 2, y + h / 2)
    # Shrinking by more than two needs an average, which a warp does not take.
    shrink = max(1, int(scale))
    matrix = np.array([[scale / shrink, 0, 0], [0, scale / shrink, 0]])
    wide, high = width * shrink, height * shrink
    matrix[:, 2] = (
        center[0] - scale / shrink * (wide - 1) / 2 - 0.5,
        center[1] - scale / shrink * (high - 1) / 2 - 0.5,
    )
    cropped = cv2.warpAffine(
        frame,
        matrix,
        (wide, high),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if shrink > 1:
        cropped = cv2.resize(cropped, (width, height), interpolation=cv2.INTER_AREA)
    return cropped
