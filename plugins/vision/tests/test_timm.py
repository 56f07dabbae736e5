"""timm's models as classifiers of the zoo. No test downloads anything."""

from __future__ import annotations

import lightning as L
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader

from zoo.plugin import UsageError, optim
from zoo_vision.data.images import TensorImages
from zoo_vision.timm_models import TimmClassifier

SMALL = "test_resnet"  # timm's own test architecture, with 0.5 million weights
FACTS = {"num_classes": 3, "in_channels": 3, "image_size": [32, 40]}


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model(SMALL).state_dict(), path)
    return path


def test_data_facts_reach_the_network():
    model = TimmClassifier(SMALL, **{**FACTS, "in_channels": 1})
    assert model.input_size == (32, 40)
    assert model(torch.zeros(2, 1, 32, 40, dtype=torch.uint8)).shape == (2, 3)
    assert model.example_input.shape == (2, 1, 32, 40)


@pytest.mark.parametrize(
    "architecture", [SMALL, "test_efficientnet", "test_convnext", "deit_tiny_distilled_patch16_224"]
)
def test_the_head_is_the_classifier(architecture):
    model = TimmClassifier(architecture, **FACTS)
    for name in model.head:
        assert model.get_submodule(name).weight.shape[0] == 3
    assert len(model.head) == (2 if "distilled" in architecture else 1)


def test_an_architecture_of_one_size_gets_it():
    assert TimmClassifier("vit_tiny_patch16_224", **FACTS).input_size == (224, 224)
    model = TimmClassifier("vit_tiny_patch16_224", input_size=[64, 32], **FACTS)
    assert model(torch.zeros(2, 3, 50, 50, dtype=torch.uint8)).shape == (2, 3)


def test_weights_of_another_number_of_classes_are_taken_but_for_the_head(weights):
    model = TimmClassifier(SMALL, weights=str(weights), mean=[0.1] * 3, std=[0.1] * 3, **FACTS)
    torch.manual_seed(0)
    source = timm.create_model(SMALL).state_dict()
    state = model.network.state_dict()
    same = {
        name
        for name in state
        if state[name].shape == source[name].shape and torch.equal(state[name], source[name])
    }
    assert state.keys() - same == {"fc.weight", "fc.bias"}


def test_weights_bring_their_normalization(weights):
    published = timm.get_pretrained_cfg(SMALL)
    data = {"mean": [0.1] * 3, "std": [0.1] * 3}
    own = TimmClassifier(SMALL, **FACTS, **data)
    assert own.mean.flatten().tolist() == pytest.approx([0.1] * 3)
    model = TimmClassifier(SMALL, weights=str(weights), **FACTS, **data)
    assert model.mean.flatten().tolist() == pytest.approx(published.mean)
    assert model.std.flatten().tolist() == pytest.approx(published.std)
    gray = TimmClassifier(SMALL, weights=str(weights), **{**FACTS, "in_channels": 1})
    assert gray.mean.flatten().tolist() == pytest.approx([sum(published.mean) / 3])


def test_the_first_convolution_is_adapted_to_gray(weights):
    model = TimmClassifier(SMALL, weights=str(weights), **{**FACTS, "in_channels": 1})
    name = timm.get_pretrained_cfg(SMALL).first_conv
    torch.manual_seed(0)
    source = timm.create_model(SMALL).get_submodule(name).weight
    assert torch.allclose(model.network.get_submodule(name).weight, source.sum(1, keepdim=True))


def test_the_saved_arguments_rebuild_it_without_the_file(weights):
    model = TimmClassifier(SMALL, weights=str(weights), drop_rate=0.1, **FACTS).eval()
    weights.unlink()
    again = TimmClassifier(**model.hparams).eval()
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(model.example_input), model(model.example_input))


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file(timm.create_model("test_efficientnet").state_dict(), path)
    with pytest.raises(UsageError, match=r"other\.safetensors (fits|do not fit)"):
        TimmClassifier(SMALL, weights=str(path), **FACTS)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(UsageError, match="none of the weights of"):
        TimmClassifier(SMALL, weights=str(path), **FACTS)


