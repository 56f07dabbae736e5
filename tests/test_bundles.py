"""A bundle says what it is, loads as what was trained, and is refused if anything was changed."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import zoo as package
from zoo.bundles.bundle import read_bundle
from zoo.bundles.card_metadata import hub_license
from zoo.bundles.manifest import FORMAT, content_hash
from zoo.bundles.private import public_command
from zoo.errors import UsageError, ZooError
from zoo.io import atomic as files
from zoo.registry.registry import Registry
from zoo.training.train import train

SHORT = {"trainer.max_epochs": 1, "trainer.logger": False, "trainer.enable_progress_bar": False}


@pytest.fixture
def bundle(toy: Any) -> Path:
    return train("toy/points", SHORT, out="run").bundle


def describe(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "bundle.json").read_text())


def edit(bundle: Path, change: Callable[[dict[str, Any]], object], seal: bool = True) -> None:
    """Change ``bundle.json``, with a hash of its own that fits unless ``seal`` is false."""
    content = describe(bundle)
    change(content)
    if seal:
        content["sha256"] = content_hash(content)
    (bundle / "bundle.json").write_text(json.dumps(content))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# What it says


def test_what_a_bundle_says(bundle: Path) -> None:
    run = package.Run(Path("run"))
    content = describe(bundle)
    assert content["format"] == FORMAT
    arguments = content["model"]["arguments"]
    assert content["model"]["name"] == "toy-net"
    assert arguments["hidden"] == 16
    assert arguments["num_classes"] == 3
    assert arguments["dropout"] == 0.2
    assert content["plugin"] == {"name": "toy", "distribution": "zoo-toy", "version": "1.0"}
    assert content["facts"]["label_names"] == ["cloud 0", "cloud 1", "cloud 2"]
    assert content["facts"]["features"] == 2
    assert content["recipe"]["name"] == "toy/points"
    recipe = {key: value for key, value in content["recipe"].items() if key != "name"}
    assert recipe == run.recipe.as_dict()
    assert content["metrics"]["values"] == run.metrics
    assert content["metrics"]["command"] == public_command(run.environment["command"])
    assert content["metrics"]["seed"] == 3
    assert content["license"] == {"weights": "as the data's", "data": "yours"}
    assert content["versions"]["torch"] == run.environment["versions"]["torch"]
    assert content["origin"] == {}
    assert set(content["files"]) == {"model.safetensors"}
    assert {path.name for path in bundle.iterdir()} == {
        "model.safetensors",
        "README.md",
        "bundle.json",
    }
    for name, facts in content["files"].items():
        data = (bundle / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def test_no_path_of_this_machine(toy: Any, tmp_path: Path) -> None:
    root = tmp_path / "my own folder"
    root.mkdir()
    (root / "clouds.txt").write_text("4")
    run = train("toy/files", {**SHORT, "data.root": str(root)}, out="run")
    assert "root" not in describe(run.bundle)["recipe"]["data"]
    assert describe(run.bundle)["facts"]["num_classes"] == 4


def test_what_a_model_says_of_its_preprocessing_and_weights(toy: Any) -> None:
    run = train("toy/images", SHORT, out="run")
    content = describe(run.bundle)
    pixels = content["preprocessing"]
    assert pixels == {"channels": 1, "mean": content["facts"]["mean"], "std": [0.226]}
    assert content["facts"]["label_names"] == ["rows", "columns", "checks"]
    assert content["license"] == {"weights": "free to play with", "data": "free"}
    assert package.load("run").preprocessing == pixels


def test_the_card_is_read_by_people_and_by_hugging_face(bundle: Path) -> None:
    from huggingface_hub import ModelCard

    body = ModelCard.load(bundle / "README.md").text
    metrics = describe(bundle)["metrics"]["values"]
    assert "# toy/points\n\nA toy net on toy points" in body
    assert f"`test/accuracy` | {metrics['test/accuracy']:.6g} |" in body
    assert "`test/accuracy` 0.9 (set for these tests)" in body
    assert "Measured with seed 3 by" in body
    assert describe(bundle)["metrics"]["command"] in body
    assert "Terms of the weights" in body


def test_the_metadata_of_the_card_have_the_names_of_the_hub(bundle: Path) -> None:
    from huggingface_hub import ModelCard

    data = ModelCard.load(bundle / "README.md").data
    assert data.library_name == "zoo"
    assert data.pipeline_tag == "tabular-classification"
    assert data.datasets is None  # toy-points is not on the Hub
    assert (data.license, data.license_name) == ("other", "yours")
    assert data.metrics == ["accuracy"]
    assert {"pytorch", "lightning", "toy-net"} <= set(data.tags)
    metrics = describe(bundle)["metrics"]["values"]
    found = {each.metric_name: each for each in data.eval_results}
    assert {name: each.metric_value for name, each in found.items()} == {
        "test/accuracy": metrics["test/accuracy"],
        "test/loss": metrics["test/loss"],
    }
    accuracy = found["test/accuracy"]
    assert (accuracy.task_type, accuracy.metric_type) == ("tabular-classification", "accuracy")
    assert (accuracy.dataset_type, accuracy.dataset_split) == ("toy-points", "test")


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("CC BY 4.0 (UCI Optical Recognition of Handwritten Digits, test part)", "cc-by-4.0"),
        ("CC BY-SA 3.0", "cc-by-sa-3.0"),
        ("CC0", "cc0-1.0"),
        ("Apache-2.0", "apache-2.0"),
        ("Apache 2.0 License", "apache-2.0"),
        ("MIT", "mit"),
        ("GPL-2.0-only", "gpl-2.0"),
        ("research, non-commercial", "other"),
        ("generated; no restrictions", "other"),
        ("", "other"),
    ],
)
def test_licenses_as_the_hub_calls_them(text: str, identifier: str) -> None:
    assert hub_license(text) == identifier


def test_the_card_is_prose_that_may_be_edited(bundle: Path) -> None:
    """On the Hub, people edit it in the browser; a bundle of before holds a hash of its own."""
    card = bundle / "README.md"
    before = {"sha256": "0" * 64, "size": 7}
    edit(bundle, lambda content: content["files"].update({card.name: before}))
    card.write_text("---\nlicense: mit\n---\nmine\n", encoding="utf-8")
    assert package.load(bundle)
    card.unlink()
    assert package.load(bundle)


def test_metrics_that_are_not_numbers_can_be_kept(toy: Any) -> None:
    allowed = {"class_path": "zoo.training.finite_loss.FiniteLoss", "init_args": {"stop": False}}
    changes = {**SHORT, "model.learning_rate": 1e30, "trainer.callbacks": [allowed]}
    run = train("toy/points", changes, out="run")
    assert run.metrics["test/loss"] != run.metrics["test/loss"]
    assert read_bundle("run").metrics.keys() == run.metrics.keys()
    assert math.isnan(read_bundle("run").metrics["test/loss"])
    for file in ("metrics.json", "bundle/bundle.json"):
        json.loads((run.path / file).read_text(), parse_constant=pytest.fail)
    assert "| `test/loss` | not a number |" in (run.path / "bundle/README.md").read_text()


# Loading


def test_every_reference_gives_the_same_outputs(bundle: Path, toy: Any) -> None:
    shelf = toy.folder / "shelf"
    shelf.mkdir()
    (shelf / "__init__.py").touch()
    shutil.copytree(bundle, shelf / "net")
    toy.add(
        "shelf",
        "from zoo.plugin import Checkpoint, hookimpl\nZOO_PLUGIN_API = 1\n"
        "@hookimpl\ndef zoo_checkpoints():\n"
        "    return [Checkpoint('shelf-net', 'shelf:net', 'A trained toy')]\n",
    )
    trained = package.create_model("toy-net", **describe(bundle)["model"]["arguments"]).eval()
    state = torch.load("run/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    trained.load_state_dict(state)
    points = torch.randn(50, 2)
    with torch.no_grad():
        wanted = trained(points)
        for reference in ("run", Path("run"), bundle, "run/checkpoints/last.ckpt", "shelf-net"):
            model = package.load(reference)
            assert not model.training
            assert torch.equal(model(points), wanted), reference


def test_a_registered_checkpoint_that_is_not_in_its_package(toy: Any) -> None:
    with pytest.raises(ZooError, match=r"'toy-trained' is not in its package.*reinstall"):
        package.load("toy-trained")


def test_references_that_name_nothing(toy: Any) -> None:
    Path("empty").mkdir()
    for reference, message in {
        "toy-traimed": "did you mean 'toy-trained'",
        "./absent": "there is no folder",
        "empty": r"neither bundle.json \(a bundle\) nor recipe.yaml \(a run\)",
        "absent.ckpt": "there is no checkpoint",
    }.items():
        with pytest.raises(UsageError, match=message):
            package.load(reference)


def test_a_run_without_a_bundle_yet(bundle: Path) -> None:
    shutil.rmtree(bundle)
    with pytest.raises(UsageError, match=r"has no bundle yet.*zoo train toy/points --resume run"):
        package.load("run")


def test_checkpoints_that_are_not_ours(bundle: Path, tmp_path: Path) -> None:
    shutil.copy("run/checkpoints/last.ckpt", tmp_path / "alone.ckpt")
    with pytest.raises(UsageError, match="is not inside a run folder"):
        package.load(tmp_path / "alone.ckpt")
    foreign = Path("run/checkpoints/foreign.ckpt")
    torch.save({"state_dict": {"w": torch.ones(1)}}, foreign)
    with pytest.raises(UsageError, match="is not a Lightning checkpoint of this zoo"):
        package.load(foreign)
    ours = Path("run/checkpoints/last.ckpt")
    ours.write_bytes(ours.read_bytes()[:-500])
    with pytest.raises(UsageError, match="damaged"):
        package.load(ours)


# Changed or damaged


@pytest.mark.parametrize("damage", ["cut", "longer", "first bit", "middle bit", "last bit"])
def test_damaged_weights(bundle: Path, zoo: Callable, damage: str) -> None:
    path = bundle / "model.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "longer":
        data += b"\0"
    else:
        place = {"first": 0, "middle": len(data) // 2, "last": -1}[damage.split()[0]]
        data[place] ^= 1
    path.write_bytes(data)
    before = everything(Path("run"))
    done = zoo("test", "run")
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "model.safetensors is not the file that bundle.json describes" in done.err
    assert everything(Path("run")) == before


def test_a_missing_file(bundle: Path) -> None:
    (bundle / "model.safetensors").unlink()
    with pytest.raises(UsageError, match=r"lacks model\.safetensors"):
        package.load(bundle)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["model"]["arguments"].update(hidden=17),
        lambda content: content["metrics"]["values"].update({"test/accuracy": 1.0}),
        lambda content: content["files"]["model.safetensors"].update(sha256="0" * 64),
        lambda content: content["files"].update({"../x": {"sha256": "0" * 64, "size": 1}}),
        lambda content: content["files"].pop("model.safetensors"),
        lambda content: content.update(note="mine"),
        lambda content: content.pop("license"),
    ],
    ids=["argument", "metric", "hash", "added file", "removed file", "added key", "removed key"],
)
def test_an_edited_description(bundle: Path, change: Callable) -> None:
    edit(bundle, change, seal=False)
    with pytest.raises(UsageError, match="was changed after it was written"):
        package.load(bundle)


def test_weights_exchanged_together_with_their_hash(bundle: Path) -> None:
    """Whoever edits weights and their hash still has the description's own hash to fit."""
    data = (bundle / "model.safetensors").read_bytes()[:-1] + b"\0"
    (bundle / "model.safetensors").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    edit(bundle, lambda c: c["files"]["model.safetensors"].update(sha256=digest), seal=False)
    with pytest.raises(UsageError, match="was changed after it was written"):
        package.load(bundle)


