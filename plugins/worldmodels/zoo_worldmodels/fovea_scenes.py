"""Pictures with a target, a fovea that moves over them, and the data `fovea`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.plugin import Facts, NumberedSteps, at_least
from zoo_rl.seeding import generator

SIDE = 64
"""Pixels of a picture's side."""
LEVELS = ((2, 3), (6, 7), (18, 19))
"""Of receptive fields: pixels from one to the next, and the side of what each is the mean of."""
ACROSS = 5  # fields of a level, in a row and in a column
INPUTS = len(LEVELS) * ACROSS**2
FINE = ACROSS**2  # the fields of the first level, which come first
REACH = 12.0
"""Pixels of the longest move, along each axis."""
MOVES = 8
"""To the target, at most."""
FOUND = 2.0
"""Pixels from the fovea's center within which a target is found."""
GROUND = 0.125
"""What is seen outside a picture: the mean of the ground in it, that edges be no darker."""
_RADIUS = 4.0
_SHAPES = 3
_PARTS = {"val": 1, "test": 2}
_WANTED, _ANYWHERE = 3, 4


@dataclass(frozen=True)
class Scenes:
    """N pictures, each with one target.

    Attributes:
        pictures: float32 (N, 64, 64), from 0 to 1.
        targets: Where the target's middle is, (N, 2): column and row, in pixels.
    """

    pictures: Tensor
    targets: Tensor

    @staticmethod
    def draw(count: int, random: torch.Generator) -> Scenes:
        """A target, a bright disc, among gray rectangles on an uneven ground.

        Args:
            count: Pictures.
            random: What they are drawn from.
        """
        coarse = torch.rand(count, 1, 5, 5, generator=random)
        pictures = 0.05 + 0.15 * F.interpolate(coarse, (SIDE, SIDE), mode="bicubic")[:, 0]
        rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        for _ in range(_SHAPES):
            middle = _uniform(count, 2, 0, SIDE, random)[..., None, None]
            half = _uniform(count, 2, 1.5, 4, random)[..., None, None]
            gray = _uniform(count, 1, 0.3, 0.6, random)[..., None]
            inside = ((columns - middle[:, 0]).abs() < half[:, 0]) & (
                (rows - middle[:, 1]).abs() < half[:, 1]
            )
            pictures = torch.where(inside, gray, pictures)
        targets = _uniform(count, 2, _RADIUS, SIDE - 1 - _RADIUS, random)
        away = torch.hypot(columns - targets[:, 0, None, None], rows - targets[:, 1, None, None])
        # An edge of a pixel's width: where the target is, is seen in fractions of a pixel.
        disc = (_RADIUS + 0.5 - away).clamp(0, 1)
        return Scenes((pictures + (1 - pictures) * disc).clamp(0, 1), targets)


def _uniform(count: int, width: int, low: float, high: float, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, width, generator=random)


class Fovea:
    """Where one looks in each of N pictures: fine in the middle, coarse outside.

    Nothing of it is differentiated.

    Args:
        scenes: N pictures.
        places: The fovea's centers (N, 2), column and row, in pixels.
    """

    def __init__(self, scenes: Scenes, places: Tensor) -> None:
        self.scenes, self.places = scenes, places
        above = scenes.pictures - GROUND
        self._blurred = [(box @ above @ box)[:, None] for box in _BOXES]

    @torch.no_grad()
    def look(self) -> Tensor:
        """What the receptive fields see, less ``GROUND``, float32 (N, INPUTS), the finest first;
        0 outside."""
        seen = []
        for (spacing, _), blurred in zip(LEVELS, self._blurred, strict=True):
            points = self.places[:, None, None] + spacing * _GRID
            grid = 2 * points / (SIDE - 1) - 1
            seen.append(F.grid_sample(blurred, grid, align_corners=True)[:, 0].flatten(1))
        return torch.cat(seen, 1)

    @torch.no_grad()
    def move(self, actions: Tensor) -> Tensor:
        """Move, not beyond the pictures' edges, and look.

        Args:
            actions: (N, 2), from -1 to 1: columns and rows, in parts of ``REACH``.
        """
        self.places = (self.places + REACH * actions).clamp(0, SIDE - 1)
        return self.look()

    @property
    def distances(self) -> Tensor:
        """Pixels from the fovea's center to the target, (N,)."""
        found: Tensor = (self.places - self.scenes.targets).norm(dim=1)
        return found


_STEPS = torch.arange(ACROSS) - ACROSS // 2
_PIXELS = torch.arange(SIDE)
_BOXES = [
    ((_PIXELS[:, None] - _PIXELS).abs() <= side // 2).float() / side for _, side in LEVELS
]  # the means of rows, or of columns, of a level
_GRID = torch.stack(torch.meshgrid(_STEPS, _STEPS, indexing="xy"), -1).float()


class FoveaScenes(NumberedSteps):
    """Pictures with a target, and places from which a fovea sets out.

    Iterations of a learner that moves the fovea itself; validation and test have pictures and
    starts of their own, always the same.

    Args:
        iterations_per_epoch: Iterations of training between two validations.
        val_starts: Starts of a validation, each in a picture of its own.
        test_starts: Starts of the test.
        moves: Moves to the target, at most.
        seed: Of all that training draws.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_exempt = {  # noqa: RUF012  # read, never changed
        "seed-decides-order": "a batch is a number: the seed is that of all that is drawn"
    }

    def __init__(
        self,
        iterations_per_epoch: int = 100,
        val_starts: int = 100,
        test_starts: int = 100,
        moves: int = MOVES,
        seed: int = 0,
    ) -> None:
        super().__init__(iterations_per_epoch, 1, 1, seed)
        at_least("val_starts", val_starts, 1)
        at_least("test_starts", test_starts, 1)
        at_least("moves", moves, 1)
        self._counts = {"val": val_starts, "test": test_starts}
        self.moves = moves

    @property
    def facts(self) -> Facts:
        """``inputs``: receptive fields; ``fine``: how many of them, the first, see the middle."""
        return {"inputs": INPUTS, "fine": FINE}

    def wanted(self) -> Tensor:
        """What the fovea sees on a target, the mean over 256 pictures: (INPUTS,)."""
        scenes = Scenes.draw(256, generator(_WANTED))
        return Fovea(scenes, scenes.targets).look().mean(0)

    def anywhere(self) -> Tensor:
        """What it sees from 1,024 places anywhere, each in a picture of its own: (1024, INPUTS)."""
        return random_starts(1024, generator(_ANYWHERE)).look()

    def starts(self, stage: str, number: int) -> Fovea:
        """The starts of a validation or test, always the same.

        Args:
            stage: ``val`` or ``test``.
            number: Of the batch.
        """
        return random_starts(self._counts[stage], generator(_PARTS[stage], number))


def random_starts(count: int, random: torch.Generator) -> Fovea:
    """Foveas anywhere in new pictures."""
    scenes = Scenes.draw(count, random)
    return Fovea(scenes, (SIDE - 1) * torch.rand(count, 2, generator=random))
