import pytest
import torch
from torch import Tensor

from zoo_segmentation.layers import MDLSTM


def layer(**arguments) -> MDLSTM:
    torch.manual_seed(0)
    made = MDLSTM(2, 3, **arguments).double()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.8, 0.8)
    return made


def image(*size: int) -> Tensor:
    return torch.randn(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def reference(made: MDLSTM, x: Tensor) -> list[Tensor]:
    """The equations, pixel by pixel, for each corner."""
    batch, _, rows, columns = x.shape
    zero = x.new_zeros(batch, made.hidden)
    directions = []
    for number, flips in enumerate([(), (2,), (3,), (2, 3)]):
        seen = x.flip(flips)
        up, left = made.weight_h[number].chunk(2)
        h, c = {}, {}
        for r in range(rows):
            for q in range(columns):
                z = seen[:, :, r, q] @ made.weight_x[number] + made.bias[number]
                z = z + h.get((r - 1, q), zero) @ up + h.get((r, q - 1), zero) @ left
                i, f1, f2, o, new = z.chunk(5, dim=1)
                c[r, q] = (
                    i.sigmoid() * new.tanh()
                    + f1.sigmoid() * c.get((r - 1, q), zero)
                    + f2.sigmoid() * c.get((r, q - 1), zero)
                )
                h[r, q] = o.sigmoid() * c[r, q].tanh()
        states = torch.stack([h[r, q] for r in range(rows) for q in range(columns)], dim=2)
        directions.append(states.view(batch, -1, rows, columns).flip(flips))
    return directions


def gradients(made: MDLSTM, x: Tensor, function) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = function(x)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view(y.shape)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *made.parameters()])]


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("size", [(2, 2, 3, 5), (1, 2, 5, 3), (1, 2, 1, 4), (1, 2, 4, 1)])
def test_the_output_and_all_gradients_are_those_of_the_reference(size, checkpoint):
    made = layer(checkpoint=checkpoint)
    x = image(*size)
    expected = gradients(made, x, lambda x: torch.cat(reference(made, x), dim=1))
    for mine, true in zip(gradients(made, x, made), expected, strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-10, atol=1e-12)


def test_gradcheck():
    made = layer()
    names = list(dict(made.named_parameters()))

    def run(x, *values):
        return torch.func.functional_call(made, dict(zip(names, values, strict=True)), (x,))

    inputs = (image(1, 2, 3, 2).requires_grad_(), *made.parameters())
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


def test_sum_is_the_sum_of_the_corners():
    x = image(2, 2, 4, 3)
    torch.testing.assert_close(layer(merge="sum")(x), sum(reference(layer(), x)))


def test_volumes_are_taken_slice_by_slice():
    made = layer()
    x = image(2, 2, 3, 4, 5)
    slices = torch.stack([made(x[:, :, index]) for index in range(3)], dim=2)
    torch.testing.assert_close(made(x), slices)


def test_an_input_that_is_not_contiguous_gives_the_same():
    made = layer()
    x = image(2, 5, 4, 2).permute(0, 3, 2, 1)
    assert not x.is_contiguous()
    torch.testing.assert_close(made(x), made(x.contiguous()), rtol=0, atol=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_flipping_the_image_and_swapping_the_corners_flips_the_output(axis):
    made, other = layer(merge="sum"), layer(merge="sum")
    order = [1, 0, 3, 2] if axis == 0 else [2, 3, 0, 1]
    with torch.no_grad():
        for mine, true in zip(other.parameters(), made.parameters(), strict=True):
            mine.copy_(true[order])
    x = image(2, 2, 4, 5)
    torch.testing.assert_close(other(x.flip(2 + axis)), made(x).flip(2 + axis))


def test_transposing_the_image_and_the_neighbors_transposes_the_output():
    made, other = layer(merge="sum"), layer(merge="sum")
    hidden = made.hidden
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            new = dict(made.named_parameters())[name][[0, 2, 1, 3]].clone()
            if name == "weight_h":  # the upper neighbor becomes the left one
                new = torch.cat((new[:, hidden:], new[:, :hidden]), dim=1)
            parts = list(new.split(hidden, dim=-1))
            parts[1], parts[2] = parts[2], parts[1]
            parameter.copy_(torch.cat(parts, dim=-1))
    x = image(2, 2, 4, 5)
    torch.testing.assert_close(other(x.transpose(2, 3)), made(x).transpose(2, 3))


def test_under_autocast_the_output_is_float32_and_near_that_of_float32():
    made = layer().float()
    x = image(1, 2, 6, 5).float()
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(x)
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - made(x)).abs().max() < 0.05


def test_states_do_not_grow_over_a_large_image():
    torch.manual_seed(0)
    made = MDLSTM(1, 8)
    with torch.no_grad():
        x = torch.randn(1, 1, 160, 160)
        y = made(x)
        made.bias[:, 8:24] = 1.0  # what the default avoids
        grown = made(x)
    assert y.isfinite().all()
    # A cell state that has grown beyond all bounds shows as an output of 1 or as nan.
    assert y.abs().max() < 0.95
    assert not (grown.abs() < 0.95).all()


def test_wrong_arguments_and_shapes_are_refused():
    with pytest.raises(ValueError, match="1 or more"):
        MDLSTM(0, 2)
    with pytest.raises(ValueError, match="concat, sum"):
        MDLSTM(1, 2, merge="mean")
    with pytest.raises(ValueError, match=r"\(1, 1, 4, 4\)"):
        layer()(torch.zeros(1, 1, 4, 4))
