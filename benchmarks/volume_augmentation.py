"""What of a training step of MONAI's UNet is the augmentation of its sub-volumes.

    python benchmarks/volume_augmentation.py

The recipe segmentation/monai-unet-hippocampus on generated volumes of the hippocampus' size:
processor time of sub-volumes as they are cut, as the recipe changes them, the same by MONAI's own
transforms, and as ``augment: nnunet`` changes them; and of the rest of a step, forward, backward
and the optimizer. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import machine
import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandFlipd,
    RandRotated,
    RandScaleIntensityd,
    RandShiftIntensityd,
)

from zoo_segmentation.data.phantom import make_phantom
from zoo_segmentation.data.sampling import Patches, augmentation, collate
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.monai_nets import MonaiSegmenter

SIZE = (32, 48, 32)
COUNT = 100


def monais() -> Compose:
    both = ["image", "label"]
    turn: dict[str, Any] = {"mode": "nearest", "padding_mode": "reflection"}
    return Compose(
        [
            RandFlipd(both, prob=0.5, spatial_axis=2),
            RandRotated(both, range_x=np.deg2rad(10), prob=0.5, **turn),
            RandScaleIntensityd(["image"], factors=0.1, prob=0.5),
            RandShiftIntensityd(["image"], offsets=0.1, prob=0.5),
        ]
    )


def milliseconds(work: Callable[[int], object], count: int) -> float:
    for index in range(3):
        work(index)
    start = time.process_time()
    for index in range(count):
        work(index)
    return 1000 * (time.process_time() - start) / count


def main() -> None:
    torch.set_num_threads(1)
    volumes = []
    for seed in range(10):
        image, label = make_phantom(seed, (36, 50, 35))
        volumes.append(Volume(str(seed), image[:1], (label > 0).astype(np.uint8), (1.0, 1.0, 1.0)))
    ways = {
        "as cut": None,
        "by MONAI's transforms": monais(),
        "as the recipe changes them": augmentation([2], False, 10.0, 0.1, 0.0, 3),
        "augment: nnunet": augmentation([0, 1, 2], False, 0.0, 0.0, 0.0, 3, SIZE),
    }
    cost = {}
    for name, changes in ways.items():
        patches = Patches(volumes, SIZE, COUNT // 5, "balanced", changes, seed=1)
        cost[name] = 2 * milliseconds(patches.__getitem__, COUNT)
    model = MonaiSegmenter("UNet", patch_size=list(SIZE)).train()
    optimizer = torch.optim.AdamW(model.parameters())
    batch = collate([patches[0], patches[1]])

    def step(_: int) -> None:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(batch["image"])
        model.loss(logits.float(), batch["label"]).backward()
        optimizer.step()

    rest = milliseconds(step, 20)
    print(f"{machine.describe()}; {machine.today()}")
    print("| sub-volumes | ms a step of two | of the step |\n|---|---|---|")
    for name, spent in cost.items():
        print(f"| {name} | {spent:.1f} | {spent / (spent + rest):.1%} |")
    print(f"\nForward, backward and optimizer: {rest:.1f} ms.")


if __name__ == "__main__":
    main()
