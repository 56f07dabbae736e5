import inspect

import jsonargparse
import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from zoo.plugin import UsageError, ZooModule
from zoo_vision.classifier import Classifier
from zoo_vision.mcdnn import MCDNN
from zoo_vision.measuring import WORST_KEPT
from zoo_vision.mlp import MLP
from zoo_vision.mpcnn import MPCNN

SMALL = "1x13x13-4C4-MP2-6C2-MP2-8N-N"


def small(**arguments) -> MPCNN:
    return MPCNN(**{"net": SMALL, "image_size": [12, 12], "num_classes": 3, **arguments})


def stripes(count=60, classes=3, size=12) -> TensorDataset:
    """Images whose class is the row of a bright bar, with noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % classes
    images = torch.randint(0, 60, (count, 1, size, size), generator=generator)
    for image, label in zip(images, labels, strict=True):
        image[0, 2 + 3 * label] = 255
    return TensorDataset(images.to(torch.uint8), labels)


def trainer(**arguments) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **arguments,
    )


# Every classifier

BUILT = {
    "mpcnn": lambda: small(rotation=5.0, activation="scaled_tanh", dropout=0.1),
    "mlp": lambda: MLP(
        hidden=[16, 8], input_size=[10, 10], num_classes=3, mean=[0.1], std=[0.3], lr=0.1
    ),
    "mcdnn": lambda: MCDNN(
        net=SMALL,
        image_size=[12, 12],
        num_classes=3,
        preprocessings=["none", "width8"],
        columns_per_preprocessing=2,
        label_names=["a", "b", "c"],
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_hyperparameters_alone_rebuild_the_model(name):
    model = BUILT[name]().eval()
    signature = set(inspect.signature(type(model)).parameters) - {"training"}
    signature |= set(inspect.signature(Classifier).parameters)
    assert set(model.hparams) == signature
    again = type(model)(**dict(model.hparams)).eval()
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(model(model.example_input), again(model.example_input))


@pytest.mark.parametrize("name", BUILT)
def test_models_keep_the_contract(name):
    model = BUILT[name]()
    assert isinstance(model, ZooModule)
    assert len(model.example_input) >= 2
    assert model.example_input.dtype == torch.uint8
    assert model(model.example_input).shape == (2, 3)
    for head in model.head:
        weights = dict(model.get_submodule(head).named_parameters())
        assert weights["bias"].shape[-1] == 3
    # Only weights are kept: constants and sums come from the arguments.
    assert set(model.state_dict()) == {path for path, _ in model.named_parameters()}


@pytest.mark.parametrize("model", [MPCNN, MLP, MCDNN])
def test_every_argument_is_shown_with_its_explanation(model):
    parser = jsonargparse.ArgumentParser()
    parser.add_class_arguments(model, "model")
    shown = parser.format_help().replace("\n", " ")
    own = set(inspect.signature(model).parameters) - {"training"}
    for name in own | set(inspect.signature(Classifier).parameters):
        assert f"--model.{name}" in shown
    for action in parser._actions:
        if action.dest.startswith("model."):
            assert len(action.help) > 20, action.dest


@pytest.mark.parametrize("name", BUILT)
def test_training_learns_and_logs_fractions(name):
    torch.manual_seed(0)
    model = BUILT[name]()
    model.hparams["lr"] = 0.01
    data = stripes()
    fit = trainer(max_epochs=12)
    fit.fit(model, DataLoader(data, 15, shuffle=True), DataLoader(data, 30))
    logged = {key: float(value) for key, value in fit.callback_metrics.items()}
    assert set(logged) >= {"train/loss", "val/loss", "val/accuracy", "val/error"}
    assert logged["val/accuracy"] > 0.9
    assert logged["val/accuracy"] + logged["val/error"] == pytest.approx(1)
    assert 0 < logged["train/accuracy"] <= 1
    fit.test(model, DataLoader(data, 30), verbose=False)
    assert set(fit.callback_metrics) >= {"test/loss", "test/accuracy", "test/error"}


# Measuring


def test_figures_are_those_of_the_whole_set_and_not_of_batches():
    torch.manual_seed(1)
    model, data = small(), stripes(50)
    run = trainer()
    run.test(model, DataLoader(data, 16), verbose=False)
    images, labels = data.tensors
    with torch.no_grad():
        logits = model.eval()(images)
    wrong = logits.argmax(dim=1) != labels
    assert float(run.callback_metrics["test/error"]) == pytest.approx(wrong.float().mean().item())
    loss = F.cross_entropy(logits, labels).item()
    assert float(run.callback_metrics["test/loss"]) == pytest.approx(loss, rel=1e-5)


def test_tested_again_counts_anew():
    torch.manual_seed(1)
    model, data = small(), stripes(50)
    run = trainer()
    for _ in range(2):
        run.test(model, DataLoader(data, 16), verbose=False)
        drawn = model.draw_plots(next(iter(DataLoader(data, 16))))
        assert "50 samples" in drawn["confusion"].axes[0].get_title()


def test_the_worst_mistakes_are_the_wrong_ones_of_largest_loss():
    torch.manual_seed(1)
    model, data = small(), stripes(300)
    trainer().test(model, DataLoader(data, 64), verbose=False)
    images, labels = data.tensors
    with torch.no_grad():
        logits = model.eval()(images)
    losses = F.cross_entropy(logits, labels, reduction="none")
    wrong = logits.argmax(dim=1) != labels
    assert wrong.sum() > WORST_KEPT
    expected = losses[wrong].sort(descending=True).values[:WORST_KEPT]
    assert [kept[0] for kept in model._worst] == pytest.approx(expected.tolist(), rel=1e-4)
    sheet = model.draw_plots(None)["mistakes"]
    assert len(sheet.titles) == WORST_KEPT
    confidence = logits[wrong].softmax(dim=1).amax(dim=1)[losses[wrong].argmax()].item()
    worst = wrong.nonzero()[losses[wrong].argmax()]
    title = f"{labels[worst].item()} -> {logits[worst].argmax().item()}\n{confidence:.0%}"
    assert sheet.titles[0] == title


def test_figures_of_an_untested_model_come_from_the_batch():
    torch.manual_seed(1)
    drawn = small().eval().draw_plots(tuple(stripes(30)[:]))
    assert "30 samples" in drawn["confusion"].axes[0].get_title()


def test_color_mistakes_are_drawn_in_color():
    torch.manual_seed(0)
    model = MLP(hidden=[4], input_size=[4, 4], in_channels=3, image_size=[4, 4]).eval()
    batch = torch.randint(0, 255, (9, 3, 4, 4), dtype=torch.uint8), torch.arange(9)
    sheet = np.asarray(model.draw_plots(batch)["mistakes"].picture)
    assert (sheet.max(axis=2) > sheet.min(axis=2)).any()


# Preprocessing


def test_uint8_and_float_are_one():
    model = small().eval()
    images = model.example_input
    with torch.no_grad():
        assert torch.allclose(model(images), model(images.float() / 255), atol=1e-6)


def test_mean_and_std_are_taken_out():
    model = small(
        in_channels=3, net=SMALL.replace("1x", "3x", 1), mean=[0.1, 0.2, 0.3], std=[1, 2, 4]
    )
    normalized = model.normalize(torch.full((1, 3, 13, 13), 0.5))
    assert torch.allclose(normalized[0, :, 0, 0], torch.tensor([0.4, 0.15, 0.05]))


@pytest.mark.parametrize("size", [(12, 12), (40, 40), (7, 19)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("wanted", [1, 3])
def test_images_of_any_size_and_color_are_taken(size, channels, wanted):
    model = small(in_channels=wanted, net=SMALL.replace("1x", f"{wanted}x", 1), fit="pad")
    images = torch.randint(0, 255, (2, channels, *size), dtype=torch.uint8)
    assert model.prepare(images).shape == (2, wanted, 13, 13)
    assert model(images).shape == (2, 3)


def test_what_is_neither_gray_nor_rgb_is_refused():
    with pytest.raises(UsageError, match="images have 4 channels"):
        small()(torch.zeros(1, 4, 12, 12))


def test_images_larger_than_the_datas_are_resized_before_they_are_padded():
    model = small(fit="pad")
    image = torch.zeros(1, 1, 12, 12)
    image[..., 3:9, 3:9] = 1
    double = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(model.prepare(double), model.prepare(image), atol=0.3)
    assert not model.prepare(double)[..., 12, :].any()


def test_evaluation_never_deforms_and_training_does():
    model = small(rotation=30.0, elastic_alpha=30.0)
    images, labels = model.example_input, torch.tensor([0, 1])
    with torch.no_grad():
        assert torch.equal(model(images), model(images))
        first, second = (model.training_step((images, labels), 0) for _ in range(2))
    assert not torch.equal(first, second)


def test_forward_is_exportable():
    model = small().eval()
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(model, (model.example_input,), dynamic_shapes=({0: batch},))
    images = model.example_input.repeat(3, 1, 1, 1)
    assert torch.allclose(exported.module()(images), model(images), atol=1e-6)


def test_bfloat16_weights_take_images():
    assert small().to(torch.bfloat16)(small().example_input).dtype == torch.bfloat16


# Optimization


def test_the_schedule_ends_with_the_training():
    torch.manual_seed(0)
    model = small(lr=0.01, rotation=5.0)
    fit = trainer(max_epochs=2, accumulate_grad_batches=2)
    fit.fit(model, DataLoader(stripes(), 10))
    assert fit.global_step == 6
    assert fit.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.01 * 1e-4)


def test_a_schedule_without_an_end_is_refused_before_the_first_step():
    with pytest.raises(UsageError, match="max_epochs"):
        trainer(max_epochs=-1, max_time="00:00:00:05").fit(small(), DataLoader(stripes(), 10))


def test_label_smoothing_enters_the_training_loss_alone():
    torch.manual_seed(0)
    plain, smooth = small(), small(label_smoothing=0.2)
    smooth.load_state_dict(plain.state_dict())
    batch = tuple(stripes(6)[:])
    with torch.no_grad():
        logits = plain(batch[0])
        expected = F.cross_entropy(logits, batch[1], label_smoothing=0.2)
        assert torch.allclose(smooth.training_step(batch, 0), expected)
    smooth.validation_step(batch, 0)
    assert torch.allclose(smooth.val_tally.compute()["loss"], F.cross_entropy(logits, batch[1]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"num_classes": 1}, "num_classes has to be 2 or more"),
        ({"in_channels": 2}, "in_channels has to be one of 1, 3"),
        ({"in_channels": 3}, r"takes 1 channel.*data has 3; start it with '3x13x13'"),
        ({"num_classes": 4, "net": "1x13x13-3N"}, r"ends with 3 units.*4 classes"),
        ({"image_size": [12]}, "image_size"),
        ({"image_size": [12, 0]}, "image_size"),
        ({"mean": [0.1, 0.2]}, "mean is"),
        ({"std": [0.0]}, r"std is .*above 0"),
        ({"label_names": ["a"]}, "1 names for 3 classes"),
        ({"optimizer": "lion"}, r"adamw.*'lion'"),
        ({"schedule": "linear"}, r"onecycle.*'linear'"),
        ({"fit": "crop"}, r"pad.*'crop'"),
        ({"rotation": -1.0}, "rotation"),
        ({"activation": "swish"}, r"relu.*'swish'"),
        ({"initialization": "zeros"}, r"kaiming.*'zeros'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, words):
    with pytest.raises(UsageError, match=words):
        small(**arguments)


# The networks


def test_the_papers_weights_are_counted():
    assert sum(weights.numel() for weights in MPCNN().parameters()) == 76_040
    # Table 1 of Ciresan et al. 2010 counts 12.11 million; its input is 29x29.
    mlp = MLP(hidden=[2500, 2000, 1500, 1000, 500], input_size=[29, 29])
    assert sum(weights.numel() for weights in mlp.parameters()) == pytest.approx(12.11e6, rel=1e-3)


@pytest.mark.parametrize(
    ("hidden", "millions"),
    [([1000, 500], 1.34), ([1500, 1000, 500], 3.26), ([2000, 1500, 1000, 500], 6.69)],
)
def test_the_papers_smaller_nets_have_their_weights_too(hidden, millions):
    count = sum(weights.numel() for weights in MLP(hidden=hidden).parameters())
    assert round(count / 1e6, 2) == pytest.approx(millions, abs=0.011)


def test_the_network_computes_what_its_notation_says():
    torch.manual_seed(0)
    network = small(activation="scaled_tanh").network.eval()
    weights = network.state_dict()
    images = torch.randn(2, 1, 13, 13)

    def act(values):
        return 1.7159 * torch.tanh(0.6666 * values)

    # In the papers' order: convolution, activation, pooling.
    one, three, five, last = (name for name in weights if name.endswith("weight"))
    bias = {name: weights[name.replace("weight", "bias")] for name in (one, three, five, last)}
    values = F.max_pool2d(act(F.conv2d(images, weights[one], bias[one])), 2)
    values = F.max_pool2d(act(F.conv2d(values, weights[three], bias[three])), 2)
    values = act(F.linear(values.flatten(1), weights[five], bias[five]))
    values = F.linear(values, weights[last], bias[last])
    with torch.no_grad():
        assert torch.allclose(network(images), values, atol=1e-5)


def test_dropout_is_for_hidden_units_alone():
    network = small(dropout=0.5).network
    assert [name for name, _ in network.named_children()][-3:] == [
        "activation5",
        "dropout5",
        "head",
    ]


def test_a_net_straight_from_pixels_to_classes_is_one_layer():
    network = small(net="1x13x13-N").network
    assert [name for name, _ in network.named_children()] == ["flatten", "head"]


def test_predictions_are_probabilities():
    model = small().eval()
    for batch in (model.example_input, (model.example_input, torch.zeros(2))):
        predicted = model.predict_step(batch, 0).detach().numpy()
        np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-6)
