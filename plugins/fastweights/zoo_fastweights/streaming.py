"""The streaming step of a language model as an ONNX file: one symbol in, logits and memory out.

    python -m zoo_fastweights.streaming runs/shakespeare/... step.onnx

Memory and time of a step are constant, however long the text: keep the outputs ``next_0``,
``next_1``, ... and give them back as ``state_0``, ``state_1``, ... with the next symbol; zeros
begin a text, except for self-referential matrices, which begin with trained ones
(``initial_states``). Softmax attention keeps all it has read and has no such step.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.plugin import (
    MissingDependencyError,
    Reference,
    UsageError,
    ZooError,
    install_hint,
    trained_model,
    write_atomically,
)
from zoo_fastweights.layers.mixers import FastWeightLayer, LSTMMixer, SoftmaxAttention
from zoo_fastweights.text_lm import LanguageModel, TextLM

TOLERANCE = 1e-4
"""Largest difference from the parallel form, relative to the largest logit."""
CHECKED = 40
"""Symbols on which the file is compared."""


def initial_states(net: LanguageModel, sequences: int = 1) -> list[Any]:
    """What a text begins with, for each block.

    Args:
        net: The model.
        sequences: Texts side by side.

    Raises:
        UsageError: a block is softmax attention.
    """
    x = net.embedding.weight.new_zeros(sequences, 1, net.embedding.embedding_dim)
    return [_initial(mixer, x) for mixer in net.stack.mixers()]


def _initial(mixer: nn.Module, x: Tensor) -> Any:
    if isinstance(mixer, SoftmaxAttention):
        raise UsageError(
            "softmax attention keeps all that it has read: there is no step of constant size; "
            "train without attention_every, with another mixer than softmax"
        )
    if isinstance(mixer, FastWeightLayer):
        return mixer.empty_state(x)
    if isinstance(mixer, LSTMMixer):
        cells = x.new_zeros(len(x), 1, x.shape[-1])
        return cells, cells
    return mixer.empty_state(x)  # type: ignore[operator]


def flatten(state: Any) -> list[Tensor]:
    """The tensors of nested states, in order."""
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in flatten(part)]


def unflatten(tensors: list[Tensor], like: Any) -> Any:
    """Tensors as nested as ``like``; takes them off the front of the list."""
    if isinstance(like, Tensor):
        return tensors.pop(0)
    return tuple(unflatten(tensors, part) for part in like)


class StreamingStep(nn.Module):
    """``(symbols (N,), *states)`` to ``(logits (N, V), *next states)``.

    Args:
        net: The model.
    """

    def __init__(self, net: LanguageModel) -> None:
        super().__init__()
        self.net, self._like = net, initial_states(net)

    def forward(self, symbols: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        before = unflatten(list(states), self._like)
        logits, after = self.net(symbols.unsqueeze(1), before)
        return (logits[:, 0], *flatten(after))


def export_step(model: TextLM, path: Path) -> float:
    """Write the step of a model, once it gives what the parallel form gives.

    Args:
        model: In evaluation mode, on the CPU.
        path: The ONNX file.

    Returns:
        The largest difference of a logit from the parallel form over 40 symbols, relative to the
        largest logit.

    Raises:
        UsageError: a layer is softmax attention.
        MissingDependencyError: the packages of ONNX are not installed.
        ZooError: the file differs from the model.
    """
    data, runs = _converted(model.net)
    size = int(model.hparams["vocab_size"])
    symbols = torch.randint(size, (1, CHECKED), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted, _ = model.net(symbols)
    states = [part.numpy() for part in flatten(initial_states(model.net))]
    found = []
    for symbol in symbols[0]:
        names = {f"state_{number}": state for number, state in enumerate(states)}
        logits, *states = runs(None, {"symbols": symbol[None].numpy(), **names})
        found.append(torch.from_numpy(logits))
    apart = float((torch.stack(found, 1) - wanted).abs().max() / wanted.abs().max())
    if not apart <= TOLERANCE:
        raise ZooError(
            f"the exported step differs from the model by {apart:.1e} of the largest logit"
        )
    write_atomically(path, data)
    return apart


def _converted(net: LanguageModel) -> tuple[bytes, Any]:
    """The bytes of the file, and what runs it."""
    states = flatten(initial_states(net))
    step = StreamingStep(net).eval()
    try:
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX needs {error.name}, which is not installed: {install_hint('zoo[onnx]')}"
        ) from error
    numbers = range(len(states))
    program = torch.onnx.export(
        step,
        (torch.zeros(1, dtype=torch.long), *[state.detach().clone() for state in states]),
        dynamo=True,
        verbose=False,
        input_names=["symbols", *(f"state_{number}" for number in numbers)],
        output_names=["logits", *(f"next_{number}" for number in numbers)],
    )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return data, session.run


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, export, say how far it is from the model."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reference", help="a run or bundle folder, or a checkpoint's name")
    parser.add_argument("out", type=Path, help="the ONNX file")
    options = parser.parse_args(arguments)
    reference: Reference = options.reference
    model = trained_model(reference)
    if not isinstance(model, TextLM):
        raise UsageError(f"{options.reference} is not a text-lm, which alone has a streaming step")
    apart = export_step(model, options.out)
    print(f"{options.out}: difference {apart:.1e} over {CHECKED} symbols")


if __name__ == "__main__":
    main()
