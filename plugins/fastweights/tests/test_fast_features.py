"""Feature maps and normalizations, against their definitions."""

from __future__ import annotations

import pytest
import torch

from zoo_fastweights.layers.feature_maps import (
    RandomFeatures,
    dpfp,
    elu1,
    l2_normalize,
    sum_normalize,
)


@pytest.mark.parametrize("nu", [1, 2, 3])
def test_dpfp_is_the_published_product(nu: int) -> None:
    x = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = dpfp(x, nu)
    assert found.shape == (5, 2 * 4 * nu)
    assert (found >= 0).all()
    for row, values in zip(x.tolist(), found.tolist(), strict=True):
        r = [max(0.0, value) for value in row] + [max(0.0, -value) for value in row]
        expected = [
            r[i] * r[i - j] for j in range(1, nu + 1) for i in range(8)
        ]  # r[-1] is the last
        assert values == pytest.approx(expected, abs=1e-15)


def test_as_many_orthogonal_keys_as_features() -> None:
    """With one feature each, DPFP-1 of d = 4 holds eight keys apart."""
    corners = torch.cat([torch.eye(4), -torch.eye(4)])
    pairs = (corners + corners.roll(1, dims=0)).roll(0)
    pairs[0] = corners[0] + corners[7]
    features = dpfp(pairs, 1)
    gram = features @ features.T
    assert torch.equal(gram > 0, torch.eye(8, dtype=torch.bool))


def test_elu1_is_positive_and_linear_above_zero() -> None:
    x = torch.tensor([-30.0, -1.0, 0.0, 2.0])
    torch.testing.assert_close(elu1(x), torch.tensor([0.0, 0.36787944, 1.0, 3.0]))


def test_random_features_approximate_the_softmax_kernel() -> None:
    torch.manual_seed(0)
    x, y = 0.2 * torch.randn(2, 8)
    features = RandomFeatures(8, 4096)
    assert features(x).shape == (8192,)
    torch.testing.assert_close(features(x) @ features(y), (x @ y).exp(), rtol=0.05, atol=0)
    before = features.projection.clone()
    features(x)
    assert torch.equal(features.projection, before)  # drawn once, unless asked
    features.new_directions()
    assert not torch.equal(features.projection, before)


def test_normalizations_keep_the_delta_rule_within_bounds() -> None:
    x = torch.rand(7, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.testing.assert_close(sum_normalize(x).sum(-1), torch.ones(7))
    torch.testing.assert_close(l2_normalize(x).norm(dim=-1), torch.ones(7))
    assert (sum_normalize(x).norm(dim=-1) <= 1).all()
    assert torch.isfinite(sum_normalize(torch.zeros(1, 6))).all()