def test_weights_that_lack_or_reshape_a_layer_are_refused(weights):
    state = timm.create_model(SMALL).state_dict()
    names = [name for name in state if name.startswith("layer1") and state[name].ndim == 4]
    state[names[0]] = torch.zeros(1, 2, 3, 3)
    del state[names[1]]
    save_file({name: value.contiguous() for name, value in state.items()}, weights)
    with pytest.raises(UsageError, match=rf"{names[1]} \(missing.*{names[0]} \(reshaped"):
        TimmClassifier(SMALL, weights=str(weights), **FACTS)


def test_files_that_are_no_weights_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no weights file .*nowhere"):
        TimmClassifier(SMALL, weights=str(tmp_path / "nowhere"), **FACTS)
    (tmp_path / "a.safetensors").write_text("no weights at all")
    with pytest.raises(UsageError, match="damaged or not a safetensors file"):
        TimmClassifier(SMALL, weights=str(tmp_path / "a.safetensors"), **FACTS)


def test_an_unknown_architecture_gets_the_nearest_names():
    with pytest.raises(UsageError, match="no architecture 'resnt18'; did you mean resnet18"):
        TimmClassifier("resnt18", **FACTS)
    with pytest.raises(UsageError, match=r"no weights 'resnet18\.in99k'; there are resnet18\.a1"):
        TimmClassifier("resnet18.in99k", **FACTS)


def test_pretrained_offline_says_what_to_do(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_hf", offline)
    monkeypatch.setattr(timm.models._builder, "load_state_dict_from_url", offline)
    with pytest.raises(UsageError, match=r"no route to host.*--model\.weights FILE, or set "):
        TimmClassifier("resnet18", pretrained=True, **FACTS)


def test_arguments_that_do_not_fit_are_refused(weights):
    with pytest.raises(UsageError, match="choose one of the two"):
        TimmClassifier(SMALL, pretrained=True, weights=str(weights), **FACTS)
    with pytest.raises(UsageError, match=r"does not take every argument.*drop_path_rate"):
        TimmClassifier("vgg11", drop_path_rate=0.1, **FACTS)
    with pytest.raises(UsageError, match="input_size is"):
        TimmClassifier(SMALL, input_size=[32], **FACTS)
    with pytest.raises(UsageError, match=r"densenet121 does not work on 8x8 pixels .*\[224, 224\]"):
        TimmClassifier("densenet121", num_classes=3, image_size=[8, 8])


def test_it_trains():
    torch.manual_seed(0)
    labels = torch.arange(24) % 3
    pixels = torch.randint(60, (24, 3, 32, 40)) + 90 * labels.view(-1, 1, 1, 1)
    data = DataLoader(TensorImages(pixels.to(torch.uint8), labels), batch_size=8, collate_fn=tuple)
    model = TimmClassifier(SMALL, lr=0.003, translation=0.05, **FACTS)
    trainer = L.Trainer(
        max_epochs=8,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    (metrics,) = trainer.test(model, data, verbose=False)
    assert metrics["test/accuracy"] > 0.8


def test_layers_near_the_input_learn_more_slowly():
    model = TimmClassifier("test_resnet", layer_decay=0.5, num_classes=3, image_size=[32, 32])
    scale = model.lr_scale
    assert scale["network.fc.weight"] == 1
    assert scale["network.conv1.0.weight"] < scale["network.layer4.0.conv1.weight"] < 1
    groups = optim.parameter_groups(model.named_parameters(), 0.1, 0.0, lr_scale=scale)
    assert max(group["lr"] for group in groups) == 0.1
    assert min(group["lr"] for group in groups) == pytest.approx(0.1 * min(scale.values()))
    assert TimmClassifier("test_resnet", image_size=[32, 32]).lr_scale == {}
