"""nnU-Net v2 itself on the hippocampus, on one thread of the CPU, for a given time.

Runs in an environment of its own, which has nnunetv2 and not the zoo; hippocampus.py calls it:

    uv venv NNUNET && uv pip install --python NNUNET/bin/python nnunetv2
    NNUNET/bin/python benchmarks/nnunet.py TASK_FOLDER OUT --minutes 12

TASK_FOLDER is Task04_Hippocampus. The last fifth of the volumes by name is predicted, all others
are trained on (fold ``all``), by nnU-Net's own plan ``3d_fullres``, augmentation, network, loss,
optimizer and schedule, and by its own inference with mirroring. Two things are set from outside:
how many steps there are, so that the schedule ends with the time, and how many of them make an
"epoch" (nnU-Net's is 250 steps, of which fewer fit). The time is processor time of the training,
which is what it takes on an idle core. In OUT are ``labels/NAME.nii.gz`` and ``nnunet.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

DATASET, STEPS, WARM_UP = "Dataset004_Hippocampus", 10, 3


def lay_out(task: Path, raw: Path) -> None:
    """The folders that nnU-Net reads: training volumes with labels, test volumes without."""
    folder = raw / DATASET
    names = sorted(path.name for path in (task / "imagesTr").glob("[!.]*.nii.gz"))
    held_out = names[len(names) - round(0.2 * len(names)) :]
    for inner in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / inner).mkdir(parents=True)
    for name in names:
        test = name in held_out
        channel = name.replace(".nii.gz", "_0000.nii.gz")
        images = folder / ("imagesTs" if test else "imagesTr")
        shutil.copy(task / "imagesTr" / name, images / channel)
        if not test:
            shutil.copy(task / "labelsTr" / name, folder / "labelsTr" / name)
    published = json.loads((task / "dataset.json").read_text(encoding="utf-8"))
    content = {
        "channel_names": published["modality"],
        "labels": {name: int(value) for value, name in published["labels"].items()},
        "numTraining": len(names) - len(held_out),
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def plan_and_preprocess() -> None:
    """Fingerprint, plan and preprocessed volumes, by one process."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import (
        extract_fingerprints,
        plan_experiments,
        preprocess,
    )

    extract_fingerprints([4], num_processes=1)
    plan_experiments([4])
    preprocess([4], configurations=["3d_fullres"], num_processes=[1])


def trainer(epochs: int, steps: int) -> Any:
    """nnU-Net's trainer on the CPU with a length of its own."""
    import torch
    from nnunetv2.run.run_training import get_trainer_from_args

    made = get_trainer_from_args(DATASET, "3d_fullres", "all", device=torch.device("cpu"))  # type: ignore[arg-type]
    made.num_epochs = epochs
    made.num_iterations_per_epoch, made.num_val_iterations_per_epoch = steps, 1
    return made


def seconds(epochs: int, steps: int) -> tuple[float, Any]:
    """Processor time of a training, and its trainer."""
    made = trainer(epochs, steps)
    made.initialize()
    began = time.process_time()
    made.run_training()
    return time.process_time() - began, made


def predict(made: Any, images: Path, out: Path) -> None:
    """Label maps of a folder, with nnU-Net's defaults."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(
        perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False
    )
    predictor.initialize_from_trained_model_folder(
        made.output_folder_base, ("all",), "checkpoint_final.pth"
    )
    out.mkdir()
    predictor.predict_from_files_sequential(str(images), str(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    base = options.out / "nnunet"
    for name in ("raw", "preprocessed", "results"):
        (base / name).mkdir(parents=True)
        os.environ[f"nnUNet_{name}"] = str(base / name)
    os.environ["nnUNet_n_proc_DA"] = "1"  # noqa: SIM112  # the planner's threads
    import numpy as np
    import torch

    lay_out(options.task, base / "raw")
    plan_and_preprocess()
    # Augmentation in this process, as the others do it.
    os.environ["nnUNet_n_proc_DA"] = "0"  # noqa: SIM112
    torch.set_num_threads(1)
    short, _ = seconds(1, 1)
    long, _ = seconds(1, 1 + WARM_UP)
    pace = max((long - short) / WARM_UP, 1e-3)
    # A step of validation in each epoch is without a backward pass, about a third of a step.
    epochs = max(1, round(60 * options.minutes / (pace * (STEPS + 0.35))))
    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    began = time.perf_counter()
    spent, made = seconds(epochs, STEPS)
    wall = time.perf_counter() - began
    predict(made, base / "raw" / DATASET / "imagesTs", options.out / "labels")
    plan = made.configuration_manager
    report = {
        "steps": epochs * STEPS,
        "patch": [int(length) for length in plan.patch_size],
        "batch": int(plan.batch_size),
        "seconds": spent,
        "wall": wall,
    }
    (options.out / "nnunet.json").write_text(json.dumps(report), encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
