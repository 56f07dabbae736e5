"""A text read at once and symbol by symbol, with a memory of constant size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo.plugin import UsageError, ZooError
from zoo_fastweights import streaming
from zoo_fastweights.layers.mixers import FastWeightLayer
from zoo_fastweights.layers.stack import kinds_of
from zoo_fastweights.text_lm import MIXERS, LanguageModel, TextLM


def net_of(mixer: str, attention_every: int = 0) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(9, kinds_of(mixer, 2, attention_every), 16, 2).double().eval()


SYMBOLS = torch.arange(22).reshape(2, 11) % 9


@pytest.mark.parametrize("mixer", MIXERS)
def test_the_stream_gives_what_the_parallel_form_gives(mixer: str) -> None:
    net = net_of(mixer)
    whole, _ = net(SYMBOLS)
    states, parts, sizes = None, [], []
    for t in range(SYMBOLS.shape[1]):
        logits, states = net(SYMBOLS[:, t : t + 1], states)
        parts.append(logits)
        sizes.append(sum(part.numel() for part in streaming.flatten(states) if part is not None)
                     if mixer != "softmax" else 0)  # fmt: skip
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=0, atol=1e-10)
    assert len(set(sizes)) == 1  # constant memory
    again, _ = net(SYMBOLS[:, 6:], net(SYMBOLS[:, :6])[1])
    torch.testing.assert_close(again, whole[:, 6:], rtol=0, atol=1e-10)


@pytest.mark.parametrize("mixer", [name for name in MIXERS if name != "softmax"])
def test_initial_states_are_those_of_no_text(mixer: str) -> None:
    net = net_of(mixer)
    begun, _ = net(SYMBOLS[:1], streaming.initial_states(net))
    torch.testing.assert_close(begun, net(SYMBOLS[:1])[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("mixer", MIXERS)
def test_no_symbol_sees_what_follows(mixer: str) -> None:
    net = net_of(mixer)
    changed = SYMBOLS.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 9
    before, after = net(SYMBOLS)[0], net(changed)[0]
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_hybrids_mix_in_attention() -> None:
    assert kinds_of("delta", 4, 4) == ["delta", "delta", "delta", "softmax"]
    assert kinds_of("delta", 3, 0) == ["delta"] * 3
    with pytest.raises(UsageError, match="no step of constant size"):
        streaming.initial_states(net_of("delta", 2))


def test_mixers_have_as_many_weights() -> None:
    counts = {
        mixer: sum(p.numel() for p in LanguageModel(65, [mixer] * 4).parameters())
        for mixer in ("delta", "sum", "softmax", "lstm", "gated-delta", "delta-rnn")
    }
    assert max(counts.values()) < 1.02 * min(counts.values()), counts


def test_unnormalized_keys_that_explode_are_refused() -> None:
    layer = FastWeightLayer(8, 2, normalization="none", conv=0)
    with pytest.raises(ZooError, match="normalize the keys"):
        layer(100 * torch.randn(1, 5, 8))


@pytest.mark.slow
def test_the_exported_step_runs_without_the_zoo(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = TextLM("abcdefgh", 8, context=8, dim=16, heads=2, layers=2).eval()
    file = tmp_path / "step.onnx"
    assert streaming.export_step(model, file) < 1e-4
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == [
        "symbols",
        *(f"state_{n}" for n in range(4)),
    ]
