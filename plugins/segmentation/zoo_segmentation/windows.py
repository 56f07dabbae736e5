"""Whole volumes by overlapping windows, as many at a time as memory holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import lightning as L
import torch
from torch import Tensor

from zoo.plugin import ZooError
from zoo_segmentation.memory import first_that_fits, format_shape, is_out_of_memory

WINDOWS_AT_ONCE = 8
"""Windows that a GPU predicts at a time, as long as its memory lasts."""


class WindowedModule(L.LightningModule):
    """A module whose logits of whole volumes are those of windows, blended.

    Attributes:
        in_channels: Channels of the volumes.
        num_classes: Number of classes.
        window: Size of the windows, 0 for the whole of an axis.
        overlap: Part of a window that the next one covers again.
        blending: Standard deviation of the Gaussian that weighs voxels, as a part of a window.
        flips: Spatial axes along which the volumes are flipped too, in all combinations.
    """

    in_channels: int
    num_classes: int
    window: list[int]
    overlap: float
    blending: float
    flips: list[int]
    _windows_at_once = WINDOWS_AT_ONCE

    def probabilities(self, images: Tensor) -> Tensor:
        """Predict whole volumes by overlapping windows, blended by Gaussian weights.

        Args:
            images: (N, in_channels, *spatial), of any size; padded where a window is larger.

        Returns:
            float32 (N, num_classes, *spatial).

        Raises:
            ZooError: memory ran out; names a window that fits.
        """
        total: Tensor | None = None
        count = 0
        for number in range(len(self.flips) + 1):
            for axes in combinations(self.flips, number):
                flipped = [axis + 2 for axis in axes]
                part = self._windows(images.flip(flipped)).flip(flipped)
                total = part if total is None else total + part
                count += 1
        assert total is not None
        return total / count

    def _windows(self, image: Tensor) -> Tensor:
        # A GPU takes several windows in the time of one; fewer where memory runs out.
        at_once = 1 if self.device.type == "cpu" else self._windows_at_once
        while at_once:
            try:
                return self._blended(image, self.window, at_once)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            at_once //= 2
            self._windows_at_once = max(at_once, 1)
        raise ZooError(self._what_fits_in_prediction(image))

    def _what_fits_in_prediction(self, image: Tensor) -> str:
        whole = image.shape[2:]
        window = [size or length for size, length in zip(self.window, whole, strict=True)]
        fits = first_that_fits(partial(self._try_window, whole), 1, window)
        message = (
            f"memory ran out in predicting {format_shape(whole)} voxels by windows of "
            f"{format_shape(window)}; "
        )
        if fits is None:
            return message + "no smaller ones fit either: take smaller volumes or another device"
        return message + (
            f"windows of {format_shape(fits[1])} fit: set model.window to {fits[1]}, in the recipe "
            "or on the model that zoo.load gives, or predict on another device"
        )

    def _try_window(self, whole: Sequence[int], batch: int, window: list[int]) -> None:
        # The blended result and its weights, of the whole volume.
        blended = torch.empty(self.num_classes + 1, *whole, device=self.device)
        part = torch.zeros(batch, self.in_channels, *window, device=self.device)
        with torch.no_grad():
            self(part).float().softmax(dim=1)
        del blended

    def _blended(self, image: Tensor, window: Sequence[int], at_once: int = 1) -> Tensor:
        sizes = zip(window, image.shape[2:], strict=True)
        if all(size in (0, length) for size, length in sizes):
            probs: Tensor = self(image).float().softmax(dim=1)
            return probs
        from monai.inferers import (
            sliding_window_inference,  # seconds, which a whole volume needs not
        )

        result = sliding_window_inference(
            image,
            window,
            sw_batch_size=at_once,
            predictor=lambda part: self(part).float().softmax(dim=1),
            overlap=self.overlap,
            mode="gaussian",
            sigma_scale=self.blending,
        )
        assert isinstance(result, Tensor)
        return result
