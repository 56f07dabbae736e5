import copy
import math
import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from zoo.plugin import UsageError
from zoo_segmentation.layers.blocks import block_sides, from_blocks, to_blocks
from zoo_segmentation.layers.pyramid_lstm import PyramidLSTM
from zoo_segmentation.losses import loss, softmax_squared
from zoo_segmentation.md_lstm import MDLSTMNet, MDLSTMSegmenter
from zoo_segmentation.metrics import Scores, measure
from zoo_segmentation.monai_nets import MonaiSegmenter
from zoo_segmentation.pyramid_lstm import (
    PyramidLSTMNet,
    PyramidLSTMSegmenter,
    SmallPyramidLSTMSegmenter,
)

MONAI = ("UNet", "SegResNet", "DynUNet", "BasicUNet", "AttentionUnet", "SegResNetDS")


def batch(dims: int = 3, length: int = 8, count: int = 1) -> dict:
    """A ball (a disc) that is brighter than what lies around it."""
    middle = torch.arange(length) - (length - 1) / 2
    grid = torch.stack(torch.meshgrid(*[middle] * dims, indexing="ij"))
    label = (grid.square().sum(0) < (length / 3) ** 2).long().expand(count, 1, *[length] * dims)
    noise = torch.randn(label.shape, generator=torch.Generator().manual_seed(0))
    return {
        "image": label * 2 - 1 + 0.3 * noise,
        "label": label.clone(),
        "spacing": torch.ones(count, dims),
        "name": ["ball"] * count,
    }


def small(**arguments) -> SmallPyramidLSTMSegmenter:
    torch.manual_seed(0)
    given = {"hidden": [3, 3], "kernel_size": 3, "patch_size": [8, 8, 8], "lr": 0.03}
    return SmallPyramidLSTMSegmenter(**{**given, **arguments})


def quiet_trainer(epochs: int) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def fit(model, data, steps: int = 25) -> dict[str, float]:
    """Train and test on one batch; all metrics logged."""
    trainer = quiet_trainer(steps)
    loader = DataLoader([data], batch_size=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, loader, loader)
        logged = dict(trainer.callback_metrics)
        trainer.test(model, loader, verbose=False)
    return {name: float(v) for name, v in (logged | trainer.callback_metrics).items()}


def test_the_papers_net_has_the_papers_weights():
    net = PyramidLSTMNet(5, 5)
    assert sum(parameter.numel() for parameter in net.parameters()) == 10_751_547
    for name, parameter in net.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            assert 0.09 < parameter.abs().max() <= 0.1


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("side", [1, 2, 3])
def test_blocks_come_apart_as_they_were_put_together(dims, side):
    x = torch.arange(2 * 3 * 5 * 4 * 7.0).view(2, 3, 5, 4, 7)[..., : 7 if dims == 3 else 1]
    x = x if dims == 3 else x.squeeze(-1)
    blocks = to_blocks(x, block_sides(side, dims))
    assert blocks.shape[2:] == tuple(math.ceil(length / side) for length in x.shape[2:])
    if side == 2:
        first = blocks[0, :, 0, 0] if dims == 2 else blocks[0, :, 0, 0, 0]
        expected = x[0, :, :2, :2] if dims == 2 else x[0, :, :2, :2, :2]
        torch.testing.assert_close(first, expected.flatten())
    torch.testing.assert_close(from_blocks(blocks, block_sides(side, dims), x.shape[2:]), x)


def test_blocks_may_have_another_side_along_every_axis():
    x = torch.arange(3 * 5 * 4.0).view(1, 1, 3, 5, 4)
    blocks = to_blocks(x, [1, 3, 2])
    assert blocks.shape == (1, 6, 3, 2, 2)
    torch.testing.assert_close(blocks[0, :, 2, 0, 1], x[0, 0, 2, :3, 2:].flatten())
    torch.testing.assert_close(from_blocks(blocks, [1, 3, 2], x.shape[2:]), x)
    net = PyramidLSTMNet(1, 2, [3], [], 3, block=[1, 3, 2], skip=True)
    assert net(x).shape == (1, 2, 3, 5, 4)


@pytest.mark.parametrize("options", [{}, {"block": 2}, {"skip": True, "block": 2, "dropout": 0.1}])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_net_keeps_any_size(dims, options):
    net = PyramidLSTMNet(2, 3, [3, 4], [5], 3, dims, **options)
    size = (5, 6, 7)[:dims]
    assert net(torch.randn(1, 2, *size)).shape == (1, 3, *size)


@pytest.mark.parametrize("size", [(5, 7), (3, 5, 7)])
def test_the_md_lstm_net_keeps_any_size(size):
    net = MDLSTMNet(2, 3, [3, 4], [5], 2, len(size))
    assert net(torch.randn(1, 2, *size)).shape == (1, 3, *size)


