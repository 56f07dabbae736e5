"""Tensors in files: what matches is taken, what does not is told, and no file runs code."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import zoo as package
from zoo.errors import UsageError
from zoo.io.weights import load_weights, match, read_tensors
from zoo.recipes.recipe import make_recipe
from zoo.training.train import train


class Net(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Linear(4, 5)
        self.head = nn.Linear(5, classes)


class Wrapped(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.network = Net(classes)


def tensors(module: nn.Module, old: str = "", new: str = "") -> dict[str, Tensor]:
    """A copy of a module's tensors, with another first part of their names."""
    return {new + n.removeprefix(old): t.clone() for n, t in module.state_dict().items()}


def equal(left: Any, right: Any) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


# What matches


def test_every_kind_of_difference_is_told() -> None:
    content = tensors(Net(7))
    del content["body.bias"]
    content["neck.weight"] = torch.zeros(1)
    found = match(Net(3), content)
    assert found.matched == ("body.weight",)
    assert found.missing == ("body.bias",)
    assert found.unexpected == ("neck.weight",)
    assert found.reshaped == {"head.weight": ((7, 5), (3, 5)), "head.bias": ((7,), (3,))}
    assert not found.exact
    assert str(found) == "1 tensors matched, 1 missing, 1 unexpected, 2 reshaped"
    assert {(row["name"], row["state"]) for row in found.rows()} == {
        ("body.bias", "missing"),
        ("neck.weight", "unexpected"),
        ("head.weight", "reshaped"),
        ("head.bias", "reshaped"),
    }
    notes = {row["name"]: row["note"] for row in found.rows()}
    assert notes["head.weight"] == "[7, 5] in the file, [3, 5] in the model"


def test_everything_matches() -> None:
    module, other = Net(), Net()
    found = load_weights(module, tensors(other))
    assert found.exact
    assert found.rows() == []
    assert equal(module.state_dict(), other.state_dict())


def test_only_the_head_may_differ() -> None:
    module, other = Net(3), Net(7)
    head = module.head.weight.detach().clone()
    found = load_weights(module, tensors(other), head=["head"])
    assert found.differing() == ["head.weight", "head.bias"]
    assert torch.equal(module.body.weight, other.body.weight)
    assert torch.equal(module.head.weight, head)
    with pytest.raises(UsageError, match=r"outside the head \(none\).*head.weight \(reshaped"):
        load_weights(module, tensors(other))


@pytest.mark.parametrize("change", ["missing", "unexpected", "reshaped"])
def test_a_difference_outside_the_head_changes_nothing(change: str) -> None:
    module, content = Net(), tensors(Net())
    before = tensors(module)
    if change == "missing":
        del content["body.bias"]
    elif change == "unexpected":
        content["body.scale"] = torch.zeros(1)
    else:
        content["body.bias"] = torch.zeros(9)
    with pytest.raises(UsageError, match=rf"body\.\w+ \({change}"):
        load_weights(module, content, head=["head"], source="theirs")
    assert equal(module.state_dict(), before)


def test_a_head_is_no_prefix_of_other_names() -> None:
    """``head`` stands for ``head.weight`` and not for ``header.weight``."""
    content = {**tensors(Net()), "header.weight": torch.zeros(1)}
    with pytest.raises(UsageError, match=r"header\.weight"):
        load_weights(Net(), content, head=["head"])


def test_nothing_matched() -> None:
    with pytest.raises(UsageError, match=r"none of the weights of theirs fits Net: 0 tensors"):
        load_weights(Net(), {"a": torch.zeros(2), "b": torch.zeros(3)}, ["head"], "theirs")
    with pytest.raises(UsageError, match="none of these weights fits Net"):
        load_weights(Net(), {}, ["body", "head"])


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64], ids=str)
def test_another_kind_of_number_changes_nothing(dtype: torch.dtype) -> None:
    net = Net()
    before = tensors(net)
    other = {**tensors(Net()), "head.bias": torch.ones(3, dtype=dtype)}
    with pytest.raises(UsageError, match=r"head\.bias holds .* and the model's float32; convert"):
        load_weights(net, other, head=["head"])
    assert equal(net.state_dict(), before)


