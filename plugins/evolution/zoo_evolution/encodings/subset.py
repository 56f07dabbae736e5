"""Some of a module's parameters, such as adapters or a head, as what is searched."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.plugin import UsageError


class ParameterSubset:
    """The parameters of a module whose names begin with one of some prefixes, as one vector.

    All others stay as they are, so that a few thousand numbers of a large net can be searched
    without gradients. The order is that of the module's ``named_parameters``.

    Args:
        module: Any module; put it into evaluation mode, as what a batch norm gathers would be
            shared by all individuals.
        prefixes: Beginnings of names, such as ``"head."``.

    Raises:
        UsageError: no parameter's name begins so.
    """

    def __init__(self, module: nn.Module, *prefixes: str) -> None:
        self.module = module
        found = {n: p for n, p in module.named_parameters() if n.startswith(prefixes)}
        if not found:
            shown = " or ".join(map(repr, prefixes))
            raise UsageError(
                f"{type(module).__name__} has no parameter whose name begins with {shown}; it has "
                + ", ".join(name for name, _ in module.named_parameters())
            )
        self._found = found

    @property
    def names(self) -> list[str]:
        """Of the parameters, in their order in the vector."""
        return list(self._found)

    @property
    def size(self) -> int:
        """Numbers in all."""
        return sum(each.numel() for each in self._found.values())

    @property
    def start(self) -> Tensor:
        """The vector that the module has now, float64 (size,)."""
        parts = [each.detach().flatten().double() for each in self._found.values()]
        return torch.cat(parts)

    @torch.no_grad()
    def load(self, vector: Tensor) -> None:
        """Put a vector (size,) into the module."""
        for name, value in self._named(vector[None]).items():
            self._found[name].copy_(value[0])

    @torch.no_grad()
    def outputs(self, vectors: Tensor, inputs: Tensor) -> Tensor:
        """What the module gives with each vector (P, size) for the same inputs (N, ...): (P, N,
        ...), all at once."""

        def one(parameters: dict[str, Tensor]) -> Tensor:
            output: Tensor = torch.func.functional_call(self.module, parameters, (inputs,))
            return output

        return torch.func.vmap(one)(self._named(vectors))

    def _named(self, vectors: Tensor) -> dict[str, Tensor]:
        sizes = [each.numel() for each in self._found.values()]
        parts = zip(self._found.items(), vectors.split(sizes, dim=1), strict=True)
        return {n: v.to(p).reshape(len(vectors), *p.shape) for (n, p), v in parts}
