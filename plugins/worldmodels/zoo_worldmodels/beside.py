"""Films of a world of pictures beside the dream of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from zoo_rl.episodes import Episodes
from zoo_rl.plots import save_gif
from zoo_rl.seeding import generator
from zoo_worldmodels.world_model import WorldModel

_FRAMES = 300


@torch.no_grad()
def film(world: WorldModel, played: Episodes, path: Path, temperature: float, seed: int) -> None:
    """Write an episode as a GIF: what was seen at the left, and at the right what the model dreams
    from its first frame and the same actions.

    Args:
        world: Of pictures.
        played: One episode.
        path: The file.
        temperature: Of the dream.
        seed: Of its chances.
    """
    steps = min(int(played.lengths[0]), _FRAMES)
    random = generator(seed)
    state = world.memory.begin(world.seen(played.observations[0, :1]))
    frames = []
    for step in range(steps):
        real = played.observations[0, step]
        features = world.memory.readout(state)[:, : world.memory.features]
        dreamt = world.vision.decode(features * world.std + world.mean)[0].cpu()
        frames.append(np.concatenate([_frame(real), _frame(dreamt)], axis=1))
        action = world.coded(played.actions[0, step : step + 1].to(world.device))
        state, _, _ = world.dream(state, action, random, temperature)
    save_gif(frames, path, fps=30)


def _frame(picture: torch.Tensor) -> np.ndarray:
    """uint8 (C, H, W) as (4 H, 4 W, 3)."""
    image = picture.permute(1, 2, 0).numpy()
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    return image.repeat(4, axis=0).repeat(4, axis=1)
