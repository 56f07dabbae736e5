import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.plugin import HeadStarter
from zoo_segmentation.layers import PyramidLSTM
from zoo_segmentation.layers.blocks import from_blocks, to_blocks
from zoo_segmentation.layers.scan import STRATEGIES
from zoo_segmentation.layers.scan.parallel_map import parallel_map
from zoo_segmentation.pyramid_lstm import PyramidLSTMNet, SmallPyramidLSTMSegmenter

ALL = ("loop", *STRATEGIES)
SIZES_3D = [(2, 3, 4, 5, 6), (1, 3, 1, 5, 3), (1, 3, 3, 3, 3), (1, 3, 2, 4, 4)]
SIZES_2D = [(2, 3, 4, 5), (1, 3, 1, 3), (1, 3, 4, 4)]


def layer(spatial_dims: int = 3, strategy: str = "dense", **arguments) -> PyramidLSTM:
    torch.manual_seed(0)
    made = PyramidLSTM(3, 2, 3, spatial_dims, strategy=strategy, **arguments).double()
    for parameter in made.parameters():
        torch.nn.init.uniform_(parameter, -0.7, 0.7)
    return made


def volume(*size: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*size, dtype=torch.float64, generator=generator)


def reference(made: PyramidLSTM, x: Tensor) -> Tensor:
    """The cell's equations, slab by slab, with nothing moved out of its place."""
    dims = made.spatial_dims
    total = 0
    for number in range(2 * dims):
        axis, reverse = 2 + number // 2, bool(number % 2)
        slabs = list(x.unbind(axis))
        if dims == 2:  # a line is an image of one row
            slabs = [slab.unsqueeze(2) for slab in slabs]
        if reverse:
            slabs = slabs[::-1]
        wx, wh = made.weight_x[number].chunk(4), made.weight_h[number].chunk(4)
        bx, bh = made.bias_x[number].chunk(4), made.bias_h[number].chunk(4)
        same = [side // 2 for side in wx[0].shape[-2:]]
        outputs = []
        h = c = None
        for slab in slabs:
            z = [F.conv2d(slab, w, b, padding=same) for w, b in zip(wx, bx, strict=True)]
            if h is not None:
                more = [F.conv2d(h, w, b, padding=same) for w, b in zip(wh, bh, strict=True)]
                z = [a + b for a, b in zip(z, more, strict=True)]
            i, f, o, new = z[0].sigmoid(), z[1].sigmoid(), z[2].sigmoid(), z[3].tanh()
            c = new * i if c is None else new * i + c * f
            h = o * c.tanh()
            outputs.append(h.squeeze(2) if dims == 2 else h)
        total = total + torch.stack(outputs[::-1] if reverse else outputs, dim=axis)
    return total


def gradients(made: PyramidLSTM, x: Tensor, function=None) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = (function or made)(x)
    weights = torch.cos(torch.arange(y.numel(), dtype=torch.float64)).view_as(y)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *made.parameters()])]


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("size", SIZES_3D + SIZES_2D, ids=str)
def test_the_output_and_all_gradients_are_those_of_the_reference(size, strategy, checkpoint):
    made = layer(len(size) - 2, strategy, checkpoint=checkpoint)
    x = volume(*size)
    expected = gradients(made, x, lambda x: reference(made, x))
    for mine, true in zip(gradients(made, x), expected, strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gradcheck(strategy):
    made = layer(3, strategy)
    x = volume(1, 3, 2, 3, 2).requires_grad_()
    parameters = dict(made.named_parameters())

    def run(x, *values):
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(made, named, (x,))

    assert torch.autograd.gradcheck(run, (x, *parameters.values()), fast_mode=True)


@pytest.mark.parametrize("strategy", ALL)
def test_an_input_that_is_not_contiguous_gives_the_same(strategy):
    made = layer(3, strategy)
    x = volume(2, 3, 4, 5, 6)
    scattered = volume(6, 2, 5, 3, 8).permute(1, 3, 4, 2, 0)[:, :, ::2]
    scattered.copy_(x)
    assert not scattered.is_contiguous()
    torch.testing.assert_close(made(scattered), made(x), rtol=0, atol=0)


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipping_the_volume_and_swapping_the_senses_flips_the_output(strategy, axis):
    made, other = layer(3, strategy), layer(3, strategy)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            own = dict(made.named_parameters())[name].clone()
            own[[2 * axis, 2 * axis + 1]] = own[[2 * axis + 1, 2 * axis]]
            if name.startswith("weight"):
                # The windows of scans along the other axes are flipped with the volume.
                for scanned in range(3):
                    if scanned != axis:
                        plane = [a for a in range(3) if a != scanned].index(axis)
                        pair = slice(2 * scanned, 2 * scanned + 2)
                        own[pair] = own[pair].flip(3 + plane)
            parameter.copy_(own)
    x = volume(1, 3, 3, 4, 5)
    torch.testing.assert_close(other(x.flip(2 + axis)), made(x).flip(2 + axis))


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2)])
def test_transposing_the_volume_and_the_directions_transposes_the_output(strategy, axes):
    made, other = layer(3, strategy), layer(3, strategy)
    order = [0, 1, 2]
    order[axes[0]], order[axes[1]] = axes[1], axes[0]
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            own = dict(made.named_parameters())[name]
            new = own.clone()
            for scanned in range(3):
                source = order[scanned]
                part = own[2 * source : 2 * source + 2]
                if name.startswith("weight"):
                    before = [order[a] for a in range(3) if a != scanned]
                    if before != sorted(before):
                        part = part.transpose(3, 4)
                new[2 * scanned : 2 * scanned + 2] = part
            parameter.copy_(new)
    x = volume(1, 3, 3, 4, 5)
    a, b = 2 + axes[0], 2 + axes[1]
    torch.testing.assert_close(other(x.transpose(a, b)), made(x).transpose(a, b))


