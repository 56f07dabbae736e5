"""Predict on a user's own files with a trained model, or let one produce that needs none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import nn

from zoo.bundles.ensemble import Ensemble
from zoo.bundles.load import load
from zoo.errors import UsageError
from zoo.inference.device import find_device
from zoo.inference.ensemble_predict import EnsemblePredictor
from zoo.inference.failures import reason
from zoo.inference.files import find_files
from zoo.inference.output_folder import output_folder
from zoo.inference.pages import Pages, draw, most_pages
from zoo.inference.precision import as_trained
from zoo.inference.predictions import Predictions as Predictions
from zoo.inference.produce import produce, read_producing_options, take_seed
from zoo.inference.views import use_tta
from zoo.io.printable import path_text, printable
from zoo.plugin.declarations import producing_method
from zoo.plugin.protocols import (
    FileGrouper,
    PredictionWriter,
    Predictor,
    SamplePredictor,
)
from zoo.runs.run import require_empty
from zoo.training.seeding import seeded

FOLDER = Path("predictions")
"""Where the files of models that write some go, in a folder of the time."""


def predict(
    reference: str | Path | nn.Module | Sequence[str | Path],
    paths: Sequence[str | Path] = (),
    *,
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    batch_size: int = 32,
    device: str | None = None,
    probabilities: bool = False,
    pages: int | str | None = None,
    tta: bool = False,
    progress: bool = False,
) -> Predictions:
    """Apply a trained model, with its own preprocessing, to files.

    A model reads a file (``read_file``) and then either predicts on stacked tensors of one shape
    (``predict_step``), or, where it has ``predict_sample``, on each file by itself. Where it has
    ``write_prediction``, that writes files of its own, such as label maps. A model that makes
    samples, forecasts or the like (``produce``), or that acts in an environment (``play``), needs
    no files.

    Of several models of the same classes, such as the folds of a cross-validation, the
    probabilities are averaged, and ``disagreement`` says how far they are apart: from 0, where all
    say the same, to 1, where each is sure of another class; of maps it is the mean of all places.

    Args:
        reference: The model, as for ``zoo.load``, or one that is loaded; several references, or a
            group of runs, for an ensemble.
        paths: Files, or folders whose files of the kinds the model reads are taken.
        options: Keyword arguments of ``produce`` or ``play``, such as ``{"count": 16}``; and
            ``seed``, 0 by default: the same seed gives the same output, of files too.
        out: A new folder for ``predictions.csv``, ``predictions.json``, ``pictures/`` and what
            the model writes. Without, nothing is written; a model with files to write has them
            in ``predictions/<time>``, as has one that plays.
        batch_size: Files at a time.
        device: Such as ``cuda:0``; a GPU if there is one, otherwise the CPU. A GPU computes in
            the precision of the training where that was mixed.
        probabilities: Let the model write probability maps too, of an ensemble also maps of the
            disagreement.
        pages: Pictures to draw, at most: of 32 files each, or of one where the model predicts on
            each file by itself; besides, of more than 32 files, one of those that the model is
            least sure of. ``"all"`` draws every file, 0 nothing. Default: 4 pages, and of models
            that predict on each file by itself every file.
        tta: Average over changed views of each file too, such as mirror images, where the model
            says which.
        progress: Show a progress bar.

    Returns:
        The predictions, and the files that failed with their reasons; one bad file does not
        keep the others from being predicted.

    Raises:
        UsageError: the model reads no files, has no probability maps or no views, there are no
            files, ``out`` is not empty, the batch size is below 1, ``pages`` is not a number of
            pages, there is no such device or option, or several models have not the same classes.
    """
    if batch_size < 1:
        raise UsageError(f"the batch size has to be 1 or more, not {batch_size}")
    wanted = most_pages(pages)
    if out is not None:
        require_empty(out, resumable=False)
    place = find_device(device)
    model, name = _loaded(reference)
    if isinstance(model, nn.Module):
        model.to(place)
    if tta:
        use_tta(model.models if isinstance(model, Ensemble) else [model], name)
    if isinstance(model, Ensemble):
        model = EnsemblePredictor(model)
    if producing_method(model) and not (paths and isinstance(model, Predictor)):
        return _produce(model, name, paths, options or {}, out)
    seed, rest = take_seed(options or {})
    writes = _require_reader(model, name, paths, rest, probabilities)
    files = find_files(paths, model.input_suffixes)
    if isinstance(model, FileGrouper):
        files = model.group_files(files)
    with output_folder(out, FOLDER) if out is not None or writes else nullcontext() as folder:
        found = Predictions(folder=folder)
        try:
            with seeded(seed), as_trained(reference, place):
                if isinstance(model, SamplePredictor):
                    most = inf if wanted is None else wanted
                    _predict_each(model, _shown(files, progress), probabilities, found, most)
                else:
                    sheets = Pages(model, found, wanted)
                    shown = _shown(files, progress)
                    _predict_batches(model, shown, batch_size, place, found, sheets)
        finally:  # also of what was predicted before Ctrl-C
            found.write()
    return found


def _loaded(reference: Any) -> tuple[Any, str]:
    """The model, and what messages call it."""
    if isinstance(reference, (str, Path)):
        return load(reference), str(reference)
    if isinstance(reference, Sequence):
        return load(reference), ", ".join(map(str, reference))
    return reference, type(reference).__name__


def _produce(
    model: object,
    name: object,
    paths: Sequence[str | Path],
    options: Mapping[str, Any],
    out: str | Path | None,
) -> Predictions:
    """What a model makes without files; of one that plays, always into a folder."""
    plays = producing_method(model) == "play"
    if paths:
        does = "plays in its environment" if plays else "produces by itself"
        raise UsageError(
            f"the model of {name} {does} and takes no files; omit {', '.join(map(str, paths))}"
        )
    chosen, seed = read_producing_options(model, options)
    with output_folder(out, FOLDER) if out is not None or plays else nullcontext() as folder:
        return produce(model, chosen, seed, folder)


def _require_reader(
    model: Any,
    name: object,
    paths: Sequence[str | Path],
    options: Mapping[str, Any],
    probabilities: bool,
) -> bool:
    """Refuse what a model that reads files cannot do.

    Returns:
        Whether it writes files of its own.

    Raises:
        UsageError: as of ``predict``.
    """
    if options:
        raise UsageError(
            f"the model of {name} takes files and no option "
            + ", ".join(f"--{name}" for name in options)
        )
    if not paths:
        raise UsageError(f"name the files or folders that the model of {name} is to read")
    if not isinstance(model, Predictor):
        raise UsageError(
            f"the model of {name} does not say how it reads a file (read_file), so it cannot "
            "predict on files; use zoo.load and call it on tensors"
        )
    writes = isinstance(model, PredictionWriter)
    if probabilities and not writes:
        raise UsageError(
            f"the model of {name} makes no probability maps; its probabilities are in "
            "predictions.json: omit --probabilities"
        )
    return writes


def _predict_batches(
    model: Predictor,
    files: Iterator[Path],
    batch_size: int,
    place: torch.device,
    found: Predictions,
    pages: Pages,
) -> None:
    """Samples of one shape together, their pictures on pages."""
    for batch in _batches(files, model, batch_size, found.failures):
        for (path, sample), output in _outputs(model, batch, place, found.failures):
            try:
                row = {"file": path_text(path), **model.describe_prediction(output)}
            except Exception as error:  # noqa: BLE001  # see reason
                found.failures[path_text(path)] = reason(error)
                continue
            found.rows.append(row)
            pages.add(row, (_title(path), sample, output))
        found.write_now_and_then()
    pages.finish()


def _outputs(
    model: Predictor,
    batch: Sequence[tuple[Path, Any]],
    place: torch.device,
    failures: dict[str, str],
) -> Iterator[tuple[tuple[Path, Any], Any]]:
    """Each sample with its output; where a batch fails, its samples are tried one by one."""
    try:
        with torch.inference_mode():
            outputs = _predict_stacked(model, [sample for _, sample in batch], place)
    except Exception as error:  # noqa: BLE001  # see reason
        if len(batch) > 1:
            for single in batch:
                yield from _outputs(model, [single], place, failures)
        else:
            failures[path_text(batch[0][0])] = reason(error)
        return
    yield from zip(batch, outputs, strict=True)


def _predict_stacked(model: Predictor, samples: Sequence[Any], place: torch.device) -> Any:
    if isinstance(model, EnsemblePredictor):
        of_members = zip(*samples, strict=True)
        stacked = [torch.stack(list(each)).to(place) for each in of_members]
        return model.predict_step(stacked, 0)
    return model.predict_step(torch.stack(list(samples)).to(place), 0).cpu()


def _shape(sample: Any) -> Any:
    return [each.shape for each in sample] if isinstance(sample, list) else sample.shape


def _predict_each(
    model: SamplePredictor,
    files: Iterator[Path],
    probabilities: bool,
    found: Predictions,
    most: float,
) -> None:
    """Each file by itself, from reading to writing, its picture named after it."""
    used: set[str] = set()
    if found.folder:  # which the model writes into
        found.folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        try:
            sample = model.read_file(path)
            with torch.inference_mode():
                output = model.predict_sample(sample)
            row = {"file": path_text(path), **model.describe_prediction(output)}
            name = _unused(_stem(path, model.input_suffixes), used)
            if found.folder and isinstance(model, PredictionWriter):
                row["written"] = model.write_prediction(
                    name, sample, output, found.folder, probabilities
                )
        except Exception as error:  # noqa: BLE001  # see reason
            found.failures[path_text(path)] = reason(error)
            continue
        found.rows.append(row)
        if found.folder:
            if found.shown < most and draw(model, [(_title(path), sample, output)], found, name):
                found.shown += 1
            found.write_now_and_then()


def _title(path: Path) -> str:
    """A file's name as matplotlib shows it as it is: a dollar sign begins mathematics there."""
    return printable(path_text(path.name)).replace("$", r"\$")


