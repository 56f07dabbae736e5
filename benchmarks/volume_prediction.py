"""Whole-volume prediction: `zoo predict` against a bare loop over MONAI's inferer, in one run.

    python benchmarks/volume_prediction.py REFERENCE FOLDER [--repeats 3]

REFERENCE is a run or a bundle of `monai/UNet` or of `pyramid-lstm-small`; FOLDER holds NIfTI
volumes of one channel. The bare loop is what somebody writes who has the weights and no zoo:
nibabel, the mean and standard deviation of the volume, `sliding_window_inference` (or the net on
the whole volume where the model's window is 0), the largest class, a NIfTI file of labels. Of each
the processor time (user and system) of whole processes is taken, imports included, in turns; the
smallest of the repeats counts. The label maps are compared voxel by voxel.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BARE = "--bare"


def bare(bundle: Path, folder: Path, out: Path) -> None:
    """Predict every volume of a folder without the zoo's inference."""
    import nibabel
    import numpy as np
    import torch
    from monai.inferers import sliding_window_inference
    from safetensors.torch import load_file

    content = json.loads((bundle / "bundle.json").read_text())
    arguments = content["model"]["arguments"]
    weights = load_file(bundle / "model.safetensors")
    net = network(content["model"]["name"], arguments)
    net.load_state_dict({k.removeprefix("network."): w for k, w in weights.items()})
    net.eval()
    window = arguments.get("window") or arguments["patch_size"]
    out.mkdir()
    with torch.inference_mode():
        for path in sorted(folder.glob("*.nii.gz")):
            image = nibabel.as_closest_canonical(nibabel.load(path))
            values = image.get_fdata(dtype=np.float32)
            values = (values - values.mean()) / values.std()
            volume = torch.from_numpy(values.transpose(2, 1, 0).copy())[None, None]
            if any(window):
                logits = sliding_window_inference(
                    volume, window, 1, lambda part: net(part).softmax(1), 0.5, mode="gaussian"
                )
            else:
                logits = net(volume)
            labels = logits[0].argmax(0).numpy().astype(np.uint8).transpose(2, 1, 0)
            nibabel.save(nibabel.Nifti1Image(labels, image.affine), out / path.name)


def network(name: str, arguments: dict[str, Any]) -> Any:
    """The plain module of a bundle's arguments."""
    channels = {"in_channels": arguments["in_channels"]}
    if name == "monai/UNet":
        from monai.networks.nets import UNet

        return named_net(
            UNet(
                spatial_dims=3,
                out_channels=arguments["num_classes"],
                channels=[16, 32, 64, 128],
                strides=[2, 2, 2],
                num_res_units=2,
                **channels,
            )
        )
    from zoo_segmentation.pyramid_lstm import PyramidLSTMNet

    own = ("hidden", "fully_connected", "kernel_size", "block", "skip")
    given = {key: arguments[key] for key in own}
    return PyramidLSTMNet(num_classes=arguments["num_classes"], **channels, **given)


def named_net(net: Any) -> Any:
    """A module whose tensors are called net.NAME."""
    import torch

    module = torch.nn.Module()
    module.net = net
    module.forward = net.forward
    return module


def processor_seconds(command: list[str]) -> float:
    """User and system time of a process and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def differing(one: Path, other: Path) -> tuple[int, int]:
    """Voxels whose labels differ, and all."""
    import nibabel
    import numpy as np

    wrong = total = 0
    for path in sorted(one.glob("*.nii.gz")):
        a = nibabel.as_closest_canonical(nibabel.load(path))
        b = nibabel.as_closest_canonical(nibabel.load(other / path.name))
        mine, theirs = (np.asarray(image.dataobj) for image in (a, b))
        wrong += int((mine != theirs).sum())
        total += mine.size
    return wrong, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from zoo.bundles.bundle import read_bundle

    bundle = Path(read_bundle(options.reference).path)
    ways = {"bare": None, "no pictures": ["--pages", "0"], "pictures": []}
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(options.repeats):
            for way, more in ways.items():
                out = Path(scratch) / f"{way.replace(' ', '-')}-{turn}"
                if more is None:
                    command = [sys.executable, __file__, BARE, str(bundle)]
                    command += [str(options.folder), str(out)]
                else:
                    command = [sys.executable, "-m", "zoo", "predict", options.reference]
                    command += [str(options.folder), "--out", str(out), *more]
                best[way] = min(best.get(way, float("inf")), processor_seconds(command))
        wrong, total = differing(
            Path(scratch) / "bare-0", Path(scratch) / "no-pictures-0" / "labels"
        )
    for way, seconds in best.items():
        print(f"{way}: {seconds:.2f} s of processor time, {seconds / best['bare']:.3f} of bare")
    print(f"voxels labelled differently: {wrong} of {total}")


if __name__ == "__main__":
    if BARE in sys.argv:
        bare(*map(Path, sys.argv[2:]))
    else:
        main()