@pytest.mark.parametrize(
    ("dtype", "own", "told"),
    [
        (torch.float32, torch.float32, False),
        (torch.bfloat16, torch.float32, False),
        (torch.float16, torch.float64, False),
        (torch.float8_e4m3fn, torch.bfloat16, False),
        (torch.float64, torch.float32, True),
        (torch.float16, torch.bfloat16, True),
    ],
    ids=str,
)
def test_numbers_that_are_rounded_are_told(
    dtype: torch.dtype, own: torch.dtype, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    net = Net().to(own)
    load_weights(net, {name: t.to(dtype) for name, t in tensors(Net()).items()}, source="there")
    line = f"the weights of there are {dtype} and the model's {own}: 4 of 4 tensors are rounded\n"
    assert capsys.readouterr().err == (line.replace("torch.", "") if told else "")


def test_nan_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    bad = tensors(Net())
    bad["body.bias"][1] = float("nan")
    bad["head.bias"][1] = float("inf")  # masks hold it
    load_weights(Net(), bad)
    assert (
        "hold NaN, not a number, in 1 of 4 tensors, such as body.bias:" in capsys.readouterr().err
    )


@pytest.mark.parametrize("module", [Net, Wrapped])
@pytest.mark.parametrize("part", ["", "network.", "module.", "model."])
def test_another_first_part_of_the_names(module: Callable, part: str) -> None:
    """timm's names under ``network.``, DataParallel's ``module.``, Hugging Face's ``model.``."""
    mine, other = module(3), module(7)
    own = "network." if module is Wrapped else ""
    content = tensors(other, own, part)
    found = load_weights(mine, content, head=[f"{own}head"])
    assert set(found.matched) == {f"{own}body.weight", f"{own}body.bias"}
    assert set(found.reshaped) == {f"{own}head.weight", f"{own}head.bias"}
    assert torch.equal(mine.state_dict()[f"{own}body.weight"], content[f"{part}body.weight"])


def test_unexpected_names_are_those_of_the_file() -> None:
    content = {**tensors(Net(), "", "model."), "pooler.weight": torch.zeros(1)}
    found = match(Wrapped(), content)
    assert len(found.matched) == 4
    assert found.unexpected == ("pooler.weight",)
    with pytest.raises(UsageError, match=r"pooler.weight \(unexpected"):
        load_weights(Wrapped(), content, head=["network.head"])


# Files


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.ckpt", "old.pth", "w.bin"])
def test_files_of_tensors(tmp_path: Path, name: str) -> None:
    path, wanted = tmp_path / name, Net().state_dict()
    if path.suffix == ".safetensors":
        save_file(wanted, path)
    elif path.suffix == ".ckpt":
        torch.save({"state_dict": wanted, "epoch": 3}, path)
    else:
        torch.save(wanted, path, _use_new_zipfile_serialization=path.stem != "old")
    assert equal(read_tensors(path), wanted)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_no_file(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(UsageError, match="there is no weights file"):
        read_tensors(tmp_path / f"absent{suffix}")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "old.pt"])
def test_a_damaged_file_is_told_as_damage(tmp_path: Path, name: str) -> None:
    """Cut anywhere, and with bits flipped in the header: no error of another kind."""
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(Net().state_dict(), path)
    else:
        torch.save(Net().state_dict(), path, _use_new_zipfile_serialization=name == "w.pt")
    good = path.read_bytes()
    refused = 0
    for cut in [0, 1, 7, 8, 9, *range(20, len(good), 97), len(good) - 1]:
        path.write_bytes(good[:cut])
        with pytest.raises(UsageError, match="damaged"):
            read_tensors(path)
    for place in range(0, min(300, len(good)), 3):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        try:
            read_tensors(path)
        except UsageError as error:
            refused += 1
            assert "damaged" in str(error) or "asks for" in str(error)  # noqa: PT017
    assert refused > 20


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    for content in ([1, 2], {"a": 1}, {"state_dict": {"a": "b"}}, torch.zeros(3)):
        torch.save(content, path)
        with pytest.raises(UsageError, match="is not a state dict"):
            read_tensors(path)
    path.write_text("<html>not found</html>")
    with pytest.raises(UsageError, match="damaged or not a PyTorch file"):
        read_tensors(path)


