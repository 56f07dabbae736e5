"""What a training does for a GPU before its first step: cuDNN's choice by trial, compiling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torchmetrics import Metric

from zoo.io.failures import one_line
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.declarations import fixed_shapes


def prepare(trainer: Trainer, model: LightningModule) -> None:
    """Set what the Trainer's settings, the device and the model's class ask for.

    Args:
        trainer: Before it fits.
        model: What it will train.
    """
    if trainer.strategy.root_device.type == "cuda":
        torch.backends.cudnn.benchmark = chooses_by_trial(trainer, model)
    if getattr(trainer, "compile", False):
        compile_networks(model)


def chooses_by_trial(trainer: Trainer, model: LightningModule) -> bool:
    """Whether cuDNN is to try its convolutions at each new shape and keep the fastest: as the
    recipe says it (``benchmark``); otherwise for a model of fixed shapes, where the recipe does
    not ask for repeatable results (``deterministic``)."""
    given: bool | None = getattr(trainer, "benchmark", None)
    if given is not None:
        return given
    return fixed_shapes(model) and not torch.are_deterministic_algorithms_enabled()


def compile_networks(model: LightningModule, backend: str = "inductor") -> None:
    """Let ``torch.compile`` compile each child of a module that has parameters, in place: names of
    weights stay as they are. What the compiler refuses is run as it is, and a line says so, once.

    Args:
        model: The module.
        backend: One of ``torch.compiler.list_backends()``.
    """
    said: set[str] = set()
    for name, child in model.named_children():
        if not isinstance(child, Metric) and any(True for _ in child.parameters()):
            child.compile(backend=_or_eager(name, backend, said))


def _or_eager(name: str, backend: str, said: set[str]) -> Callable[..., Any]:
    def compiled(graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        make = torch._dynamo.lookup_backend(backend)  # noqa: SLF001  # documented for backends
        try:
            made: Callable[..., Any] = make(graph, inputs)
        except Exception as error:  # noqa: BLE001  # the compiler's own, of many kinds
            if name not in said:
                said.add(name)
                rank_zero_print(
                    f"torch.compile does not compile {name!r} ({one_line(error)}): it is run as "
                    "it is; omit --compile to leave compiling out"
                )
            return graph.forward
        return made

    return compiled
