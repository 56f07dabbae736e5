"""The forms of linear attention and of the delta rule agree with the equations, written slowly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.plugin import MissingDependencyError, UsageError, ZooError
from zoo_fastweights.layers import backend
from zoo_fastweights.layers.delta_rule import (
    delta_rule_chunkwise,
    delta_rule_recurrent,
    pseudo_values,
    require_contraction,
)
from zoo_fastweights.layers.feature_maps import dpfp
from zoo_fastweights.layers.linear_attention import (
    linear_attention_chunkwise,
    linear_attention_parallel,
    linear_attention_recurrent,
    linear_attention_step,
)
from zoo_fastweights.layers.mixers import FastWeightLayer, build_mixer
from zoo_fastweights.layers.triangular import solve_unit_lower

SHAPE = (2, 3)  # sequences and heads


def drawn(length: int, d: int = 5, e: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64):
    """q, k (normalized), v, beta and log decays."""
    random = torch.Generator().manual_seed(seed)
    q, k = torch.randn(2, *SHAPE, length, d, generator=random, dtype=dtype).unbind()
    v = torch.randn(*SHAPE, length, e, generator=random, dtype=dtype)
    beta, log_decay = torch.rand(2, *SHAPE, length, generator=random, dtype=dtype).unbind()
    return q, torch.nn.functional.normalize(k, dim=-1), v, beta, -log_decay


def slow_delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor | None):
    """Equation by equation, number by number, in float64."""
    q, k, v, beta = (x.double().numpy() for x in (q, k, v, beta))
    decay = np.ones_like(beta) if log_decay is None else np.exp(log_decay.double().numpy())
    outputs = np.zeros(v.shape)
    for n, h in np.ndindex(*SHAPE):
        memory = np.zeros((v.shape[-1], k.shape[-1]))
        for t in range(q.shape[2]):
            memory = decay[n, h, t] * memory
            error = v[n, h, t] - memory @ k[n, h, t]
            memory = memory + beta[n, h, t] * np.outer(error, k[n, h, t])
            outputs[n, h, t] = memory @ q[n, h, t]
    return torch.from_numpy(outputs)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize(("length", "chunk"), [(12, 4), (13, 5), (7, 32), (1, 4)])
def test_forms_of_the_delta_rule_agree(length: int, chunk: int, gated: bool) -> None:
    q, k, v, beta, log_decay = drawn(length)
    decay = log_decay if gated else None
    expected = slow_delta_rule(q, k, v, beta, decay)
    looped, memory = delta_rule_recurrent(q, k, v, beta, decay)
    chunked, after = delta_rule_chunkwise(q, k, v, beta, decay, chunk=chunk)
    torch.testing.assert_close(looped, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(chunked, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after, memory, rtol=0, atol=1e-12)


@pytest.mark.parametrize("gated", [False, True])
def test_float32_is_close_at_length(gated: bool) -> None:
    q, k, v, beta, log_decay = drawn(512, 16, 16, dtype=torch.float32)
    decay = log_decay if gated else None
    expected = slow_delta_rule(q, k, v, beta, decay)
    found, _ = delta_rule_chunkwise(q, k, v, beta, decay)
    assert (found - expected).abs().max() < 1e-4


def test_half_precision_is_computed_in_float32() -> None:
    q, k, v, beta, _ = (x.bfloat16() for x in drawn(40))
    found, memory = delta_rule_chunkwise(q, k, v, beta)
    expected, _ = delta_rule_chunkwise(*(x.float() for x in (q, k, v, beta)))
    assert found.dtype == torch.bfloat16
    assert memory.dtype == torch.float32
    torch.testing.assert_close(found, expected.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        inside, _ = delta_rule_chunkwise(*(x.float() for x in (q, k, v, beta)))
    assert torch.equal(inside, expected)


def test_a_stream_in_half_precision_keeps_its_memory_in_float32() -> None:
    q, k, v, beta, log_decay = (x.bfloat16() for x in drawn(6))
    for decay in (None, log_decay):
        whole, last = delta_rule_recurrent(q, k, v, beta, decay)
        memory, outputs = None, []
        for t in range(6):
            one = [x[:, :, t : t + 1] for x in (q, k, v, beta)]
            output, memory = backend.delta_rule(
                *one, None if decay is None else decay[:, :, t : t + 1], memory
            )
            outputs.append(output)
        assert memory is not None
        assert memory.dtype == torch.float32
        assert outputs[-1].dtype == torch.bfloat16
        torch.testing.assert_close(torch.cat(outputs, dim=2), whole, rtol=0.01, atol=0.01)
        torch.testing.assert_close(memory, last, rtol=0, atol=1e-6)
    memory = linear_attention_chunkwise(q, k, v)[1]
    output, after = linear_attention_step(q[:, :, 0], k[:, :, 0], v[:, :, 0], memory)
    assert output.dtype == torch.bfloat16
    assert after.dtype == torch.float32


def test_what_cannot_be_computed_is_refused() -> None:
    arguments = drawn(3)[:4]
    for form in (delta_rule_chunkwise, delta_rule_recurrent):
        with pytest.raises(UsageError, match="no steps"):
            form(*(x[:, :, :0] for x in arguments))
    with pytest.raises(UsageError, match="chunk has to be 1 or more"):
        delta_rule_chunkwise(*arguments, chunk=0)
    with pytest.raises(UsageError, match="form has to be one of auto"):
        backend.delta_rule(*arguments, form="chunked")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nu has to be from 1 to 9"):
        dpfp(arguments[0], 10)
    with pytest.raises(UsageError, match="mixer has to be one of delta"):
        build_mixer("sums", 8, 2)
    with pytest.raises(UsageError, match="multiple of 3, the heads"):
        FastWeightLayer(8, 3)


def test_a_sequence_may_be_cut_anywhere() -> None:
    q, k, v, beta, log_decay = drawn(11)
    whole, last = delta_rule_chunkwise(q, k, v, beta, log_decay, chunk=4)
    memory, parts = None, []
    for piece in (slice(0, 6), slice(6, 7), slice(7, 11)):
        cut = [x[:, :, piece] for x in (q, k, v, beta, log_decay)]
        output, memory = backend.delta_rule(*cut, memory)
        parts.append(output)
    torch.testing.assert_close(torch.cat(parts, dim=2), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(memory, last, rtol=0, atol=1e-12)


def test_gradients_of_the_forms_agree() -> None:
    found = []
    for form in (delta_rule_recurrent, delta_rule_chunkwise):
        leaves = [x.requires_grad_() for x in drawn(9, 3, 2)]
        output, memory = form(*leaves)
        found.append(torch.autograd.grad(output.sin().sum() + memory.cos().sum(), leaves))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_gradients_are_those_of_finite_differences() -> None:
    leaves = [x[:1, :1].requires_grad_() for x in drawn(5, 3, 2)]
    assert torch.autograd.gradcheck(lambda *x: delta_rule_chunkwise(*x, chunk=4), leaves)


def test_pseudo_values_are_the_memory() -> None:
    q, k, v, beta, _ = drawn(10)
    _, memory = delta_rule_recurrent(q, k, v, beta)
    torch.testing.assert_close(k.mT @ pseudo_values(k, v, beta), memory, rtol=0, atol=1e-12)


def test_rate_zero_writes_nothing_and_rate_one_replaces() -> None:
    q, k, v, beta, _ = drawn(6)
    _, nothing = delta_rule_chunkwise(q, k, v, 0 * beta)
    assert not nothing.any()
    output, _ = delta_rule_chunkwise(k, k, v, torch.ones_like(beta))
    torch.testing.assert_close(output, v)  # what was just written under a key is read there


def test_long_keys_are_found_and_named() -> None:
    _, k, _, beta, _ = drawn(6)
    require_contraction(k, 2 * beta)  # within what is allowed
    k[1, 2, 4] *= 40
    with pytest.raises(ZooError, match=r"at step 4 of a sequence .*normalize the keys"):
        require_contraction(k, beta)


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize(("length", "chunk"), [(12, 4), (13, 5), (3, 64)])
def test_forms_of_linear_attention_agree(length: int, chunk: int, normalized: bool) -> None:
    q, k, v, *_ = drawn(length)
    q, k = q.abs(), k.abs()
    expected = torch.zeros_like(v)
    for t in range(length):  # the definition of causal attention
        weights = torch.einsum("nhd,nhsd->nhs", q[:, :, t], k[:, :, : t + 1])
        if normalized:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-6)
        expected[:, :, t] = torch.einsum("nhs,nhse->nhe", weights, v[:, :, : t + 1])
    looped, memory = linear_attention_recurrent(q, k, v, normalized)
    chunked, after = linear_attention_chunkwise(q, k, v, normalized, chunk=chunk)
    parallel = linear_attention_parallel(q, k, v, normalized)
    for found in (looped, chunked, parallel):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(after, memory, rtol=0, atol=1e-12)
    again, _ = linear_attention_chunkwise(q[:, :, 2:], k[:, :, 2:], v[:, :, 2:], normalized,
                                          linear_attention_chunkwise(q[:, :, :2], k[:, :, :2], v[:,
                                          :, :2], normalized)[1])  # fmt: skip
    torch.testing.assert_close(again, expected[:, :, 2:], rtol=0, atol=1e-12)


def test_fla_is_refused_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = drawn(4)[:4]
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="flash-linear-attention"):
        backend.delta_rule(*arguments, form="fla")
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(ZooError, match="on cpu"):
        backend.delta_rule(*arguments, form="fla")
    output, _ = backend.delta_rule(*arguments)  # installed, and no GPU: ours
    torch.testing.assert_close(output, delta_rule_chunkwise(*arguments)[0])


@pytest.mark.parametrize(
    ("off", "seconds", "taken"), [(0.0, 1, True), (0.0, 3, False), (1.0, 1, False)]
)
def test_the_kernel_is_taken_if_it_agrees_and_is_faster(
    monkeypatch: pytest.MonkeyPatch, off: float, seconds: int, taken: bool
) -> None:
    def kernel(*arguments: Tensor | None) -> tuple[Tensor, Tensor]:
        output, memory = delta_rule_chunkwise(*arguments)
        return output + off, memory

    times = {kernel: seconds, delta_rule_chunkwise: 2}
    monkeypatch.setattr(backend, "fla_delta_rule", kernel)
    monkeypatch.setattr(backend, "_seconds", lambda call: times[call.func])
    arguments = (*(x.float() for x in drawn(4)[:4]), None, None)
    assert (backend._choose(*arguments, required=False) is kernel) == taken
    if off:
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
        with pytest.raises(ZooError, match="differs from the delta rule"):
            backend._choose(*arguments, required=True)


def test_a_triangular_system_is_solved_alike_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    below = torch.randn(2, 3, 40, 40, dtype=torch.float64).tril(-1) / 4
    right = torch.randn(2, 3, 40, 5, dtype=torch.float64)
    solved = solve_unit_lower(below, right)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(solve_unit_lower(below, right), solved, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(solved + below @ solved, right)