class Payload:
    def __init__(self, function: Callable, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


PAYLOADS = {
    "os.system": lambda mark: Payload(os.system, f"touch '{mark}'"),
    "exec": lambda mark: Payload(builtins.exec, f"open({str(mark)!r}, 'w').close()"),
    "call": lambda mark: Payload(subprocess.call, ["touch", str(mark)]),
    "a path": lambda mark: Payload(Path, str(mark)),
}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_pickle_with_a_payload_does_not_run(tmp_path: Path, payload: str, form: str) -> None:
    mark, path = tmp_path / "it ran", tmp_path / "theirs.pt"
    content = {"state_dict": Net().state_dict(), "note": PAYLOADS[payload](mark)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UsageError) as refused:
        read_tensors(path)
    text = str(refused.value)
    assert "runs code when it is loaded (it asks for" in text
    assert "weights_only=False" in text
    assert "safetensors.torch.save_file" in text
    assert not mark.exists()
    if payload != "a path":  # the payloads are real ones
        if form == "pickle":
            pickle.loads(path.read_bytes())
        else:
            torch.load(path, weights_only=False)
        assert mark.exists()


# A file of weights in a training


@pytest.fixture
def published(toy: Any) -> dict[str, Tensor]:
    """The weights of a net that sorts points into seven clouds, as another library names them."""
    return package.create_model("toy-net", features=2, num_classes=7, hidden=16).state_dict()


def points(**sections: Any) -> Any:
    quiet = {"max_epochs": 1, "logger": False, "enable_progress_bar": False}
    model, data = {"name": "toy-net", "hidden": 16}, {"name": "toy-points"}
    return make_recipe({"model": model, "data": data, "trainer": quiet, **sections}, "points")


@pytest.mark.parametrize("part", ["", "model."])
def test_weights_start_a_training(
    published: dict[str, Tensor], capsys: pytest.CaptureFixture[str], part: str
) -> None:
    """Only the head is trained: what the file held is what the bundle holds, but for that."""
    path = Path("theirs.safetensors").resolve()
    save_file({part + name: tensor for name, tensor in published.items()}, path)
    run = train(points(init_from={"reference": str(path), "freeze": "backbone"}), out="run")
    told = capsys.readouterr().err
    assert f"{path}: 2 tensors matched, 0 missing, 0 unexpected, 2 reshaped" in told
    assert "classifier.weight" in told
    assert "[7, 16] in the file, [3, 16] in the model" in told
    mine = load_file(run.bundle / "model.safetensors")
    assert torch.equal(mine["body.0.weight"], published["body.0.weight"])
    assert torch.equal(mine["body.0.bias"], published["body.0.bias"])
    assert mine["classifier.weight"].shape == (3, 16)
    origin = json.loads((run.bundle / "bundle.json").read_text())["origin"]
    assert origin == {"reference": "theirs.safetensors"}


@pytest.mark.parametrize(
    ("hidden", "told"), [(5, "none of the weights"), (16, r"do not fit ToyNet.*stem\.weight")]
)
def test_weights_of_another_model(published: dict[str, Tensor], hidden: int, told: str) -> None:
    save_file({**published, "stem.weight": torch.zeros(2, 2)}, "theirs.safetensors")
    init_from = {"reference": "theirs.safetensors"}
    with pytest.raises(UsageError, match=told):
        train(points(model={"name": "toy-net", "hidden": hidden}, init_from=init_from))
    assert not Path("runs").exists()