def test_softmax_squared_by_hand():
    logits = torch.tensor([[[0.0, 0.0], [0.0, math.log(3.0)]]])
    labels = torch.tensor([[[0, 1]]])
    # Errors: 0.5 twice at the first voxel, 0.25 twice at the second.
    expected = 0.5 * (2 * 0.25 + 2 * 0.0625) / 4
    assert softmax_squared(logits, labels).item() == pytest.approx(expected)


def test_dice_ce_is_the_sum_of_both():
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 3, (2, 1, 4, 4), generator=torch.Generator().manual_seed(1))
    share = logits.softmax(1)
    truth = torch.nn.functional.one_hot(labels[:, 0], 3).permute(0, 3, 1, 2).float()
    both = (share * truth).sum((2, 3))[:, 1:]
    sizes = (share + truth).sum((2, 3))[:, 1:]
    dice = 1 - ((2 * both + 1e-5) / (sizes + 1e-5)).mean()
    entropy = -(share.log() * truth).sum(1).mean()
    assert loss("dice-ce")(logits, labels).item() == pytest.approx((dice + entropy).item(), 1e-4)


def test_measures_of_one_volume_by_hand():
    truth = torch.zeros(1, 1, 6, 6, 6, dtype=torch.long)
    truth[..., 1:3, 1:3, 1:3] = 1
    found = truth.roll(1, dims=4)  # one voxel of 2 mm further
    dice, hd95, avd = measure(found, truth, 2, [1.0, 1.0, 2.0])[:, 0].tolist()
    assert dice == pytest.approx(0.5)
    assert hd95 == pytest.approx(2.0)
    assert avd == 0.0
    found = truth.clone()
    found[..., 1, 1, 1] = 0
    assert measure(found, truth, 2)[2, 0].item() == pytest.approx(1 / 8)


def test_classes_that_are_missing_are_left_out_and_counted():
    here = torch.zeros(1, 1, 3, 3, 3, dtype=torch.long)
    here[..., 1, 1, 1] = 1
    none = torch.zeros_like(here)
    both, missed, invented = (
        measure(none, none, 2)[:, 0],
        measure(none, here, 2)[:, 0],
        measure(here, none, 2)[:, 0],
    )
    assert both.isnan().all()
    assert missed[0] == 0
    assert missed[1].isnan()
    assert missed[2] == 1
    assert invented[0] == 0
    assert invented[1:].isnan().all()
    scores = Scores(2)
    for found, truth in ((none, none), (none, here), (here, here), (here, none)):
        scores.update(measure(found, truth, 2), (found != truth).sum(), 27)
    values = scores.compute()
    assert values["dice"].item() == pytest.approx(1 / 3)
    assert values["hd95"].item() == 0
    assert values["left_out"][:, 0].tolist() == [0.25, 0.75, 0.5]
    assert values["error"].item() == pytest.approx(2 / 108)


def test_windows_are_blended_to_what_a_net_without_context_gives_at_once():
    model = small(window=[4, 4, 4])
    whole = small(window=[0, 0, 0])
    for one in (model, whole):
        torch.manual_seed(0)
        one.network = torch.nn.Conv3d(1, 2, 1)
    image = batch(length=7)["image"]
    torch.testing.assert_close(model.probabilities(image), whole.probabilities(image))


