"""Carry a trained model elsewhere: torch.export and ONNX, checked against the original."""

from __future__ import annotations

import contextlib
import io
import math
import re
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from zoo.bundles.bundle import Bundle, read_bundle
from zoo.bundles.ensemble import Ensemble, members_of
from zoo.bundles.load import rebuild
from zoo.errors import MissingDependencyError, UsageError, ZooError, install_hint, nearest
from zoo.inference.evaluate import experiment_of, own_root
from zoo.inference.onnx_metadata import with_metadata
from zoo.io.atomic import write_atomically
from zoo.io.failures import one_line, system_failure
from zoo.plugin.declarations import not_exportable
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import OnnxScripted, Predictor, RealInputSource
from zoo.registry.registry import registry

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule

_TORCH = Path(torch.__file__).parent

FORMATS = ("torch-export", "onnx")
_Convert = Callable[[nn.Module, Tensor], tuple[bytes, Callable[[Tensor], Tensor]]]
"""From a network and inputs of it to the bytes of a file, and what computes the file's outputs."""

TOLERANCE = 1e-4
"""Largest allowed difference of an output, relative to the largest output."""


@dataclass(frozen=True)
class Export:
    """A file that computes what the model computes.

    Attributes:
        path: The file.
        difference: Largest difference from the model's outputs, relative to the largest output.
        tolerance: What was allowed.
        inputs: How many inputs were compared, and what they were.
        script: A script beside the file that applies it, where the model has one.
    """

    path: Path
    difference: float
    tolerance: float
    inputs: str
    script: Path | None = None


def export(
    reference: str | Path | Sequence[str | Path],
    format: str,
    out: str | Path,
    *,
    inputs: Sequence[str | Path] = (),
    tolerance: float = TOLERANCE,
) -> Export:
    """Write a trained model as a file that needs no zoo.

    The file takes what ``forward`` takes (its own preprocessing is inside) with any number of
    samples, and is kept only if it gives the model's outputs on real inputs, for batches of
    one and of several.

    Of an ensemble the file gives the members' mean probabilities. An ONNX file says in its
    metadata, as JSON, which model it is, the classes' names and the preprocessing; where the model
    has a script for it (``OnnxScripted``), that is written beside.

    Args:
        reference: The model, as for ``zoo.load``.
        format: ``torch-export`` (a ``.pt2`` for ``torch.export.load``), ``onnx``, or one that a
            plugin registers.
        out: A new file.
        inputs: Files to compare on; the test data of the model's own dataset by default, and
            the model's example input where those are not available.
        tolerance: Largest difference of an output, relative to the largest output.

    Raises:
        UsageError: unknown format, ``out`` exists, or the packages of the extra ``onnx`` are
            missing.
        ZooError: forward takes none of these inputs, an operation cannot be exported, or the
            outputs differ; nothing is written.
    """
    _find_format(format)
    path = Path(out)
    if path.exists():
        raise UsageError(f"{path} exists: choose another --out, or remove it first")
    script = path.with_suffix(".py")
    if format == "onnx" and script.exists():
        raise UsageError(f"{script} exists, where a script would go: choose another --out")
    members = members_of(reference)
    bundles = [read_bundle(each) for each in members]
    models = [rebuild(bundle) for bundle in bundles]
    for bundle, model in zip(bundles, models, strict=True):
        if reason := not_exportable(model):
            raise ZooError(f"a {bundle.model_name!r} cannot be exported: {reason}")
    names = [str(each) for each in members]
    together = Ensemble(names, models) if len(models) > 1 else models[0]
    network = _Forward(together).eval()
    samples, what, count = _taken(network, _real_inputs(models[0], bundles[0], members[0], inputs))
    data, difference = converted(format, network, samples)
    if not difference <= tolerance:
        raise ZooError(
            f"the {format} file of {', '.join(names)} differs from the model by "
            f"{difference:.2e} (allowed {tolerance:.0e}) on {what}, so it was not kept"
        )
    source = ""
    if format == "onnx":
        data = with_metadata(data, bundles[0], models[0])
        source = together.onnx_script if isinstance(together, OnnxScripted) else ""
    try:
        write_atomically(path, data)
        if source:
            write_atomically(script, source.encode())
    except OSError as error:
        raise ZooError(system_failure(error, "the file cannot be written")) from error
    return Export(path, difference, tolerance, f"{count} of {what}", script if source else None)


