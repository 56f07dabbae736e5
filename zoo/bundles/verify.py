"""Whether a bundle that was just written is the model that was trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from zoo.bundles.bundle import read_bundle
from zoo.bundles.load import rebuild
from zoo.errors import ZooError
from zoo.io.failures import one_line

_TOLERANCE = 1e-4
"""Largest difference of an output, relative to the largest; kernels may round in another order."""
_SHAPES = (
    "Tensors whose shapes come from the data are named by a member `dynamic_tensors` of the model, "
    "and made by `grow_to` where it grows (docs/plugin-api.md): write it"
)
_ARGUMENTS = (
    "A model is rebuilt from the constructor arguments that save_hyperparameters() keeps, and "
    "loads what state_dict() gives: mend that"
)
_REMEDY = "then finish the run with --resume"


def require_same(path: Path, model: nn.Module) -> None:
    """Load the bundle and compare it with the trained module: every tensor, and the output on
    ``example_input`` where the trained module gives one.

    Args:
        path: The bundle's folder.
        model: What was trained; it is in evaluation mode afterwards.

    Raises:
        ZooError: the bundle does not load, or is another model; the sentence names the member to
            write.
    """
    with isolate_rng():
        try:
            again = rebuild(read_bundle(path))
        except Exception as error:  # a plugin's own loading may raise errors of any kind
            text = one_line(error)
            hint = _SHAPES if "tensors matched" in text else _ARGUMENTS
            raise ZooError(
                f"the bundle that was just written does not load: {text}. {hint}, {_REMEDY}"
            ) from error
        own, loaded = model.state_dict(), again.state_dict()
        if other := _differing(own, loaded):
            raise ZooError(
                f"the bundle in {path} loads with other values of {', '.join(other[:4])} than "
                "were trained: let `load_state_dict` of the model take what `state_dict` gives, "
                f"{_REMEDY}"
            )
        if all(tensor.dtype == loaded[name].dtype for name, tensor in own.items()):
            training = model.training
            _compare_outputs(path, model, again)
            model.train(training)


def _compare_outputs(path: Path, model: nn.Module, again: nn.Module) -> None:
    try:
        wanted = _outputs(model, model)
    except Exception:  # noqa: BLE001  # it has no example_input, or takes none
        return
    try:
        found = _outputs(again.to(_device(model)), model)
    except Exception as error:
        raise _lost(path, f"cannot compute its output ({one_line(error)})") from error
    if len(wanted) != len(found) or not all(map(_close, wanted, found)):
        raise _lost(path, "gives another output than the trained one")


def _lost(path: Path, what: str) -> ZooError:
    return ZooError(
        f"on `example_input` the model of the bundle in {path} {what}: keep all that `forward` "
        "needs in constructor arguments, parameters and buffers, as a plain attribute that "
        f"training sets is not saved, {_REMEDY}"
    )


@torch.no_grad()
def _outputs(model: nn.Module, asked: Any) -> list[Tensor]:
    """Those of a model that may draw random numbers: the same for the same model."""
    example = asked.example_input
    torch.manual_seed(0)
    return list(_tensors(model.eval()(example.to(_device(model)))))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)


def _close(wanted: Tensor, found: Tensor) -> bool:
    if wanted.shape != found.shape:
        return False
    if not (wanted.is_floating_point() and wanted.numel()):
        return torch.equal(wanted, found)
    scale = float(wanted.nan_to_num().abs().max())
    return torch.allclose(
        wanted, found, rtol=0.0, atol=_TOLERANCE * max(scale, 1e-12), equal_nan=True
    )


def _differing(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that one of them lacks, or that differ."""
    return sorted(
        name
        for name in wanted.keys() | found.keys()
        if name not in wanted or name not in found or not _equal(wanted[name], found[name])
    )


def _equal(wanted: Tensor, found: Tensor) -> bool:
    """To the last digit, in the precision that the loaded model has."""
    wanted, found = wanted.cpu().to(found.dtype), found.cpu()
    if torch.equal(wanted, found) or not (found.is_floating_point() or found.is_complex()):
        return torch.equal(wanted, found)
    return torch.equal(wanted.isnan(), found.isnan()) and torch.equal(
        wanted.nan_to_num(), found.nan_to_num()
    )


def _device(model: nn.Module) -> torch.device:
    first = next(iter([*model.parameters(), *model.buffers()]), None)
    return torch.device("cpu") if first is None else first.device