def _stem(path: Path, suffixes: Sequence[str]) -> str:
    """A file's name without its suffix, which may have two parts, such as ``.nii.gz``."""
    endings = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    name = path.name[: -max(map(len, endings))] if endings else path.stem
    return path_text(name)


def _unused(name: str, used: set[str]) -> str:
    """The name, numbered if files of several folders share it."""
    count, free = 1, name
    while free.lower() in used:
        count += 1
        free = f"{name}_{count}"
    used.add(free.lower())
    return free


def _batches(
    files: Iterator[Path], model: Predictor, size: int, failures: dict[str, str]
) -> Iterator[list[tuple[Path, Any]]]:
    """Readable files of one shape together, in order."""
    batch: list[tuple[Path, Any]] = []
    for path in files:
        try:
            sample = model.read_file(path)
        except Exception as error:  # noqa: BLE001  # see reason
            failures[path_text(path)] = reason(error)
            continue
        if batch and (len(batch) == size or _shape(sample) != _shape(batch[0][1])):
            yield batch
            batch = []
        batch.append((path, sample))
    if batch:
        yield batch


def _shown(files: Sequence[Path], progress: bool) -> Iterator[Path]:
    if not progress:
        return iter(files)
    from rich.progress import track

    return iter(track(files, description="predicting", transient=True))
