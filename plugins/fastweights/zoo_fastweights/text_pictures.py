"""What the memories of a language model do while it reads: norm, effective rank, rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from torch import Tensor

from zoo_fastweights.layers.mixers import FastWeightLayer
from zoo_fastweights.layers.stack import Block
from zoo_fastweights.plots import effective_rank, line_picture

if TYPE_CHECKING:
    from zoo_fastweights.text_lm import LanguageModel

MOST_TOKENS = 256


def memory_pictures(net: LanguageModel, symbols: Tensor) -> dict[str, Figure]:
    """Pictures by name; none of a net without fast weight layers.

    Args:
        net: The model.
        symbols: A text, int64 (1, T).
    """
    symbols = symbols[:, :MOST_TOKENS]
    layers = [
        f"layer {number}"
        for number, mixer in enumerate(net.stack.mixers(), 1)
        if isinstance(mixer, FastWeightLayer)
    ]
    if not layers:
        return {}
    norms: dict[str, list[float]] = {f"{name}, norm": [] for name in layers}
    ranks: dict[str, list[float]] = {name: [] for name in layers}
    states: Any = None
    for t in range(symbols.shape[1]):
        _, states = net(symbols[:, t : t + 1], states)
        for name, state in zip(layers, _fast(net, states), strict=True):
            matrix = state[1]
            norms[f"{name}, norm"].append(float(matrix.flatten(2).norm(dim=-1).mean()))
            ranks[name].append(float(effective_rank(matrix).mean()))
    figure = line_picture(ranks, "symbols read", "effective rank, mean over heads")
    axes = figure.axes[0].twinx()
    for name, values in norms.items():
        axes.plot(values, linestyle=":", label=name)
    axes.set_ylabel("norm (dotted), mean over heads")
    pictures = {"memory": figure}
    if rates := _rates(net, symbols):
        pictures["rates"] = line_picture(rates, "symbols read", "rate, mean over heads")
    return pictures


def _fast(net: LanguageModel, states: list[Any]) -> list[Any]:
    pairs = zip(net.stack.mixers(), states, strict=True)
    return [state for mixer, state in pairs if isinstance(mixer, FastWeightLayer)]


def _rates(net: LanguageModel, symbols: Tensor) -> dict[str, Tensor]:
    """Rates of every symbol (T,), by layer, of those that have rates."""
    found: dict[str, Tensor] = {}
    x = net.embedding(symbols)
    for number, block in enumerate(net.stack.blocks, 1):
        assert isinstance(block, Block)
        mixer = block.mixer
        if isinstance(mixer, FastWeightLayer) and mixer.rule != "sum":
            found[f"layer {number}"] = mixer.rates(block.before(x))[0].mean(-1).cpu()
        x, _ = block(x)
    return found
