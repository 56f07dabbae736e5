"""MONAI bundles of segmentation nets, read as checkpoints; nothing in them is run.

Read are ``configs/metadata.json`` (channels, labels), ``configs/inference.json`` or ``.yaml``
(network, preprocessing, inferer) and ``models/model.pt`` (weights, without code). References to
other values (``@patch_size``) are followed; expressions (``$...``) are Python code and are not
evaluated. A TorchScript file is left alone.

Source: the MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import yaml
from torch import Tensor

from zoo.plugin import ForeignBundle, UsageError, ZooError, read_tensors
from zoo_segmentation.monai_config import MISSING, Config
from zoo_segmentation.monai_nets import MonaiSegmenter
from zoo_segmentation.monai_transforms import preparation

METADATA = "configs/metadata.json"
INFERENCE = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
WEIGHTS = "models/model.pt"
NETWORKS = ("network_def", "network", "net")
MOST_TEXT = 1 << 20
"""Bytes of a configuration."""
MOST_WEIGHTS = 8 << 30
SOFTMAX_OFF = ("sigmoid",)


def read_monai_bundle(path: Path) -> ForeignBundle:
    """A bundle as a ``monai/NAME`` of the zoo.

    Args:
        path: Its folder, or a zip of it.

    Raises:
        UsageError: it lacks a file, is not a segmentation of volumes by one of MONAI's nets, or
            its preprocessing cannot be repeated; says which.
    """
    with _opened(path) as files:
        metadata = files.mapping(METADATA)
        name = next((name for name in INFERENCE if files.has(name)), None)
        if name is None:
            raise UsageError(f"{path} lacks {INFERENCE[0]}, which says what its network is")
        config = Config(files.mapping(name), f"{path}: {name}")
        arguments, notes = _arguments(config, metadata, str(path))
        weights = files.tensors(WEIGHTS)
    model = f"monai/{arguments.pop('architecture')}"
    facts = {k: arguments[k] for k in ("num_classes", "in_channels", "spatial_dims")}
    facts |= {k: arguments[k] for k in ("label_names", "spacing", "preprocessing", "patch_size")}
    learned = arguments["preprocessing"]
    data = {key: value for key, value in learned.items() if value is not None}
    return ForeignBundle(
        model,
        arguments,
        {f"network.net.{key}": tensor for key, tensor in weights.items()},
        "volume-folder",
        {**data, "spacing": arguments["spacing"], "patch_size": arguments["patch_size"]},
        facts,
        learned,
        str(metadata.get("license") or metadata.get("copyright") or ""),
        tuple(notes),
    )


def _arguments(
    config: Config, metadata: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], list[str]]:
    """The constructor's arguments of a MonaiSegmenter, and what could not be taken over."""
    architecture, network = _network(config, path)
    _require_classes(config, path)
    ready = preparation(config, path)
    notes = list(ready.notes)
    window = config.first(["inferer"], "roi_size")
    overlap = config.first(["inferer"], "overlap")
    dims = int(network.pop("spatial_dims", network.pop("dimensions", 3)))
    if dims != 3:
        raise UsageError(f"{path} is of {dims} dimensions; bundles of volumes, 3, are read")
    channels, classes = network.pop("in_channels", None), network.pop("out_channels", None)
    if not isinstance(channels, int) or not isinstance(classes, int):
        raise UsageError(f"{path} does not state in_channels and out_channels of its network")
    if not _is_size(window):
        window = _size_of_metadata(metadata)
        notes.append(
            f"no inferer with a roi_size of numbers; windows are of {window or 'whole volumes'}"
        )
    window = [0, 0, 0] if window is None else window
    # From the axes of the net to those of the zoo.
    window = ready.to_zoo(window)
    return {
        "architecture": architecture,
        "network_arguments": network,
        "axcodes": ready.axcodes,
        "num_classes": classes,
        "in_channels": channels,
        "spatial_dims": dims,
        "label_names": _labels(metadata, classes, notes),
        "spacing": None if ready.spacing is None else ready.to_zoo(ready.spacing),
        "preprocessing": ready.learned,
        "patch_size": window if all(window) else [64, 64, 64],
        "window": window,
        "overlap": overlap if isinstance(overlap, float) and 0 <= overlap < 1 else 0.25,
    }, notes


def _network(config: Config, path: str) -> tuple[str, dict[str, Any]]:
    found: Any = next((config.get(key) for key in NETWORKS if config.has(key)), MISSING)
    if isinstance(found, Mapping) and "_target_" not in found and "network" in found:
        found = found["network"]
    target = found.get("_target_") if isinstance(found, Mapping) else None
    if not isinstance(target, str):
        raise UsageError(
            f"{path} does not define its network by values (network_def with a _target_), so it "
            "cannot be built without running its code"
        )
    architecture = target.rpartition(".")[2]
    arguments = {k: v for k, v in found.items() if not (k.startswith("_") and k.endswith("_"))}
    resolved = {key: config.resolve(value) for key, value in arguments.items()}
    if code := [key for key, value in resolved.items() if config.holds_code(value)]:
        raise UsageError(
            f"{path}: {', '.join(code)} of its network {architecture} is an expression, which is "
            "code and is not run; write its value there"
        )
    try:
        MonaiSegmenter.require_known(architecture)
    except ZooError as error:
        raise UsageError(f"{path} is of the network {target}: {error}") from error
    return architecture, resolved