def converted(format: str, network: nn.Module, samples: Tensor) -> tuple[bytes, float]:
    """A network in a format, and how far that is from the network.

    Args:
        format: Built in, or registered by a plugin.
        network: In evaluation mode.
        samples: Inputs of it, two or more.

    Returns:
        The bytes of the file, and the largest difference of an output, for one input and for all,
        relative to the largest output; NaN where one is not a number.

    Raises:
        UsageError: there is no such format, or packages are missing.
        ZooError: an operation cannot be exported.
    """
    with torch.inference_mode():
        wanted = {n: network(samples[:n]) for n in (1, len(samples))}
    data, compute = _find_format(format)(network, samples)
    differences = [_difference(compute(samples[:n]), outputs) for n, outputs in wanted.items()]
    return data, math.nan if any(map(math.isnan, differences)) else max(differences)


def _find_format(name: str) -> _Convert:
    if name in FORMATS:
        return _torch_export if name == "torch-export" else _onnx
    registered = registry().export_formats
    if name not in registered:
        known = [*FORMATS, *registered]
        near = nearest(name, known, 1)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
        raise UsageError(f"there is no format {name!r}: {hint}")
    return _foreign(name, registry().load_function(registered[name]))


def _foreign(name: str, convert: _Convert) -> _Convert:
    """A plugin's own, whose errors name the format."""

    def call(network: nn.Module, samples: Tensor) -> tuple[bytes, Callable[[Tensor], Tensor]]:
        try:
            return convert(network, samples)
        except ZooError:
            raise
        except Exception as error:  # third-party code may raise anything
            raise ZooError(f"the model cannot be exported to {name}: {_obstacle(error)}") from error

    return call


