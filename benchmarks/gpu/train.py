"""Every family trains through the entrypoint, and what was trained can be used without a GPU."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import zoo
from gpu.cases import CASES, QUICK, experiment, run
from gpu.observers import HostWaits
from gpu.record import CUDA, DEVICE, attempt, finish

SCALED = ("mpcnn", "lipreader", "pyramid-grouped", "monai-unet")
"""Cases tried in float16 with a gradient scaler."""


def main() -> None:
    """Float32, bfloat16, float16, then a trained model at work."""
    for precision in ("32-true", "bf16-mixed"):
        for name in CASES:
            attempt("train", f"{name}, {precision}", lambda n=name, p=precision: trained(n, p))
    for name in SCALED if CUDA else ():
        attempt("train", f"{name}, 16-mixed", lambda name=name: trained(name, "16-mixed"))
    attempt("train", "predict, test and export", at_work)
    finish()


def trained(name: str, precision: str) -> dict[str, Any]:
    """Three steps, a validation, a test, plots and the bundle.

    Returns:
        Some metrics, and where the second step waits for the GPU.

    Raises:
        AssertionError: the run is not finished, or its bundle is not finite numbers on the CPU.
    """
    waits = HostWaits()
    with tempfile.TemporaryDirectory() as folder:
        found = experiment(name, {**QUICK, "trainer.precision": precision})
        done = run(found, Path(folder) / "run", [waits])
        assert done.finished, "the run is not finished"
        for key, value in zoo.load(done.path).named_parameters():
            assert value.device.type == "cpu", f"{key} was loaded to {value.device}"
            assert value.isfinite().all(), f"{key} is not finite"
        metrics = {key: round(value, 5) for key, value in list(done.metrics.items())[:4]}
    return {**waits.facts, "metrics": metrics}


def at_work() -> dict[str, Any]:
    """Predict on both devices, test and export a model that this device trained.

    Raises:
        AssertionError: the devices name other classes.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = experiment("mpcnn", {**QUICK, "trainer.limit_train_batches": 20})
        done = run(found, folder / "run")
        for index in range(3):
            picture = np.full((8, 8), 60 * index, np.uint8)
            Image.fromarray(picture).save(folder / f"{index}.png")
        files = sorted(folder.glob("*.png"))
        labels = [
            [row["label"] for row in zoo.predict(done.path, files, device=device).rows]
            for device in (DEVICE, "cpu")
        ]
        assert labels[0] == labels[1], f"{labels[0]} on {DEVICE}, {labels[1]} on the CPU"
        accuracy = zoo.evaluate(done.path)["test/accuracy"]
        differences = {
            kind: zoo.export(done.path, kind, folder / file).difference
            for kind, file in (("torch-export", "model.pt2"), ("onnx", "model.onnx"))
        }
    return {"accuracy": accuracy, **differences}


if __name__ == "__main__":
    main()
