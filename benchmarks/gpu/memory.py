"""What is said when the GPU's memory runs out, under a limit that makes any card too small."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from gpu.cases import QUICK, run
from gpu.record import CUDA, LeftOut, attempt, finish
from zoo.errors import ZooError
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe

LIMIT = 256 * 2**20
"""Bytes that may be taken."""


def main() -> None:
    """Training on sub-volumes that are too large."""
    attempt("memory", "out of memory in training", out_of_memory)
    finish()


def out_of_memory() -> dict[str, Any]:
    """The error's message names sizes that fit.

    Raises:
        AssertionError: it does not, or nothing ran out.
        LeftOut: there is no GPU.
    """
    if not CUDA:
        raise LeftOut("the memory of a CPU has no limit that could be set")
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(LIMIT / total)
    sizes = {"data.size": [48, 64, 64], "data.patch_size": [48, 64, 64], "data.batch_size": 16}
    found = resolve(override(read_recipe("segmentation/pyramid-lstm-phantom"), {**QUICK, **sizes}))
    try:
        with tempfile.TemporaryDirectory() as folder:
            run(found, Path(folder) / "run")
    except ZooError as error:
        said = str(error)
        assert "--data.patch_size" in said, f"no size is named: {said}"
        return {"said": said}
    raise AssertionError(f"memory did not run out at {LIMIT / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