class _Forward(nn.Module):
    """The module's forward alone: no Trainer, no logging."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.module(inputs)
        return outputs


_Candidate = tuple[object, str]
"""What may be an input, and what it is."""


def _real_inputs(
    model: ZooLightningModule,
    bundle: Bundle,
    reference: str | Path,
    files: Sequence[str | Path],
) -> list[_Candidate]:
    """What the outputs may be compared on, the best first."""
    if files:
        if not isinstance(model, Predictor):
            raise UsageError(
                f"a {bundle.model_name!r} does not say how it reads a file (read_file), so its "
                "export cannot be compared on files: omit --input"
            )
        from zoo.inference.files import find_files

        found = find_files(files, model.input_suffixes)
        return [(torch.stack([model.read_file(path) for path in found]), "the files given")]
    if isinstance(model, RealInputSource):
        return [(model.real_inputs(), "inputs that the model gives itself")]
    example, what = getattr(model, "example_input", None), "the model's example input"
    try:
        overrides = {**own_root(reference, {}), "data.batch_size": 16}
        data = experiment_of(bundle, overrides).build_data()
        data.prepare_data()
        if not has_part(data, "test"):
            return [(example, f"{what} (its data have no test part)")]
        batch = next(iter(data.test_dataloader()))
    except UsageError:  # the data are not available
        return [(example, f"{what} (its test data are not available)")]
    name = bundle.recipe["data"]["name"]
    return [
        (_first_of(batch), f"the test data of {name!r}"),
        (example, f"{what} (its forward does not take the test data of {name!r})"),
    ]


def _first_of(batch: object) -> object:
    """The inputs come first, by name or by position."""
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    return batch[0] if isinstance(batch, (list, tuple)) and batch else batch


def _taken(network: nn.Module, candidates: Sequence[_Candidate]) -> tuple[Tensor, str, int]:
    """The first candidate that the network takes, in batches of one and of all, what it is, and
    how many there are of it.

    Raises:
        ZooError: it takes none; the sentence names the member to write.
    """
    refused = []
    for samples, what in candidates:
        if not isinstance(samples, Tensor) or samples.ndim == 0:
            refused.append(f"{what}: not a batch in one tensor")
            continue
        count = len(samples)
        if count == 1:  # a batch of one would be taken for a fixed size
            samples = torch.cat([samples, samples])
        try:
            with torch.inference_mode():
                outputs: object = [network(samples[:1]), network(samples)][-1]
        except Exception as error:  # noqa: BLE001  # whatever a forward raises
            refused.append(f"{what}: {one_line(error)[:200]}")
            continue
        if isinstance(outputs, Tensor):
            return samples, what, count
        refused.append(f"{what}: forward returns a {type(outputs).__name__}, not a tensor")
    raise ZooError(
        f"the model cannot be exported, as its forward does not work on {'; nor on '.join(refused)}"
        ". Write a member `real_inputs()` of the model that returns a batch of its inputs, or "
        "declare `not_exportable = 'the reason'`"
    )


def _torch_export(network: nn.Module, samples: Tensor) -> tuple[bytes, Callable[[Tensor], Tensor]]:
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # on failure torch prints its graph
            program = torch.export.export(
                network, (samples,), dynamic_shapes={"inputs": {0: torch.export.Dim("batch")}}
            )
    except Exception as error:  # torch raises many kinds here
        raise ZooError(f"the model cannot be exported: {_obstacle(error)}") from error
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    loaded = torch.export.load(buffer).module()
    return buffer.getvalue(), loaded


def _onnx(network: nn.Module, samples: Tensor) -> tuple[bytes, Callable[[Tensor], Tensor]]:
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX needs {error.name}, which is not installed: {install_hint('zoo[onnx]')}"
        ) from error
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            program = torch.onnx.export(
                network,
                (samples,),
                dynamo=True,
                verbose=False,
                input_names=["inputs"],
                output_names=["outputs"],
                dynamic_shapes={"inputs": {0: torch.export.Dim("batch")}},
            )
    except Exception as error:  # torch.onnx raises many kinds here
        raise ZooError(f"the model cannot be exported to ONNX: {_obstacle(error)}") from error
    assert program is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        program.save(str(file), external_data=False)
        data = file.read_bytes()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])

    def compute(inputs: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"inputs": inputs.numpy()})[0])

    return data, compute


def _difference(found: Tensor, wanted: Tensor) -> float:
    found, wanted = found.detach(), wanted.detach()
    scale = float(wanted.abs().max().clamp(min=1e-12))
    return float((found - wanted).abs().max()) / scale


def _obstacle(error: BaseException) -> str:
    """The operation that stands in the way, its line of code, and what torch says about it."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) and cause not in chain:
        chain.append(cause)
    text = "\n".join(map(str, chain))
    operations = re.findall(
        r"(?:aten|prims|torchvision|torch\.ops)[.:]+[\w.]+|<built-in [^>]+>", text
    )
    what = f"the operation {operations[0]} stands in the way" if operations else ""
    for cause in reversed(chain):
        lines = [
            frame
            for frame in traceback.extract_tb(cause.__traceback__)
            if frame.name == "forward" and _TORCH not in Path(frame.filename).parents
        ]
        if lines:
            code, file = lines[-1].line, Path(lines[-1].filename).name
            what = f"{what or 'an operation stands in the way'} in `{code}` ({file})"
            break
    first = next((line.strip() for line in str(chain[-1]).splitlines() if line.strip()), "")
    return ": ".join(filter(None, (what, first[:200]))) or repr(error)
