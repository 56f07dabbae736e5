"""Films of a world beside the dream of it: pictures, or curves of what is observed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from zoo_rl.episodes import Episodes
from zoo_rl.plots import save_gif
from zoo_rl.seeding import generator
from zoo_worldmodels.dreaming import DreamingWorld

_FRAMES = 300
_WIDTH, _HEIGHT = 400, 64  # of a panel of curves, in pixels
_SHOWN = 6  # numbers of an observation, at most
_REAL, _DREAMT = "black", "orangered"


@torch.no_grad()
def film(world: DreamingWorld, played: Episodes, path: Path, temperature: float, seed: int) -> None:
    """Write an episode as a GIF: what was observed, and what the model dreams from the first
    observation and the same actions. Pictures stand side by side, reality at the left; of vectors
    each number has a panel, reality black and the dream red.

    Args:
        world: The world model.
        played: One episode.
        path: The file.
        temperature: Of the dream.
        seed: Of its chances.
    """
    steps = min(int(played.lengths[0]), _FRAMES)
    dreamt = _dreamt(world, played, steps, temperature, seed)
    if world.vision is None:
        real = world.describe(played.observations[0, : steps + 1].to(world.device, torch.float32))
        frames = curves(torch.stack([real, dreamt], 1).cpu())
    else:
        codes = dreamt * world.std + world.mean
        frames = [
            np.concatenate([_frame(real), _frame(world.vision.decode(code[None])[0].cpu())], axis=1)
            for real, code in zip(played.observations[0, : steps + 1], codes, strict=True)
        ]
    save_gif(frames, path, fps=30)


def _dreamt(
    world: DreamingWorld, played: Episodes, steps: int, temperature: float, seed: int
) -> Tensor:
    """Features of a dream, (steps + 1, F)."""
    random = generator(seed)
    state = world.memory.begin(world.seen(played.observations[0, :1]))
    features = [world.memory.readout(state)[0, : world.memory.features]]
    for step in range(steps):
        action = world.coded(played.actions[0, step : step + 1].to(world.device))
        state, _, _ = world.dream(state, action, random, temperature)
        features.append(world.memory.readout(state)[0, : world.memory.features])
    return torch.stack(features)


def curves(paths: Tensor) -> list[np.ndarray]:
    """Frames of curves that grow, uint8 (64 F, 400, 3) each.

    Args:
        paths: Reality and dream of F numbers, standardized, (T, 2, F).
    """
    paths = paths[..., :_SHOWN].clamp(-1e3, 1e3)
    low, high = paths.amin((0, 1)), paths.amax((0, 1))
    heights = 1 - (paths - low) / (high - low).clamp(min=1e-6)
    tops = _HEIGHT * torch.arange(paths.shape[2])
    y = (4 + heights * (_HEIGHT - 8) + tops).tolist()
    x = torch.linspace(4, _WIDTH - 4, max(2, len(paths))).tolist()
    image = Image.new("RGB", (_WIDTH, _HEIGHT * paths.shape[2]), "white")
    draw = ImageDraw.Draw(image)
    for top in tops.tolist():
        draw.line((0, top, _WIDTH, top), fill="lightgray")
    frames = [np.asarray(image)]
    for step in range(1, len(paths)):
        for which, color in enumerate((_REAL, _DREAMT)):
            for number in range(paths.shape[2]):
                ends = [(x[at], y[at][which][number]) for at in (step - 1, step)]
                draw.line(ends, fill=color, width=2)
        frames.append(np.asarray(image))
    return frames


def _frame(picture: Tensor) -> np.ndarray:
    """uint8 (C, H, W) as (4 H, 4 W, 3)."""
    image = picture.permute(1, 2, 0).numpy()
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    return image.repeat(4, axis=0).repeat(4, axis=1)
