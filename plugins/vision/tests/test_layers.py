import pytest
import torch
from torch import nn

from zoo.plugin import UsageError
from zoo_vision.layers import ACTIVATIONS, ScaledTanh, activation, initialize, resize


def test_scaled_tanh_is_lecuns():
    assert ScaledTanh()(torch.tensor(0.0)) == 0
    # The constants were chosen so that f(1) = 1 and f(-1) = -1, about.
    assert ScaledTanh()(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([1, -1], abs=1e-3)
    assert ScaledTanh()(torch.tensor(100.0)) == pytest.approx(1.7159)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_pooling_before_an_activation_changes_nothing(name):
    torch.manual_seed(0)
    values, pool, act = torch.randn(2, 3, 8, 8), nn.MaxPool2d(2), activation(name)
    assert torch.equal(pool(act(values)), act(pool(values)))


def test_initializations_have_their_variances():
    torch.manual_seed(0)
    weight, bias = torch.empty(400, 50, 5, 5), torch.empty(400)
    initialize(weight, bias, "uniform", "scaled_tanh")
    assert weight.abs().max() <= 0.05
    assert weight.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.01)
    assert bias.abs().max() > 0.03
    initialize(weight, bias, "kaiming", "relu")
    assert weight.std().item() == pytest.approx((2 / 1250) ** 0.5, rel=0.01)
    assert not bias.any()
    initialize(weight, bias, "kaiming", "")
    assert weight.std().item() == pytest.approx((1 / 1250) ** 0.5, rel=0.01)
    initialize(weight, bias, "xavier", "tanh")
    assert weight.std().item() == pytest.approx((2 / (1250 + 10_000)) ** 0.5, rel=0.01)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"scaled_tanh.*'swish'"):
        activation("swish")
    with pytest.raises(UsageError, match=r"kaiming.*'zeros'"):
        initialize(torch.empty(1, 1), torch.empty(1), "zeros", "relu")


def test_pad_centers_and_resize_fills():
    images = torch.ones(1, 1, 28, 28)
    padded = resize(images, (29, 32), "pad")
    assert padded.shape == (1, 1, 29, 32)
    assert padded.sum() == 28 * 28
    assert padded[0, 0, :28, 2:30].all()
    assert torch.allclose(resize(images, (29, 32)), torch.ones(1, 1, 29, 32))


def test_pad_shrinks_what_is_too_large():
    assert resize(torch.rand(1, 3, 40, 20), (29, 29), "pad").shape == (1, 3, 29, 29)
