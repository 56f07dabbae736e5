"""MONAI bundles, made here in the published layout, read as checkpoints."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

import zoo
from zoo.plugin import UsageError

ARGUMENTS: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 2,
    "channels": [4, 8],
    "strides": [2],
    "num_res_units": 1,
    "norm": "batch",
}
METADATA = {
    "monai_version": "1.6.1",
    "license": "Apache 2.0",
    "network_data_format": {
        "inputs": {"image": {"num_channels": 1, "spatial_shape": [8, 12, 16]}},
        "outputs": {"pred": {"channel_def": {"0": "background", "1": "spleen"}}},
    },
}
INFERENCE: dict[str, Any] = {
    "imports": ["$import touch_a_file"],
    "bundle_root": ".",
    "roi": [8, 12, 16],
    "network_def": {"_target_": "UNet", **ARGUMENTS},
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "image", "pixdim": [1.0, 1.0, 2.0]},
            {
                "_target_": "ScaleIntensityRanged",
                "keys": "image",
                "a_min": -57,
                "a_max": 164,
                "b_min": 0,
                "b_max": 1,
                "clip": True,
            },
            {"_target_": "EnsureTyped", "keys": "image"},
        ],
    },
    "inferer": {
        "_target_": "SlidingWindowInferer",
        "roi_size": "@roi",
        "sw_batch_size": "$print('code')",
        "overlap": 0.5,
    },
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def net() -> UNet:
    torch.manual_seed(0)
    return UNet(**ARGUMENTS).eval()


def write(folder: Path, inference: Any = None, yaml: bool = False, **changes: Any) -> Path:
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    content = {**INFERENCE, **changes} if inference is None else inference
    name = "inference.yaml" if yaml else "inference.json"  # JSON is YAML
    (folder / "configs" / name).write_text(json.dumps(content))
    (folder / "configs" / "metadata.json").write_text(json.dumps(METADATA))
    torch.save(net().state_dict(), folder / "models" / "model.pt")
    (folder / "models" / "model.ts").write_bytes(b"TorchScript, left alone")
    return folder


def packed(folder: Path, prefix: str = "spleen/") -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, prefix + file.relative_to(folder).as_posix())
    return path


@pytest.mark.parametrize("kind", ["folder", "yaml", "zip"])
def test_a_bundle_predicts_as_its_network_does(tmp_path, nifti, kind, capsys):
    bundle = write(tmp_path / "bundle", yaml=kind == "yaml")
    reference = packed(bundle) if kind == "zip" else bundle
    # (X, Y, Z), X to the right; the file's X goes to the left.
    values = np.random.default_rng(0).uniform(-200, 300, (8, 12, 16)).astype(np.float32)
    file = nifti(tmp_path / "scan.nii.gz", values[::-1].copy(), np.diag([-1.0, 1.0, 2.0, 1.0]))
    found = zoo.predict(reference, [file], out=tmp_path / "out", probabilities=True, pages=0)
    assert not found.failures
    assert "spleen (ml)" in found.rows[0]
    ready = (np.clip(values, -57, 164) + 57) / 221
    with torch.inference_mode():
        wanted = net()(torch.from_numpy(ready)[None, None]).softmax(1)[0].numpy()
    written = nib.load(tmp_path / "out" / "probabilities" / "scan.nii.gz").get_fdata()
    assert np.abs(written[::-1] - wanted.transpose(1, 2, 3, 0)).max() < 1e-5
    labels = nib.load(tmp_path / "out" / "labels" / "scan.nii.gz").get_fdata()
    assert np.array_equal(labels[::-1], wanted.argmax(0))
    told = capsys.readouterr()
    assert "is read as a monai/UNet; nothing in it is run" in told.err
    assert "code" not in told.out


def test_what_it_says_of_itself_is_taken_over(tmp_path):
    model = zoo.load(write(tmp_path / "bundle"))
    assert model.label_names == ["background", "spleen"]
    assert model.window == [16, 12, 8]
    assert model.hparams["spacing"] == [2.0, 1.0, 1.0]
    low, high, mean, std = model.hparams["preprocessing"]["intensities"][0]
    assert (low, high, mean, std) == (-57, 164, -57, 221)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_def": {"_target_": "monai.networks.nets.DiffusionUNet"}}, "no segmentation net"),
        ({"network_def": {"_target_": "scripts.net.Own", "in_channels": 1}}, "no segmentation net"),
        ({"network_def": "$scripts.net()"}, "does not define its network by values"),
        (
            {"network_def": {**INFERENCE["network_def"], "channels": "$[4] + [8]"}},
            "channels of its network UNet is an expression, which is code and is not run",
        ),
        (
            {"preprocessing": {"_target_": "scripts.MyTransform"}},
            "MyTransform of its preprocessing is not known here",
        ),
        (
            {"postprocessing": {"_target_": "Activationsd", "sigmoid": True}},
            "gives several labels a voxel",
        ),
        ({"network_def": {**INFERENCE["network_def"], "channels": [4, 16]}}, "do not fit"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, changes, message):
    with pytest.raises(UsageError, match=message):
        zoo.load(write(tmp_path / "bundle", **changes))


def test_what_is_done_otherwise_is_named(tmp_path, capsys):
    steps = [{"_target_": "CropForegroundd"}, {"_target_": "NormalizeIntensityd", "nonzero": True}]
    model = zoo.load(
        write(tmp_path / "bundle", preprocessing={"transforms": steps}, inferer="$something()")
    )
    assert model.hparams["preprocessing"] == {"normalize_by": "nonzero", "intensities": None}
    told = capsys.readouterr().err
    assert "CropForeground of its preprocessing is not done" in told
    assert "does not orient volumes; they are taken as RAS" in told
    assert "no inferer with a roi_size of numbers; windows are of [8, 12, 16]" in told


def test_weights_that_are_code_are_not_loaded(tmp_path):
    bundle = write(tmp_path / "bundle")
    torch.save(net(), bundle / "models" / "model.pt")
    with pytest.raises(UsageError, match="runs code when it is loaded"):
        zoo.load(bundle)
    (bundle / "models" / "model.pt").unlink()
    with pytest.raises(UsageError, match=r"lacks models/model\.pt"):
        zoo.load(bundle)


def test_a_zip_is_read_within_bounds(tmp_path, monkeypatch):
    path = packed(write(tmp_path / "bundle"))
    monkeypatch.setattr("zoo_segmentation.monai_bundle.MOST_WEIGHTS", 1000)
    with pytest.raises(UsageError, match=r"model\.pt unpacks to more than 1,000 bytes"):
        zoo.load(path)
    broken = tmp_path / "broken.zip"
    broken.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError, match="not a readable zip file"):
        zoo.load(broken)


def test_the_axes_of_a_net_may_go_any_way():
    from zoo_segmentation.monai_nets import MonaiNet

    x = torch.randn(1, 1, 2, 3, 4)
    seen = []

    class Look(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x

    assert torch.equal(MonaiNet(Look(), "LPS")(x), x)
    assert torch.equal(seen[0], x.permute(0, 1, 4, 3, 2).flip(2, 3))