class Stamps(torch.nn.Module):
    """Of the n-th window, logits whose softmax is 1 / (n + 1) for class 0 in every voxel."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = 0

    def forward(self, part: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        share = torch.full_like(part, 1 / (self.seen + 1))
        return torch.cat([share, 1 - share], dim=1).log()


def test_windows_are_blended_as_by_the_authors_program():
    model = small(window=[8, 8, 8], overlap=0.5, blending=0.3536)
    model.network = Stamps()
    with torch.no_grad():
        blended = model.probabilities(torch.zeros(1, 1, 8, 8, 12))[0, 0, 3, 3]
    weights = torch.exp(-(((torch.arange(8) - 3.5) / 4) ** 2))
    first, second = torch.zeros(12), torch.zeros(12)
    first[:8], second[4:] = weights, weights
    torch.testing.assert_close(
        blended, (first / 2 + second / 3) / (first + second), rtol=1e-3, atol=0
    )


def test_the_loss_of_a_sub_volume_may_be_divided_by_the_voxels_of_a_whole_one():
    plain = small(loss="softmax-squared")
    whole = small(loss="softmax-squared", loss_volume=[16, 16, 32])
    data = batch()
    share = 8**3 / (16 * 16 * 32)
    assert whole.training_step(data, 0).item() == pytest.approx(
        share * plain.training_step(data, 0).item()
    )
    # What is logged is the mean over the sub-volume, as without.
    torch.testing.assert_close(whole.train_loss.compute(), plain.train_loss.compute())


def test_flips_average_over_all_flipped_volumes():
    model = small(flips=[0, 2], window=[0, 0, 0])
    image = torch.randn(1, 1, 5, 6, 7)
    with torch.no_grad():
        parts = [model(image.flip(axes)).softmax(1).flip(axes) for axes in ((), (2,), (4,), (2, 4))]
        torch.testing.assert_close(model.probabilities(image), sum(parts) / 4)


def test_a_volume_smaller_than_the_window_is_padded():
    assert small(patch_size=[8, 8, 8]).probabilities(torch.randn(1, 1, 5, 9, 3)).shape == (
        (1, 2, 5, 9, 3)
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: small(label_names=["background", "ball"]),
        lambda: small(block=2, skip=True, optimizer="normalized-momentum", schedule="halving"),
        lambda: MDLSTMSegmenter(hidden=[8], block=1, patch_size=[8, 8, 8], lr=0.1),
        lambda: MonaiSegmenter(
            "UNet", {"channels": [8, 16], "strides": [2]}, patch_size=[8, 8, 8], lr=0.03
        ),
    ],
    ids=["pyramid", "blocks, the paper's optimizer", "md-lstm", "unet"],
)
def test_a_ball_is_learned_measured_and_drawn(make):
    torch.manual_seed(0)
    model = make()
    data = batch()
    logged = fit(model, data)
    name = model.label_names[1]
    assert logged["test/dice"] > 0.9
    assert logged[f"test/dice/{name}"] == logged["test/dice"]
    for wanted in ("train/loss", "val/dice", "val/loss", "val/error", "test/hd95", "test/avd"):
        assert math.isfinite(logged[wanted])
    drawn = model.draw_plots(data)
    assert set(drawn) == {"worst_case", "median_case"}


@pytest.mark.parametrize("optimizer", ["adamw", "normalized-momentum"])
def test_gradients_are_clipped_under_mixed_precision(optimizer):
    model = small(optimizer=optimizer)
    trainer = Trainer(
        max_steps=1,
        precision="bf16-mixed",
        gradient_clip_val=1e-9,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, DataLoader([batch()], batch_size=None))
    norms = [p.grad.norm() for p in model.parameters() if p.grad is not None]
    assert torch.stack(norms).norm() < 1.1e-9


def test_membranes_are_measured_and_drawn_as_in_the_challenge():
    model = small(
        spatial_dims=2, patch_size=[16, 16], label_names=["cell", "membrane"], distances=False
    )
    data = batch(2, 16)
    logged = fit(model, data)
    assert logged["test/pixel_error"] < 0.1
    assert logged["test/pixel_error"] == pytest.approx(float(logged["test/error"]))
    assert 0 <= logged["test/v_rand"] <= 1
    assert 0 <= logged["test/v_info"] <= 1
    assert "test/hd95" not in logged
    assert "membranes" in model.draw_plots(data)


def test_missing_classes_are_said_and_leave_no_nan(capsys):
    model = small(num_classes=3)
    data = batch()
    background = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1, 1).expand(1, 3, 8, 8, 8)
    model.probabilities = lambda images: background
    trainer = quiet_trainer(1)
    trainer.test(model, DataLoader([data], batch_size=None), verbose=False)
    said = [line for line in capsys.readouterr().err.splitlines() if "out volumes" in line]
    assert [line.partition(" lea")[0] for line in said] == ["test/dice and test/avd", "test/hd95"]
    assert said[1].endswith("lacks the class: label 1 100%, label 2 100% of the volumes")
    logged = trainer.callback_metrics
    assert "test/dice/label 2" not in logged
    assert logged["test/dice"] == 0
    assert all(math.isfinite(value) for value in logged.values())


@pytest.mark.parametrize("name", MONAI)
@pytest.mark.parametrize("dims", [2, 3])
def test_monai_nets_give_logits_of_the_volumes_size_and_name_their_head(name, dims):
    model = MonaiSegmenter(name, spatial_dims=dims, patch_size=[32] * dims, num_classes=3)
    assert model.eval()(model.example_input).shape == (2, 3, *[32] * dims)
    other = MonaiSegmenter(name, spatial_dims=dims, patch_size=[32] * dims, num_classes=5)
    sizes = {key: value.shape for key, value in other.state_dict().items()}
    differing = [
        k for k, v in model.network.state_dict().items() if v.shape != sizes[f"network.{k}"]
    ]
    assert differing
    assert all(f"network.{key}".startswith(tuple(model.head)) for key in differing)


def test_swin_unetr_runs_on_windows_of_64():
    model = MonaiSegmenter("SwinUNETR", {"feature_size": 12}, spatial_dims=2, patch_size=[64, 64])
    assert model.eval()(model.example_input).shape == (2, 2, 64, 64)
    with pytest.raises(UsageError, match="does not work on windows of"):
        MonaiSegmenter("SwinUNETR", {"feature_size": 12}, spatial_dims=2, patch_size=[16, 16])


def test_finding_the_head_draws_no_numbers():
    torch.manual_seed(0)
    MonaiSegmenter("UNet")
    after = torch.rand(1)
    torch.manual_seed(0)
    MonaiSegmenter("UNet")._find_head()
    assert torch.equal(torch.rand(1), after)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: MonaiSegmenter("UNett"), "did you mean .*UNet"),
        (lambda: MonaiSegmenter("UNet", {"chanels": [1]}), "did you mean 'channels'"),
        (lambda: MonaiSegmenter("UNet", {"channels": [4]}), "cannot be built"),
        (lambda: MonaiSegmenter("UNet", patch_size=[9, 9, 9]), r"windows of \[9, 9, 9\]"),
        (lambda: small(kernel_size=4), "odd"),
        (lambda: small(hidden=[3, 3], fully_connected=[]), "there are 1"),
        (lambda: small(hidden=[]), "hidden"),
        (lambda: small(strategy="fast"), "strategy"),
        (lambda: small(init="zeros"), "init"),
        (lambda: small(loss="dice"), "dice-ce"),
        (lambda: small(optimizer="sgd"), "normalized-momentum"),
        (lambda: small(schedule="linear"), "halving"),
        (lambda: small(num_classes=1), "num_classes"),
        (lambda: small(spatial_dims=1), "spatial_dims"),
        (lambda: small(patch_size=[8, 8]), "3 lengths"),
        (lambda: small(overlap=1.0), "overlap"),
        (lambda: small(blending=0), "blending"),
        (lambda: small(loss_volume=[8, 8]), "loss_volume is .*3 lengths"),
        (lambda: small(lr=0), "lr has to be above 0, not 0"),
        (lambda: small(half_life=0), "half_life"),
        (lambda: small(lr_backbone=-1), "lr_backbone"),
        (lambda: small(lr_floor=-1), "lr_floor"),
        (lambda: small(block=[1, 2]), "block"),
        (lambda: small(flips=[3]), "flips"),
        (lambda: small(label_names=["one"]), "1 names for 2 classes"),
        (lambda: MDLSTMSegmenter(hidden=[4], fully_connected=[3]), "there are 0"),
    ],
)
def test_wrong_arguments_are_named(make, said):
    with pytest.raises(UsageError, match=said):
        make()


def test_a_model_is_rebuilt_from_its_hyperparameters():
    model = PyramidLSTMSegmenter(hidden=[2, 3], fully_connected=[4], kernel_size=3, num_classes=4)
    again = PyramidLSTMSegmenter(**copy.deepcopy(dict(model.hparams)))
    again.load_state_dict(model.state_dict())
    image = torch.randn(1, 1, 4, 5, 6)
    np.testing.assert_array_equal(model(image).detach(), again(image).detach())


def test_fine_tuning_takes_what_the_data_decide_from_the_new_data():
    assert {"in_channels", "spacing", "preprocessing", "label_values"} <= set(
        SmallPyramidLSTMSegmenter.task_arguments
    )


@pytest.mark.parametrize("dims", [2, 3])
def test_the_scaled_initialization_opens_the_forget_gates(dims: int) -> None:
    """Gates in the order of torch's LSTM: input, forget, cell, output."""
    torch.manual_seed(0)
    net = PyramidLSTMNet(
        1, 2, hidden=[5], fully_connected=[], kernel_size=3, spatial_dims=dims, init="scaled"
    )
    (layer,) = (each for each in net.modules() if isinstance(each, PyramidLSTM))
    gates = layer.bias_x.detach().unflatten(1, (4, 5))
    assert (gates[:, 1] == 1).all()
    assert not gates[:, [0, 2, 3]].any()
    inputs = layer.weight_x[0, 0].numel() + layer.weight_h[0, 0].numel()
    for weight in (layer.weight_x, layer.weight_h):
        assert 0.9 * inputs**-0.5 < float(weight.detach().abs().max()) <= inputs**-0.5
    torch.manual_seed(0)
    paper = PyramidLSTMNet(1, 2, hidden=[5], fully_connected=[], kernel_size=3, spatial_dims=dims)
    assert not any(each.detach().any() for name, each in paper.named_parameters() if "bias" in name)
    assert all(float(each.detach().abs().max()) <= 0.1 for each in paper.parameters())