def _require_classes(config: Config, path: str) -> None:
    """Refuse outputs that are not one class a voxel."""
    for transform in config.transforms("postprocessing"):
        for name in SOFTMAX_OFF:
            if transform.get(name) is True:
                raise UsageError(
                    f"{path} gives several labels a voxel ({name} in its postprocessing); nets of "
                    "one class a voxel are read"
                )


def _labels(metadata: Mapping[str, Any], classes: int, notes: list[str]) -> list[str]:
    names: Any = metadata
    for key in ("network_data_format", "outputs", "pred", "channel_def"):
        names = names.get(key) if isinstance(names, Mapping) else None
    if isinstance(names, Mapping) and set(names) == {str(n) for n in range(classes)}:
        return [str(names[str(number)]) for number in range(classes)]
    notes.append(f"metadata.json does not name its {classes} classes; they are numbered")
    return ["background", *(f"label {number}" for number in range(1, classes))]


def _size_of_metadata(metadata: Mapping[str, Any]) -> list[int] | None:
    shape: Any = metadata
    for key in ("network_data_format", "inputs", "image", "spatial_shape"):
        shape = shape.get(key) if isinstance(shape, Mapping) else None
    return shape if _is_size(shape) else None


def _is_size(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(each, int) and each > 0 for each in value)
    )


@dataclass
class _Files:
    """The files of a bundle, in a folder or a zip."""

    path: Path
    archive: zipfile.ZipFile | None = None
    prefix: str = ""
    names: set[str] = field(default_factory=set)

    def has(self, name: str) -> bool:
        return self._where(name) in self.names if self.archive else (self.path / name).is_file()

    def _where(self, name: str) -> str:
        return f"{self.prefix}{name}"

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        if not self.has(name):
            raise UsageError(f"{self.path} lacks {name}: fetch the bundle again")
        try:
            if self.archive:
                with self.archive.open(self._where(name)) as file:
                    yield file  # type: ignore[misc]
            else:
                with (self.path / name).open("rb") as file:
                    yield file
        except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise UsageError(
                f"{name} in {self.path} cannot be read ({error}): fetch the bundle again"
            ) from error

    def mapping(self, name: str) -> dict[str, Any]:
        """A configuration."""
        with self.open(name) as file:
            data = file.read(MOST_TEXT + 1)
        if len(data) > MOST_TEXT:
            raise UsageError(f"{name} in {self.path} has more than {MOST_TEXT} bytes")
        try:
            content = json.loads(data) if name.endswith(".json") else _read_yaml(data)
        except (ValueError, RecursionError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"{name} in {self.path} cannot be read ({reason})") from error
        if not isinstance(content, dict):
            raise UsageError(f"{name} in {self.path} does not hold a mapping")
        return content

    def tensors(self, name: str) -> Mapping[str, Tensor]:
        """The weights; of a zip through a temporary file of bounded size."""
        if not self.archive:
            if not self.has(name):
                raise UsageError(f"{self.path} lacks {name}: fetch the bundle again")
            return read_tensors(self.path / name)
        with tempfile.TemporaryDirectory(prefix="zoo-bundle-") as scratch:
            copy = Path(scratch) / Path(name).name
            with self.open(name) as file, copy.open("wb") as kept:
                shutil.copyfileobj(_Bounded(file, MOST_WEIGHTS, f"{self.path}: {name}"), kept)
            return read_tensors(copy)


class _Bounded:
    """A file that is read no further than a number of bytes: a small zip may hold petabytes."""

    def __init__(self, file: BinaryIO, most: int, what: str) -> None:
        self._file, self._left, self._what = file, most, what

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if size > 0 else 1 << 20)
        self._left -= len(data)
        if self._left < 0:
            raise UsageError(f"{self._what} unpacks to more than {MOST_WEIGHTS:,} bytes")
        return data


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Files]:
    if path.is_dir():
        yield _Files(path)
        return
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        found = [name for name in names if name == METADATA or name.endswith(f"/{METADATA}")]
        shortest = min(found, key=len)
        yield _Files(path, archive, shortest.removesuffix(METADATA), names)


def _read_yaml(data: bytes) -> Any:
    text = data.decode()
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
        raise ValueError("it has YAML aliases, which may stand for any amount; write them out")
    return yaml.safe_load(text)
