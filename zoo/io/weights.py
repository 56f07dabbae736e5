"""Tensors in files, and how they fit a module. Nothing here runs code from a file."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.errors import UsageError
from zoo.io.dynamic_tensors import take_shapes
from zoo.io.rank_zero import rank_zero_print
from zoo.io.utf8_path import utf8_path

_CODE = re.compile(r"GLOBAL (\S+) (?:was not an allowed|whose module)")
"""How torch says that a pickle asks for something that it does not load."""

_MOST_PARTS = 20
"""First parts of names that are tried in each other's place."""

Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class Match:
    """How the tensors of a file fit those of a module, by the module's names.

    Attributes:
        matched: Same name and shape.
        missing: In the module only.
        unexpected: In the file only (by the file's names).
        reshaped: Same name, another shape: (in the file, in the module).
        names: The file's names to the module's.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: Shapes
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Whether every tensor has its counterpart."""
        return not (self.missing or self.unexpected or self.reshaped)

    def differing(self) -> list[str]:
        """Names, in the module, of everything that is not matched."""
        return [*self.missing, *(self.names[name] for name in self.unexpected), *self.reshaped]

    def rows(self) -> list[dict[str, str]]:
        """One row for every tensor that is not matched, for tables and ``--json``."""
        shapes = {
            name: f"{list(there)} in the file, {list(here)} in the model"
            for name, (there, here) in self.reshaped.items()
        }
        return [
            *(
                {"name": name, "state": "missing", "note": "stays as initialized"}
                for name in self.missing
            ),
            *(
                {"name": name, "state": "unexpected", "note": "not in the model"}
                for name in self.unexpected
            ),
            *({"name": k, "state": "reshaped", "note": note} for k, note in shapes.items()),
        ]

    def table(self) -> str:
        """The counts, and a line for every tensor that is not matched."""
        rows = self.rows()
        width = max((len(row["name"]) for row in rows), default=0)
        lines = [f"  {r['state']:<10}  {r['name']:<{width}}  {r['note']}" for r in rows]
        return "\n".join([str(self), *lines])

    def __str__(self) -> str:
        return (
            f"{len(self.matched)} tensors matched, {len(self.missing)} missing, "
            f"{len(self.unexpected)} unexpected, {len(self.reshaped)} reshaped"
        )


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a safetensors file, or in a PyTorch checkpoint that holds nothing else.

    Args:
        path: ``.safetensors``, or ``.ckpt``, ``.pt``, ``.pth``, ``.bin`` (read with
            ``weights_only=True``; a Lightning checkpoint's ``state_dict`` is taken).

    Raises:
        UsageError: the file is missing, damaged, or a pickle that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no weights file {str(path)!r}")
    if path.suffix == ".safetensors":
        try:
            with utf8_path(path) as readable:
                return load_file(readable)
        except (SafetensorError, OSError, ValueError) as error:
            raise UsageError(
                f"{path} is damaged or not a safetensors file ({error}): fetch it again"
            ) from error
    content = read_pickle(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not is_state_dict(state):
        raise UsageError(f"{path} is not a state dict: save `module.state_dict()` and try again")
    return dict(state)


def is_state_dict(content: object) -> TypeGuard[Mapping[str, Tensor]]:
    """Whether something out of a pickle is a mapping of names to tensors."""
    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def read_pickle(path: Path) -> object:
    """A PyTorch checkpoint, read with ``weights_only=True``.

    Raises:
        UsageError: it is damaged, or holds objects whose loading would run code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise errors of many kinds
        named = _CODE.search(str(error))
        with path.open("rb") as file:
            start = file.read(2)
        plain = start[:1] == pickle.PROTO and start[1:] > b"\2"  # torch writes protocol 2
        if isinstance(error, pickle.UnpicklingError) and (named or plain):
            asked = named[1] if named else "Python objects"
            raise UsageError(
                f"{path} is a pickle that runs code when it is loaded (it asks for {asked}), so "
                "it was not loaded. If you trust its source, convert it once: torch.load(FILE, "
                "weights_only=False), then safetensors.torch.save_file(STATE_DICT, "
                "'model.safetensors')"
            ) from error
        raise UsageError(f"{path} is damaged or not a PyTorch file: fetch it again") from error


def match(module: nn.Module, tensors: Mapping[str, Tensor]) -> Match:
    """Compare names and shapes; nothing is changed.

    Where the file's names lack a first part that the module's have (``network.`` before timm's
    names) or carry another (``module.``, ``model.``), the change under which most names match
    is taken.
    """
    own = module.state_dict()
    names = max(_renamings(own, tensors), key=lambda new: sum(name in own for name in new.values()))
    named = {new: tensors[name] for name, new in names.items()}
    matched = tuple(n for n, t in named.items() if n in own and _takes(own[n], t))
    reshaped = {
        name: (tuple(tensor.shape), tuple(own[name].shape))
        for name, tensor in named.items()
        if name in own and not _takes(own[name], tensor)
    }
    return Match(
        matched=matched,
        missing=tuple(name for name in own if name not in named),
        unexpected=tuple(name for name, new in names.items() if new not in own),
        reshaped=reshaped,
        names=names,
    )


def require_match(
    module: nn.Module, tensors: Mapping[str, Tensor], head: Sequence[str] = (), source: str = ""
) -> Match:
    """Compare names, shapes and kinds of numbers; no number is changed.

    A module's dynamic tensors take the shapes of their counterparts first. A module without any
    tensor fits a file without any. Both sides may lie on torch's meta device, where no number is
    held.

    Args:
        module: What is to receive the tensors.
        tensors: By name.
        head: Submodules whose tensors may be missing, unexpected or of another shape.
        source: Where the tensors come from, for messages.

    Returns:
        What matched and what did not.

    Raises:
        UsageError: nothing matched, something outside the head did not, or a tensor holds
            another kind of number than the module's.
    """
    found = match(module, tensors)
    if not found.exact:
        take_shapes(module, {new: tensors[name] for name, new in found.names.items()})
        found = match(module, tensors)
    where = _named(source)
    kind = type(module).__name__
    if not (found.matched or found.exact):
        raise UsageError(
            f"none of {where} fits {kind}: {found}. They belong to another architecture, or were "
            "saved under other names"
        )
    wrong = [name for name in found.differing() if not in_head(name, head)]
    if wrong:
        notes = {row["name"]: f"{row['state']}, {row['note']}" for row in found.rows()}
        listed = "; ".join(
            f"{name} ({notes.get(name, 'unexpected, not in the model')})" for name in wrong[:5]
        )
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise UsageError(
            f"{where} do not fit {kind}: {found}; outside the head {', '.join(head) or '(none)'} "
            f"these differ: {listed}{more}"
        )
    own = module.state_dict()
    matched = set(found.matched)
    for name, new in found.names.items():
        if new in matched and _kind(tensors[name].dtype) != _kind(own[new].dtype):
            there, here = _name(tensors[name].dtype), _name(own[new].dtype)
            raise UsageError(
                f"{where} do not fit: {new} holds {there} and the model's {here}; "
                f"convert them to {here}, or fetch them again"
            )
    return found


def load_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], head: Sequence[str] = (), source: str = ""
) -> Match:
    """Copy what matches into ``module``; only the head may differ.

    Its dynamic tensors (``HasDynamicTensors``, ``Growing``) take the shapes of the file's. Numbers
    of a higher precision than the module's are rounded to it, and that is told, as are weights
    that are not a number.

    Args:
        module: Receives the tensors.
        tensors: By name, as from ``read_tensors``.
        head: Submodules whose tensors may be missing, unexpected or of another shape.
        source: Where the tensors come from, for messages.

    Returns:
        What matched and what did not.

    Raises:
        UsageError: nothing matched, something outside the head did not, or a tensor holds
            another kind of number than the module's; the module is as before, but for the
            shapes of dynamic tensors.
    """
    found = require_match(module, tensors, head, source)
    where = _named(source)
    matched = set(found.matched)
    fitting = {new: tensors[name] for name, new in found.names.items() if new in matched}
    own = module.state_dict()
    _tell_rounded({name: (t.dtype, own[name].dtype) for name, t in fitting.items()}, where)
    module.load_state_dict(fitting, strict=False)
    own = module.state_dict()  # it may have put other tensors in place of its own
    bad = [n for n in fitting if own[n].is_floating_point() and own[n].isnan().any()]
    if bad:
        rank_zero_print(
            f"{where} hold NaN, not a number, in {len(bad)} of {len(fitting)} tensors, such as "
            f"{bad[0]}: what the model gives is not to be used; train it again"
        )
    return found


def _takes(own: Tensor, tensor: Tensor) -> bool:
    """A lazy parameter has no shape before it is given one."""
    return is_lazy(own) or own.shape == tensor.shape


def _named(source: str) -> str:
    return f"the weights of {source}" if source else "these weights"


def _tell_rounded(dtypes: Mapping[str, tuple[torch.dtype, torch.dtype]], where: str) -> None:
    """Tell which tensors lose digits.

    Args:
        dtypes: By name, those in the file and in the module.
        where: Whose they are, for messages.
    """
    if lossy := [pair for pair in dtypes.values() if pair[0] != pair[1] and not _is_wider(*pair)]:
        there, here = lossy[0]
        rank_zero_print(
            f"{where} are {_name(there)} and the model's {_name(here)}: {len(lossy)} of "
            f"{len(dtypes)} tensors are rounded"
        )


def _kind(dtype: torch.dtype) -> str:
    if dtype.is_complex:
        return "complex"
    if dtype == torch.bool:
        return "bool"
    return "floating" if dtype.is_floating_point else "integer"


def _is_wider(there: torch.dtype, here: torch.dtype) -> bool:
    """Whether ``here`` has more bits, and so takes every number of the same kind."""
    return here.itemsize > there.itemsize


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def in_head(name: str, head: Iterable[str]) -> bool:
    """Whether a parameter, buffer or module lies in one of the submodules that ``head`` names."""
    return any(name == part or name.startswith(f"{part}.") for part in head)


def _renamings(own: Iterable[str], names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Names as they are first, then with any first part put in place of any other or of none."""
    for old in _first_parts(names):
        for new in _first_parts(own):
            found = {n: new + n.removeprefix(old) if n.startswith(old) else n for n in names}
            if len(set(found.values())) == len(found):
                yield found


def _first_parts(names: Iterable[str]) -> list[str]:
    """The most common ones: a file of thousands would be compared for ever."""
    parts = Counter(f"{name.partition('.')[0]}." for name in names if "." in name)
    return ["", *dict(parts.most_common(_MOST_PARTS))]