@pytest.mark.parametrize("threads", [2, 3])
def test_directions_side_by_side_give_the_same_and_leave_the_threads_as_they_were(threads):
    made = layer()
    x = volume(1, 3, 3, 4, 5)
    alone = gradients(made, x)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        together = gradients(made, x)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    for mine, true in zip(together, alone, strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("strategy", ALL)
def test_under_autocast_the_output_is_float32_and_near_that_of_float32(strategy):
    made = layer(3, strategy).float()
    x = volume(1, 3, 4, 5, 6).float()
    exact = made(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(x)
    assert mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.05
    mixed.sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in made.parameters())


def test_a_gain_too_small_for_bfloat16_survives_in_the_float32_states():
    """Open forget gates: the cell adds up 63 times 0.002 to 1, which bfloat16 would lose."""
    made = PyramidLSTM(1, 1, 1, 2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.zero_()
        made.bias_x[2] = torch.tensor([20.0, 20.0, 20.0, 0.0])  # along the last axis only
        made.weight_x[2, 3] = 1.0
        x = torch.full((1, 1, 1, 64), 0.002)
        x[..., 0] = 1.0
        with torch.autocast("cpu", torch.bfloat16):
            last = made(x)[0, 0, 0, -1]
    cell = torch.tensor(1.0).tanh() + 63 * 0.002
    torch.testing.assert_close(last, cell.tanh(), atol=2e-3, rtol=0)


def test_every_voxel_sees_the_whole_volume():
    made = layer(3)
    x = volume(1, 3, 5, 5, 5).requires_grad_()
    made(x)[0, :, 2, 2, 2].sum().backward()
    seen = x.grad.abs().sum(dim=(0, 1)) > 0
    assert seen.all()


def saved_bytes(made: PyramidLSTM, x: Tensor) -> int:
    """Memory of what the layer keeps for its backward pass, beside input and weights."""
    node = made(x).grad_fn
    while not hasattr(node, "kept"):
        node = node.next_functions[0][0]
    found: dict[int, int] = {}

    def add(part):
        if isinstance(part, Tensor):
            storage = part.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(part, list | tuple):
            for inner in part:
                add(inner)

    add(node.kept)
    return sum(found.values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_checkpointing_keeps_states_only_between_spans(strategy):
    x = volume(1, 3, 16, 16, 16)
    everything = saved_bytes(layer(3, strategy), x)
    between = saved_bytes(layer(3, strategy, checkpoint=True), x)
    # Of 16 steps the states (2 of 2 channels) between 4 spans, float64, in 6 directions.
    assert between == 3 * 2 * 2 * 16 * 16 * 8 * 6
    assert between < everything / 16


def test_prediction_in_spans_is_that_of_training():
    made = layer()
    x = volume(1, 3, 5, 6, 7)
    with torch.no_grad():
        predicted = made(x)
    torch.testing.assert_close(predicted, made(x), rtol=0, atol=0)


def test_auto_is_dense_on_a_cpu_and_grouped_on_any_other_device():
    made, dense = layer(strategy="auto"), layer(strategy="dense")
    assert made.resolved_strategy == "dense"
    x = volume(1, 3, 3, 4, 5)
    for mine, true in zip(gradients(made, x), gradients(dense, x), strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0)
    assert made.to("meta").resolved_strategy == "grouped"
    assert layer(strategy="paired").to("meta").resolved_strategy == "paired"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_piece_of_work_comes_out_in_its_place(threads):
    def work(item):
        assert not torch.is_grad_enabled()
        if item == 3:
            raise ValueError("the third")
        return 2 * item

    before, results = torch.get_num_threads(), []
    try:
        torch.set_num_threads(threads)
        with pytest.raises(ValueError, match="the third"):
            results.extend(parallel_map(work, range(6), torch.device("cpu")))
    finally:
        torch.set_num_threads(before)
    assert results == [0, 2, 4]


def test_a_second_backward_pass_gives_the_same():
    made = layer()
    y = made(volume(1, 3, 3, 4, 5)).sum()
    first = torch.autograd.grad(y, list(made.parameters()), retain_graph=True)
    second = torch.autograd.grad(y, list(made.parameters()))
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize(
    "arguments", [(0, 2, 3), (3, 2, 4), (3, 2, 3, 4), (3, 2, 3, 3, False, "other")], ids=str
)
def test_wrong_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match=r"ha(s|ve) to be|there are"):
        PyramidLSTM(*arguments)


def test_a_wrong_shape_is_named():
    with pytest.raises(ValueError, match=r"\(1, 2, 4, 4\).*\(N, 3, H, W\)"):
        PyramidLSTM(3, 2, 3, 2)(torch.zeros(1, 2, 4, 4))


@pytest.mark.parametrize("dims", [3, 2])
def test_a_graph_holds_a_scan_as_one_operation(dims):
    torch.manual_seed(0)
    layer = PyramidLSTM(2, 3, 3, dims).eval()
    for bias in (layer.bias_x, layer.bias_h):
        torch.nn.init.uniform_(bias, -1, 1)
    x = torch.randn(2, 2, 4, 5, 6)[..., 0] if dims == 2 else torch.randn(2, 2, 4, 5, 6)
    with torch.no_grad():
        program = torch.export.export(layer, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
        scans = [n for n in program.graph.nodes if str(n.target) == "scan"]
        assert len(scans) == 2 * dims
        for some in (x, x[:1]):
            torch.testing.assert_close(program.module()(some), layer(some))


@pytest.mark.parametrize("block", [[2, 2, 2], [1, 2, 3]])
def test_a_new_head_begins_alike_for_all_voxels_of_a_block(block):
    torch.manual_seed(0)
    net = PyramidLSTMNet(2, 3, [4], [], 3, block=block, skip=True, init="scaled").eval()
    seen = net.head.in_channels
    positions = block[0] * block[1] * block[2]
    before = net.head.weight.detach().clone()
    net.start_head()
    after = net.head.weight.detach()
    assert torch.equal(after[::positions], before[::positions])  # of the first voxel
    hidden = torch.randn(1, seen, 3, 3, 3)
    hidden[:, : 2 * positions] = 0
    logits = from_blocks(net.head(hidden), block, [3 * side for side in block])
    means = to_blocks(logits, block).unflatten(1, (3, positions))
    torch.testing.assert_close(means, means[:, :, :1].expand_as(means))
    # Of the block's own voxels, all have the same weight for their own.
    own = after.view(3, positions, seen)[..., : 2 * positions].reshape(3, positions, 2, positions)
    for channel in range(2):
        diagonal = own[:, :, channel].diagonal(dim1=1, dim2=2)
        assert torch.equal(diagonal, diagonal[:, :1].expand_as(diagonal))


def test_a_fine_tuning_starts_the_new_head():
    assert isinstance(SmallPyramidLSTMSegmenter([2, 2]), HeadStarter)


def test_to_load_one_needs_no_monai():
    code = (
        "import sys, zoo; zoo.create_model('pyramid-lstm-small'); "
        "print(sorted({'monai', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
