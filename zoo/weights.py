"""Tensors in files, and how they fit a module. Nothing here runs code from a file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.errors import UsageError

Shapes = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


@dataclass(frozen=True)
class Match:
    """How the tensors of a file fit those of a module, by the module's names.

    Attributes:
        matched: Same name and shape.
        missing: In the module only.
        unexpected: In the file only (by the file's names).
        reshaped: Same name, another shape: (in the file, in the module).
        prefix: What stands before the file's names in the module.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: Shapes
    prefix: str = ""

    @property
    def exact(self) -> bool:
        """Whether every tensor has its counterpart."""
        return not (self.missing or self.unexpected or self.reshaped)

    def differing(self) -> list[str]:
        """Names, in the module, of everything that is not matched."""
        return [*self.missing, *(self.prefix + name for name in self.unexpected), *self.reshaped]

    def rows(self) -> list[dict[str, str]]:
        """One row for every tensor that is not matched, for tables and ``--json``."""
        shapes = {
            name: f"{list(there)} in the file, {list(here)} in the model"
            for name, (there, here) in self.reshaped.items()
        }
        return [
            *(
                {"name": name, "state": "missing", "note": "not in the file"}
                for name in self.missing
            ),
            *(
                {"name": name, "state": "unexpected", "note": "not in the model"}
                for name in self.unexpected
            ),
            *({"name": k, "state": "reshaped", "note": note} for k, note in shapes.items()),
        ]

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
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise UsageError(
                f"{path} is damaged or no safetensors file ({error}): fetch it again"
            ) from error
    content = read_pickle(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise UsageError(f"{path} holds no state dict: save `module.state_dict()` and try again")
    return dict(state)


def read_pickle(path: Path) -> object:
    """A PyTorch checkpoint, read with ``weights_only=True``.

    Raises:
        UsageError: it is damaged, or holds objects whose loading would run code.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = str(error)
        if "GLOBAL" in text or "Unsupported" in text or "class" in text:
            blocked = text.partition("GLOBAL ")[2].split(" ")[0] or "Python objects"
            raise UsageError(
                f"{path} is a pickle that runs code when it is loaded (it asks for {blocked}), so "
                "it was not loaded. If you trust its source, convert it once: torch.load(FILE, "
                "weights_only=False), then safetensors.torch.save_file(STATE_DICT, "
                "'model.safetensors')"
            ) from error
        raise UsageError(f"{path} is damaged or no PyTorch file: fetch it again") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UsageError(f"{path} is damaged or no PyTorch file: fetch it again") from error


def match(module: nn.Module, tensors: Mapping[str, Tensor]) -> Match:
    """Compare names and shapes; nothing is changed.

    Where the file's names lack a prefix that the module's have (``network.`` before timm's
    names) or carry one too many, the prefix under which most tensors match is taken.
    """
    own = module.state_dict()
    prefix = max(_prefixes(own, tensors), key=lambda p: sum(p + name in own for name in tensors))
    named = {prefix + name: tensor for name, tensor in tensors.items()}
    matched = tuple(n for n, t in named.items() if n in own and own[n].shape == t.shape)
    reshaped = {
        name: (tuple(tensor.shape), tuple(own[name].shape))
        for name, tensor in named.items()
        if name in own and own[name].shape != tensor.shape
    }
    return Match(
        matched=matched,
        missing=tuple(name for name in own if name not in named),
        unexpected=tuple(name.removeprefix(prefix) for name in named if name not in own),
        reshaped=reshaped,
        prefix=prefix,
    )


def load_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], head: Sequence[str] = (), source: str = ""
) -> Match:
    """Copy what matches into ``module``; only the head may differ.

    Args:
        module: Receives the tensors.
        tensors: By name, as from ``read_tensors``.
        head: Submodules whose tensors may be missing, unexpected or of another shape.
        source: Where the tensors come from, for messages.

    Returns:
        What matched and what did not.

    Raises:
        UsageError: nothing matched, or something outside the head did not; the module is as
            before.
    """
    found = match(module, tensors)
    where = f"the weights of {source}" if source else "these weights"
    kind = type(module).__name__
    if not found.matched:
        raise UsageError(
            f"none of {where} fits {kind}: {found}. They belong to another architecture, or were "
            "saved under other names"
        )
    wrong = [
        name
        for name in found.differing()
        if not any(name == part or name.startswith(f"{part}.") for part in head)
    ]
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
    fitting = {name: tensors[name.removeprefix(found.prefix)] for name in found.matched}
    module.load_state_dict(fitting, strict=False)
    return found


def _prefixes(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> list[str]:
    """The empty prefix first, then every first part of the module's names."""
    return ["", *dict.fromkeys(f"{name.partition('.')[0]}." for name in own if "." in name)]
