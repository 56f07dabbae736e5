"""The pattern that a new block head leaves after a short fine-tuning, before and after the mend.

    ZOO_DATA=DATA python benchmarks/block_head.py [--seeds 2] [--epochs 2]

`pyramid-lstm-hippocampus` is fine-tuned to one class (anterior and posterior together) on 24 of the
volumes of Task04_Hippocampus, and predicts 8 others; once with a head drawn for each voxel of a
block by itself, once with one that is the same for all of them. Of the probability of the class,
within the true hippocampus, is given

- the share of its variance that has a period of 2 along an axis: the means of the 8 places in a
  block, squared deviations from their mean, over the variance within blocks
- the share of blocks, true as a whole, in which some voxels and not all are missed
- the Dice coefficient
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import machine
import numpy as np
import torch

import zoo
from zoo_segmentation.pyramid_lstm import PyramidLSTMSegmenter

TRAIN, TEST = 24, 8


def volumes(source: Path, folder: Path) -> None:
    """A folder of volumes in parts."""
    listed = json.loads((source / "dataset.json").read_text())["training"]
    pairs = sorted((source / each["image"], source / each["label"]) for each in listed)
    chosen = [("train", pair) for pair in pairs[:TRAIN]]
    chosen += [("test", pair) for pair in pairs[-TEST:]]
    for part, pair in chosen:
        for path, kind in zip(pair, ("images", "labels"), strict=True):
            (folder / part / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / part / kind / path.name)


def blocks(values: np.ndarray) -> np.ndarray:
    """(D, H, W) as (blocks, 8), without what an odd length leaves."""
    d, h, w = (length // 2 for length in values.shape)
    cut = values[: 2 * d, : 2 * h, : 2 * w].reshape(d, 2, h, 2, w, 2)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, 8)


def measure(model: PyramidLSTMSegmenter, data: zoo.plugin.ZooDataModule) -> tuple[float, ...]:
    inside, missed, hit, size = [], [], 0, 0
    for batch in data.test_dataloader():
        with torch.inference_mode():
            probs = model.probabilities(batch["image"])[0, 1].numpy()
        true = batch["label"][0, 0].numpy() > 0
        found = probs > 0.5
        hit, size = hit + (found & true).sum(), size + found.sum() + true.sum()
        whole = blocks(true).all(axis=1)
        inside.append(blocks(probs)[whole])
        missed.append(1 - blocks(found.astype(float))[whole].mean(axis=1))
    values, share = np.concatenate(inside), np.concatenate(missed)
    within = ((values - values.mean(axis=1, keepdims=True)) ** 2).mean()
    periodic = ((values.mean(axis=0) - values.mean()) ** 2).mean()
    return periodic / within, ((share > 0) & (share < 1)).mean(), 2 * hit / size


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    print(f"{machine.describe()}; {machine.today()}")
    print("| head | seed | share of period 2 | blocks with holes | Dice |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "volumes"
        volumes(Path(os.environ["ZOO_DATA"]) / "Task04_Hippocampus", root)
        for seed in range(1, options.seeds + 1):
            for name in ("drawn for each voxel", "shared over the block"):
                overrides = {
                    "seed": seed,
                    "data.root": str(root),
                    "data.labels": {0: 0, 1: 1, 2: 1},
                    "data.label_names": ["background", "hippocampus"],
                    "data.patch_size": [32, 48, 32],
                    "data.val_fraction": 0.0,
                    "trainer.max_epochs": options.epochs,
                    "trainer.enable_progress_bar": False,
                }
                out = Path(scratch) / f"{name}-{seed}".replace(" ", "-")
                # As it was: the head stays as the constructor left it.
                old = mock.patch.object(PyramidLSTMSegmenter, "start_head", return_value=None)
                if name.startswith("drawn"):
                    with old:
                        run = zoo.finetune(
                            "pyramid-lstm-hippocampus", "volume-folder", overrides, out=out
                        )
                else:
                    run = zoo.finetune(
                        "pyramid-lstm-hippocampus", "volume-folder", overrides, out=out
                    )
                from zoo.recipes.experiment import resolve

                data = resolve(run.recipe).build_data()
                found = measure(zoo.load(run.path), data)
                cells = f"{found[0]:.3f} | {found[1]:.1%} | {found[2]:.4f}"
                print(f"| {name} | {seed} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
