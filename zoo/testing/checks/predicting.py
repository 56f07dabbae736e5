"""Checks of a model that predicts on a user's files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.bundles.bundle import read_bundle
from zoo.bundles.load import rebuild
from zoo.errors import ZooError
from zoo.inference.predict import Predictions, predict
from zoo.plugin.protocols import ExampleFileWriter, PredictionWriter, SamplePredictor
from zoo.testing.check import check
from zoo.testing.checks.bundle import bundled
from zoo.testing.results import CheckFailed, Skip, describe
from zoo.testing.subjects import ModelSubject

_NEEDED = ("input_suffixes", "read_file", "describe_prediction")
_FURTHER = ("draw_predictions", "predict_sample", "write_prediction", "group_files")


@check(
    "predicts",
    "model",
    why="`zoo predict REF FILES` is where a model meets its users, and half of what it needs fails "
    "in their hands",
    remedy="have input_suffixes, read_file, predict_step (or predict_sample) and "
    "describe_prediction; let write_example_files(folder) write files of a kind that the kit does "
    "not know",
)
def predicts(subject: ModelSubject) -> str:
    """``zoo predict`` on files gives a row of JSON values for each, twice the same, without and
    with a folder to write into; a damaged file is refused in a sentence."""
    _require_members(subject.cls)
    _, path = bundled(subject)
    model: Any = rebuild(read_bundle(path))
    folder = subject.folder("predict")
    _refuse_damaged(model, folder)
    files, told = _example_files(model, folder)
    work = subject.folder("predictions")
    with contextlib.chdir(work):
        plain = _predict(model, files)
        if not isinstance(model, PredictionWriter) and (found := list(work.iterdir())):
            raise CheckFailed(f"without --out it wrote {found[0].name}")
        again = _predict(model, files)
        written = _predict(model, files, out=work / "out")
    for other in (again, written):
        if _told(other) != _told(plain):
            raise CheckFailed("the same files give other predictions the second time")
    if hasattr(model, "draw_predictions") and not written.pictures:
        raise CheckFailed("with --out it drew nothing")
    return f"on {len(files)} {told}"


def _require_members(cls: type) -> None:
    """All members that go together, or none."""
    has = [name for name in (*_NEEDED, *_FURTHER) if hasattr(cls, name)]
    if not has:
        raise Skip("it reads no files")
    if missing := [name for name in _NEEDED if not hasattr(cls, name)]:
        raise CheckFailed(f"it has {', '.join(has)} and lacks {', '.join(missing)}")


def _refuse_damaged(model: Any, folder: Path) -> None:
    """A file of no meaning may be refused, or read where any text will do."""
    suffix = model.input_suffixes[0]
    file = folder / f"damaged{suffix}"
    file.write_bytes(b"neither a picture nor anything else\xff")
    try:
        model.read_file(file)
    except ZooError:
        pass
    except Exception as error:
        raise CheckFailed(
            f"read_file of a damaged {suffix} is met by {describe(error)}, not by a UsageError"
        ) from error


def _example_files(model: Any, folder: Path) -> tuple[list[Path], str]:
    """Files to predict on, and what they are."""
    if isinstance(model, ExampleFileWriter):
        files = list(model.write_example_files(folder))
        if not files:
            raise Skip("trained on these data it reads no file that it could write")
        return files, "files of its own"
    example = model.example_input
    for suffix in model.input_suffixes:
        if suffix in _WRITERS:
            files = [folder / f"example-{index}{suffix}" for index in range(2)]
            if all(map(_WRITERS[suffix], files, example)):
                with contextlib.suppress(ZooError):  # a kind that its files are not of
                    model.read_file(files[0])
                    return files, f"files *{suffix}"
    if isinstance(model, SamplePredictor):
        raise Skip("the kit knows no file that it reads: see write_example_files")
    return _pretended(model, folder), "rows of example_input: the kit knows no file that it reads"


def _pretended(model: Any, folder: Path) -> list[Path]:
    """Files that are read as rows of ``example_input``."""
    files = [folder / f"example-{index}{model.input_suffixes[0]}" for index in range(2)]
    rows = dict(zip(files, model.example_input, strict=False))
    for file in files:
        file.touch()
    model.read_file = lambda path: rows[Path(path)]
    return files


def _write_picture(path: Path, sample: Tensor) -> bool:
    """Noise as large as a sample (channels, height, width) of one channel or three."""
    from matplotlib.image import imsave

    if sample.ndim != 3 or sample.shape[0] not in (1, 3):
        return False
    noise = torch.rand(sample.shape[1:], generator=torch.Generator().manual_seed(0)).numpy()
    imsave(path, noise, cmap="gray")
    return True


def _write_array(path: Path, sample: Tensor) -> bool:
    np.save(path, sample.numpy())
    return True


def _write_table(path: Path, sample: Tensor) -> bool:
    """A row of numbers a line."""
    if sample.ndim not in (1, 2):
        return False
    np.savetxt(path, np.atleast_2d(sample.float().numpy()), delimiter=",")
    return True


_WRITERS = {".png": _write_picture, ".npy": _write_array, ".csv": _write_table}


def _predict(model: Any, files: Sequence[Path], out: Path | None = None) -> Predictions:
    found = predict(model, files, out=out, device="cpu")
    for file, reason in found.failures.items():
        raise CheckFailed(f"{Path(file).name}: {reason}")
    if len(found.rows) != len(files):
        raise CheckFailed(f"{len(files)} files give {len(found.rows)} rows")
    require_json(found.rows, "describe_prediction")
    return found


def _told(found: Predictions) -> list[dict[str, Any]]:
    """The rows without the files that were written."""
    return [{k: v for k, v in row.items() if k != "written"} for row in found.rows]


def require_json(rows: Sequence[dict[str, Any]], method: str) -> None:
    """Fail where a row has other than JSON values."""
    for row in rows:
        for name, value in row.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                raise CheckFailed(
                    f"{method} gives {name} = {value!r}, a {type(value).__name__}, which is not a "
                    "JSON value"
                ) from None
