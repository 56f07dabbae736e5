"""The paper's PyraMiD-LSTM net: a training step at each size of its curriculum, and a window
predicted."""

from __future__ import annotations

import functools
from typing import Any

import torch
from lightning.pytorch import LightningModule

from gpu.cases import HERE, require_data
from gpu.record import CUDA, DEVICE, attempt, finish
from gpu.timing import median, peak_memory
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.train import prepare_data

RECIPE = "segmentation/pyramid-lstm-isbi2012-paper"
STEPS = {(8, 64, 64): 3000, (15, 128, 128): 2000, (18, 256, 256): 1000, (25, 240, 240): 0}
"""Sub-volumes (voxels) and how many of them the recipe trains on. The last is MRBrainS' size."""
WINDOW = (6, 256, 256)
WARM = 3 if CUDA else 1
"""Calls that are not timed: at the third a layer is recorded as a CUDA graph."""
TOY = {"model.hidden": [2, 3, 4], "model.fully_connected": [2, 3], "model.kernel_size": 3}


def main() -> None:
    """Every size with and without recomputing."""
    for size, steps in STEPS.items() if CUDA else {(4, 16, 16): 1}.items():
        for recompute in (True, False):
            name = f"step, {size}, {'recomputing' if recompute else 'keeping'} states"
            attempt("paper", name, lambda s=size, n=steps, r=recompute: step(s, n, r))
    attempt("paper", "window predicted", predicted)
    finish()


def step(size: tuple[int, ...], steps: int, recompute: bool) -> dict[str, Any]:
    """Forward and backward in bfloat16.

    Args:
        size: Of the sub-volume.
        steps: How many the recipe takes of that size.
        recompute: The scans are recomputed in the backward pass.
    """
    model = net(recompute)
    image = torch.randn(1, 1, *size, device=DEVICE)
    label = torch.randint(2, (1, 1, *size), device=DEVICE)

    def once() -> None:
        with torch.autocast(DEVICE, torch.bfloat16):
            logits = model(image)
        model.loss(logits.float(), label).backward()

    taken = median(once, 1.5, WARM, most=8)
    hours = round(taken * steps / 3600, 3)
    return {"ms": round(1e3 * taken, 2), "hours_of_the_recipe": hours, **peak_memory(once)}


def predicted() -> dict[str, Any]:
    """A window of a test volume, in bfloat16."""
    model = net(recompute=True).eval()
    image = torch.randn(1, 1, *(WINDOW if CUDA else (4, 16, 16)), device=DEVICE)

    @torch.inference_mode()
    def once() -> None:
        with torch.autocast(DEVICE, torch.bfloat16):
            model(image)

    taken = median(once, 1.5, WARM, most=8)
    return {"size": list(image.shape[2:]), "ms": round(1e3 * taken, 2), **peak_memory(once)}


def net(recompute: bool) -> LightningModule:
    """The recipe's, on the device."""
    model = recipe(recompute).with_facts(facts()).build_model().to(DEVICE)
    assert isinstance(model, LightningModule)
    return model


@functools.cache
def facts() -> dict[str, Any]:
    """Of the recipe's data, which are read once."""
    return prepare_data(recipe(recompute=True))[1]


def recipe(recompute: bool) -> Experiment:
    """The recipe."""
    require_data("isbi2012")
    toy = {} if CUDA else TOY
    overrides = {**HERE, **toy, "model.checkpoint": recompute}
    return resolve(override(read_recipe(RECIPE), overrides))


if __name__ == "__main__":
    main()
