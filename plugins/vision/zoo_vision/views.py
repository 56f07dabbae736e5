"""Changed views of images for test-time augmentation: those that the training showed, at half its
strength."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo_vision.augmentation import Deformation
from zoo_vision.batch_augmentation import Augmentation
from zoo_vision.labels import Labels

STRENGTH = 0.5
"""Of the largest change in training: half of all changes are smaller."""


def affine_views(deformation: Deformation, augmentation: Augmentation) -> dict[str, Tensor]:
    """Maps (2, 3) from output to source, in units of ``affine_grid``, by what they do.

    Args:
        deformation: Of the training; only what it changes at random is changed.
        augmentation: Likewise, of which the flips count.
    """
    views: dict[str, Tensor] = {}
    if augmentation.hflip:
        views["mirrored"] = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    if augmentation.vflip:
        views["upside down"] = torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    if angle := STRENGTH * deformation.rotation:
        for name, turn in ((f"turned by {angle:g} degrees", angle), ("and back", -angle)):
            cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
            views[name] = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0]])
    if change := STRENGTH * deformation.scaling:
        for name, factor in (("larger", 1 + change), ("smaller", 1 - change)):
            views[f"{name} by {change:.0%}"] = torch.tensor(
                [[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]]
            )
    if shift := STRENGTH * deformation.translation:
        places = {"left": (2, 0), "right": (-2, 0), "up": (0, 2), "down": (0, -2)}
        for name, (x, y) in places.items():
            views[f"moved {name} by {shift:.1%}"] = torch.tensor(
                [[1.0, 0.0, x * shift], [0.0, 1.0, y * shift]]
            )
    return views


def mean_logits(
    model: torch.nn.Module, images: Tensor, views: Mapping[str, Tensor], border: str, labels: Labels
) -> Tensor:
    """Logits of the mean probabilities of images and their views.

    Args:
        model: From images to logits (N, classes).
        images: uint8, or float in [0, 1]; (N, C, H, W).
        views: As of ``affine_views``.
        border: What lies beyond an image, as of ``Deformation``.
        labels: From logits to probabilities and back.
    """
    values = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    total = labels.probabilities(model(images).float())
    for view in views.values():
        theta = view.to(values).expand(len(values), 2, 3)
        grid = F.affine_grid(theta, list(values.shape), align_corners=False)
        moved = F.grid_sample(values, grid, padding_mode=border, align_corners=False)
        total = total + labels.probabilities(model(moved).float())
    return labels.logits(total / (1 + len(views)))