@pytest.mark.parametrize("name", ["../secret", "..", ".", "", "sub/secret", "sub\\secret", "/etc"])
def test_a_path_that_leads_outside(bundle: Path, name: str) -> None:
    secret = b"secret"
    for place in (bundle.parent / "secret", bundle / "sub" / "secret"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(secret)
    facts = {"sha256": hashlib.sha256(secret).hexdigest(), "size": len(secret)}
    edit(bundle, lambda content: content["files"].update({name: facts}))
    with pytest.raises(UsageError, match="names a path outside itself"):
        package.load(bundle)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": 1, ', "cannot be read"),
        ("[]", "no format number"),
        ("{}", "no format number"),
        ('{"format": "1"}', "no format number"),
        ("\udcff", "cannot be read"),
    ],
)
def test_a_description_that_is_none(bundle: Path, text: str, message: str) -> None:
    (bundle / "bundle.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UsageError, match=message):
        package.load(bundle)


def test_weights_that_no_hash_vouches_for(bundle: Path) -> None:
    edit(bundle, lambda content: content["files"].pop("model.safetensors"))
    with pytest.raises(UsageError, match=r"lists no model\.safetensors"):
        package.load(bundle)


def test_files_that_the_manifest_does_not_list_are_told_and_ignored(
    bundle: Path, zoo: Callable, tmp_path: Path
) -> None:
    (bundle / "payload.py").write_text(f"open({str(tmp_path / 'evil')!r}, 'w')")
    (bundle / "other.safetensors").mkdir()
    (bundle / ".gitattributes").touch()
    done = zoo("test", "run", "--json")
    assert done.status == 0
    line = "bundle also holds 'other.safetensors', 'payload.py', which bundle.json does not list: "
    assert done.err.count(f"{line}ignored\n") == 1
    assert ".gitattributes" not in done.err
    assert not (tmp_path / "evil").exists()


def test_a_manifest_of_another_form_is_one_sentence(bundle: Path, zoo: Callable) -> None:
    good = (bundle / "bundle.json").read_bytes()
    commands = [["test", "run"], ["predict", "run"], ["finetune", "run"]]
    commands.append(["export", "run", "--format", "onnx", "--out", "net.onnx"])
    for change in (
        lambda content: content.pop("model"),
        lambda content: content.update(recipe=[]),
        lambda content: content.update(plugin="toy"),
        lambda content: content.update(files=[]),
        lambda content: content.update(format=True),
    ):
        (bundle / "bundle.json").write_bytes(good)
        edit(bundle, change)
        for words in commands:
            done = zoo(*words)
            assert done.status == 2
            assert "bundle.json is not the manifest of a bundle: " in done.err
            assert done.err.count("\n") == 1


def seal_weights(bundle: Path, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Change every tensor of a bundle, with hashes that fit."""
    file = bundle / "model.safetensors"
    save_file({name: change(tensor) for name, tensor in load_file(file).items()}, file)
    data = file.read_bytes()
    stated = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    edit(bundle, lambda content: content["files"].update({file.name: stated}))


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool], ids=str)
def test_weights_of_another_kind_are_refused(
    bundle: Path, zoo: Callable, dtype: torch.dtype
) -> None:
    seal_weights(bundle, lambda tensor: tensor.to(dtype))
    done = zoo("test", "run")
    assert done.status == 2
    assert f"holds {str(dtype).removeprefix('torch.')} and the model's float32; con" in done.err
    assert done.err.count("\n") == 1


def test_weights_that_are_rounded_or_not_a_number_are_told(bundle: Path, zoo: Callable) -> None:
    seal_weights(bundle, torch.Tensor.double)
    done = zoo("test", "run", "--json")
    assert done.status == 0
    assert re.search(r"float64 and the model's float32: (\d+) of \1 tensors are rounded", done.err)
    seal_weights(bundle, lambda tensor: tensor.float() * float("nan"))
    done = zoo("test", "run", "--json")
    assert done.status == 0
    assert re.search(r"hold NaN, not a number, in (\d+) of \1 tensors, such as", done.err)


def test_a_newer_format(bundle: Path) -> None:
    edit(bundle, lambda content: content.update(format=FORMAT + 1, files="of a newer kind"))
    with pytest.raises(UsageError, match=rf"format {FORMAT + 1}.*up to {FORMAT}: update zoo"):
        package.load(bundle)


def test_a_plugin_that_is_not_installed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.bundles.load.registry", lambda: Registry([]))
    with pytest.raises(
        UsageError, match=r"'toy-net' of zoo-toy 1\.0.*: install it from its author"
    ):
        package.load(bundle)
    ours = {"name": "vision", "distribution": "zoo-vision", "version": "0.1.0"}
    edit(bundle, lambda content: content.update(plugin=ours))
    with pytest.raises(UsageError, match=r'not installed: pip .*--find-links DIST "zoo\[vision\]"'):
        package.load(bundle)


def test_weights_of_another_shape_than_the_arguments(bundle: Path) -> None:
    """Loading a bundle allows no difference, not even in the head."""
    edit(bundle, lambda content: content["model"]["arguments"].update(num_classes=4))
    with pytest.raises(UsageError, match=r"classifier.weight \(reshaped"):
        package.load(bundle)


def test_reading_runs_nothing(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("a pickle was read"))
    monkeypatch.setattr("pickle.loads", lambda *_, **__: pytest.fail("a pickle was read"))
    package.load(bundle)


# Writing


def unfinish(bundle: Path) -> package.Run:
    """The run as it was just before its end, the bundle that it had included."""
    run = package.Run(bundle.parent)
    environment = {k: v for k, v in run.environment.items() if k != "finished"}
    run.write_json("environment.json", environment)
    (bundle / "README.md").write_text("what was there before")
    return run


def test_a_full_disk_leaves_what_was_there(
    bundle: Path, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = unfinish(bundle)
    before = everything(bundle)

    def full(descriptor: int) -> None:
        if "bundle" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("zoo.io.atomic.os.fsync", full)
        done = zoo("train", "toy/points", "--resume", "run")
    assert done.status == 1
    assert (
        "the bundle cannot be written: run/bundle: No space left on device: make room" in done.err
    )
    assert "then finish the run with --resume" in done.err
    assert not run.finished
    assert everything(bundle) == before
    assert files.leftovers(run.path) == []
    assert zoo("train", "toy/points", "--resume", "run").status == 0
    assert run.finished
    assert package.load("run")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    files.replace_folder(folder, {"a": b"old"})
    beside = tmp_path / f".bundle.{os.getpid()}.tmp"
    beside.mkdir()
    (beside / f".b.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        files.replace_folder(folder, {"a": b"new", "b": b"x" * 100_000})
    assert everything(folder) == {"a": b"old"}
    assert list(tmp_path.glob(".bundle*")) == []


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr("zoo.io.atomic._exchange", lambda *_: False)
    folder = tmp_path / "bundle"
    files.replace_folder(folder, {"a": b"1", "b": b"2"})
    files.replace_folder(folder, {"a": b"3", "c": b"4"})
    assert everything(folder) == {"a": b"3", "c": b"4"}
    assert files.leftovers(tmp_path) == []


def kill_at(moment: int, names: tuple[str, ...] = ("open", "fsync", "rename", "replace")) -> None:
    """Kill this process right before its n-th call to the system that matters here."""
    import pathlib

    count = 0

    def counted(original: Callable) -> Callable:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    for name in names:
        owner = os if name == "fsync" else pathlib.Path
        setattr(owner, name, counted(getattr(owner, name)))
    files._exchange = counted(files._exchange)  # type: ignore[assignment]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork processes")
@pytest.mark.parametrize("exchange", [True, False])
def test_a_kill_at_any_moment_leaves_the_old_folder_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    """Where a system cannot swap two names, it is so once leftovers are removed."""
    if not exchange:
        monkeypatch.setattr("zoo.io.atomic._exchange", lambda *_: False)
    old, new = {"a": b"old", "b": b"old"}, {"a": b"new", "c": b"new"}
    folder = tmp_path / "in" / "bundle"
    files.replace_folder(folder, old)
    found = []
    for moment in range(1, 100):
        child = os.fork()
        if not child:
            kill_at(moment)
            files.replace_folder(folder, new)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if not exchange:
            files.remove_leftovers(tmp_path / "in")
            files.remove_leftovers(tmp_path)
        found.append(everything(folder))
        if status == 0:
            break
        assert status == -signal.SIGKILL
        assert found[-1] in (old, new)
        files.remove_leftovers(tmp_path)
        assert list(folder.parent.iterdir()) == [folder]
    assert len(found) > 6
    assert found[0] == old
    assert found[-1] == new
