"""``zoo publish``: what leaves the machine and what does not, and a hub that may refuse."""

from __future__ import annotations

import io
import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hub_server import Hub, serving
from huggingface_hub import constants
from huggingface_hub.utils import _http as client

import zoo as package
from zoo.bundles.bundle import read_bundle
from zoo.bundles.manifest import content_hash
from zoo.bundles.private import machine_paths, public_command
from zoo.bundles.publication import prepare
from zoo.errors import UsageError, ZooError
from zoo.runs.group import Group, create_group
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}
TERMS = {"license": "apache-2.0", "data_license": "CC BY 4.0"}
WORDS = ("--license", "apache-2.0", "--data-license", "CC BY 4.0")


@pytest.fixture(scope="module")
def trained(with_toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, of other weights."""
    folder = tmp_path_factory.mktemp("published")
    with with_toy():
        train("toy/points", SHORT, out=folder / "run")
        train("toy/points", {**SHORT, "seed": 9}, out=folder / "other")
    return folder


@pytest.fixture
def runs(toy: Any, trained: Path) -> None:
    """``run`` and ``other`` in the working directory."""
    for name in ("run", "other"):
        shutil.copytree(trained / name, name)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub where Alice is logged in."""
    with serving() as hub:
        hub.tokens |= {"hf_alice": "alice", "hf_bob": "bob"}
        at(monkeypatch, hub.address)
        yield hub


def at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(client.time, "sleep", lambda seconds: None)  # between attempts
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def edit(folder: Path, **changes: Any) -> None:
    """Change a bundle's manifest as its author could."""
    file = folder / "bundle.json"
    content = json.loads(file.read_text()) | changes
    content["sha256"] = content_hash(content)
    file.write_text(json.dumps(content))


def manifest(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "bundle.json").read_text()))


# There and back


def test_published_and_loaded_back(runs: None, hub: Hub, zoo: Callable) -> None:
    done = zoo("publish", "run", "hf://alice/points", *WORDS, "--yes", "--json")
    assert done.status == 0, done.err
    (row,) = json.loads(done.out)
    there = hub.repositories["alice/points"]
    assert row["reference"] == f"hf://alice/points@{there.branches['main']}"
    assert row["committed"] is True
    assert set(there.commits[row["revision"]]) == {".gitattributes", *row["files"]}
    bundle = read_bundle(row["reference"])
    assert bundle.content["sha256"] == row["sha256"]
    assert bundle.content["license"] == {"weights": "apache-2.0", "data": "CC BY 4.0"}
    assert bundle.content["files"] == manifest(Path("run/bundle"))["files"]
    points = torch.randn(9, 2)
    with torch.no_grad():
        assert torch.equal(package.load(row["reference"])(points), package.load("run")(points))
    card = there.commits[row["revision"]]["README.md"].decode()
    assert yaml.safe_load(card.split("---")[1])["license"] == "apache-2.0"
    assert "zoo.load('hf://alice/points')" in card


def test_the_same_model_is_committed_once(runs: None, hub: Hub, zoo: Callable) -> None:
    first = package.publish("run", "hf://alice/points", **TERMS)
    again = zoo("publish", "run/bundle", "hf://alice/points", *WORDS, "--yes")
    assert "there already, nothing new was committed" in again.out
    assert f"  zoo predict {first.reference} FILE...\n" in again.out
    assert len(hub.repositories["alice/points"].messages) == 2  # with the beginning


def test_a_pinned_revision_stays_what_it_was(runs: None, hub: Hub) -> None:
    first = package.publish("run", "hf://alice/points", **TERMS)
    with pytest.raises(UsageError, match=r"holds another model \(toy/points, .*add --replace"):
        package.publish("other", "hf://alice/points", **TERMS)
    second = package.publish("other", "hf://alice/points", replace=True, **TERMS)
    assert second.revision != first.revision
    assert read_bundle(first.reference).content["sha256"] == first.sha256
    assert read_bundle("hf://alice/points").content["sha256"] == second.sha256
    states = [package.load(each.reference).state_dict() for each in (first, second)]
    assert not torch.equal(states[0]["body.0.weight"], states[1]["body.0.weight"])


def test_a_branch_of_its_own(runs: None, hub: Hub) -> None:
    package.publish("run", "hf://alice/points", private=True, **TERMS)
    package.publish("other", "hf://alice/points@wide/v2", **TERMS)
    there = hub.repositories["alice/points"]
    assert there.private
    assert there.branches["main"] != there.branches["wide/v2"]
    assert read_bundle("hf://alice/points@wide/v2").content["sha256"]
    hub.repositories["alice/points"].private = False
    with pytest.raises(UsageError, match="exists and everybody sees it"):
        package.publish("run", "hf://alice/points", private=True, **TERMS)


def test_a_repository_with_something_else(runs: None, hub: Hub) -> None:
    package.publish("run", "hf://alice/points", **TERMS)
    there = hub.repositories["alice/points"]
    there.commit("main", {"README.md": b"---\nlicense: mit\n---\nEdited there."}, "on the hub")
    with pytest.raises(UsageError, match=r"holds this model with another README\.md"):
        package.publish("run", "hf://alice/points", **TERMS)
    there.commits = {key: {"config.json": b"{}", **START_OF} for key in there.commits}
    with pytest.raises(UsageError, match=r"not a bundle of the zoo \(config\.json\)"):
        package.publish("run", "hf://alice/points", **TERMS)
    there.commits = {key: dict(START_OF) for key in there.commits}
    assert package.publish("run", "hf://alice/points", **TERMS).committed


START_OF = {".gitattributes": b""}


# A hub that refuses


def refused(zoo: Callable, *words: str) -> tuple[int, str]:
    done = zoo("publish", "run", "hf://alice/points", *WORDS, "--yes", *words)
    assert done.out.count("published, and") == 0
    _, said = done.err.split("zoo: ")  # once, perhaps after a progress bar
    assert said.count("\n") == 1, done.err
    return done.status, said


def test_no_token(
    runs: None, hub: Hub, zoo: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    status, said = refused(zoo)
    assert status == 2
    assert "nobody is logged in" in said
    assert "`hf auth login`" in said
    assert hub.asked == []


@pytest.mark.parametrize(
    ("token", "says"), [("hf_bob", "no right to write"), ("hf_stranger", "accept your token")]
)
def test_an_account_without_rights(
    runs: None, hub: Hub, zoo: Callable, monkeypatch: pytest.MonkeyPatch, token: str, says: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    status, said = refused(zoo)
    assert (status, hub.repositories) == (2, {})
    assert says in said
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    package.publish("other", "hf://alice/points", **TERMS)
    monkeypatch.setenv("HF_TOKEN", token)
    assert says in refused(zoo, "--replace")[1]
    assert len(hub.repositories["alice/points"].messages) == 2


def test_somebody_commits_meanwhile(runs: None, hub: Hub, zoo: Callable) -> None:
    package.publish("other", "hf://alice/points", **TERMS)
    there = hub.repositories["alice/points"]
    hub.before_commit = lambda: there.commit("main", {"README.md": b"theirs"}, "theirs")  # type: ignore[assignment, return-value]
    status, said = refused(zoo, "--replace")
    assert status == 1
    assert "somebody else committed to hf://alice/points meanwhile" in said
    assert there.messages[-1] == "theirs"
    hub.before_commit = lambda: None
    assert package.publish("run", "hf://alice/points", replace=True, **TERMS).committed


def test_a_hub_that_does_not_answer(
    runs: None, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    at(monkeypatch, address)
    status, said = refused(zoo)
    assert status == 1
    assert f"{address} does not answer" in said


def test_an_upload_that_is_cut_is_repeated(runs: None, hub: Hub, zoo: Callable) -> None:
    hub.cut = 100
    status, said = refused(zoo)
    assert status == 1
    assert "nothing was committed: run the same command again" in said
    assert hub.repositories["alice/points"].messages == ["initial commit"]
    hub.cut = None
    assert zoo("publish", "run", "hf://alice/points", *WORDS, "--yes").status == 0


# What is asked first


def test_a_dry_run_sends_nothing(runs: None, hub: Hub, zoo: Callable) -> None:
    done = zoo("publish", "run", "hf://alice/points", *WORDS, "--dry-run")
    assert done.status == 0
    assert "  model.safetensors " in done.out
    assert f"  sha256 {prepare('run', 'hf://alice/points', **TERMS).manifest['sha256']}" in done.out
    assert "    license: apache-2.0\n" in done.out
    assert max(map(len, done.out.splitlines())) <= 80 or "note:" in done.out
    row = json.loads(zoo("publish", "run", "hf://alice/points", *WORDS, "--dry-run", "--json").out)[
        0
    ]
    assert set(row["files"]) == {"README.md", "bundle.json", "model.safetensors"}
    assert hub.asked == []


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("\n", 1)])
def test_a_terminal_is_asked(
    runs: None,
    hub: Hub,
    zoo: Callable,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: int,
) -> None:
    typed = io.StringIO(answer)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdin", typed)
    done = zoo("publish", "run", "hf://alice/points", *WORDS)
    assert "Upload to hf://alice/points? [y/N] " in done.err
    assert (done.status, bool(hub.repositories)) == (status, status == 0)


def test_a_pipe_needs_a_yes(
    runs: None, hub: Hub, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    done = zoo("publish", "run", "hf://alice/points", *WORDS)
    assert done.status == 2
    assert "add --yes, or --dry-run" in done.err
    assert hub.asked == []


# What is refused before anything is sent


def test_terms_and_metrics_are_required(runs: None, hub: Hub, zoo: Callable) -> None:
    edit(Path("run/bundle"), metrics={"values": {"test/loss": None}, "command": "zoo", "seed": 1})
    done = zoo("publish", "run", "hf://alice/points", "--yes")
    assert done.status == 2
    assert "run cannot be published yet has 3 faults" in done.err
    assert "the terms of the data are 'yours': state them with --data-license" in done.err
    assert 'the license of the weights is "as the data\'s": state it with --license' in done.err
    assert "no metrics of test or validation data" in done.err
    assert hub.asked == []


@pytest.mark.parametrize(
    "address",
    ["hf://alice", "hf://alice/points/more", "alice/points", "hf://alice/po ints", "hf://a/b@"],
)
def test_a_malformed_address(runs: None, zoo: Callable, address: str) -> None:
    done = zoo("publish", "run", address, *WORDS, "--yes")
    assert done.status == 2
    assert done.err == f"zoo: {address} is not of the form hf://owner/repo[@revision]\n"


def test_names_that_the_hub_does_not_take(runs: None, hub: Hub) -> None:
    with pytest.raises(UsageError, match="is not an address that the hub takes"):
        package.publish("run", "hf://alice/-points-", **TERMS)
    with pytest.raises(UsageError, match="names a commit, which never changes"):
        package.publish("run", f"hf://alice/points@{'0' * 40}", **TERMS)
    assert hub.asked == []


def test_what_is_not_a_finished_run(runs: None) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {**SHORT, "model.ctrl_c_at_step": 2}, out="cut")
    with pytest.raises(UsageError, match=r"not finished: .*`zoo train toy/points --resume cut`"):
        prepare("cut", "hf://alice/points")
    create_group(Group(Path("five"), "seeds", "toy/points", {"seed-1": {"seed": 1}}))
    with pytest.raises(UsageError, match=r"a group of runs: .* such as five/seed-1"):
        prepare("five", "hf://alice/points")
    with pytest.raises(UsageError, match="name the run folder"):
        prepare("run/checkpoints/last.ckpt", "hf://alice/points")
    Path("run/bundle/model.safetensors").write_bytes(b"damaged")
    with pytest.raises(ZooError, match="its SHA-256 differs"):
        prepare("run", "hf://alice/points")


# What stays on the machine


def test_nothing_of_the_machine_leaves(runs: None) -> None:
    bundle = Path("run/bundle")
    before = manifest(bundle)
    command = (
        "zoo train /home/carol/my.yaml --data.root /home/carol/faces --out=/home/carol/out "
        "--trainer.logger.api_key abc --model.hidden 16 --data.csv ~carol/labels.csv"
    )
    recipe = before["recipe"] | {
        "trainer": {
            "max_epochs": 1,
            "logger": [{"class_path": "WandbLogger", "init_args": {"entity": "carol"}}],
            "callbacks": [{"class_path": "C", "init_args": {"dirpath": "/home/carol/kept"}}],
        },
        "data": {**before["recipe"]["data"], "csv": "/home/carol/labels.csv", "api_key": "abc"},
        "init_from": {"reference": "/home/carol/runs/first"},
    }
    edit(
        bundle,
        recipe=recipe,
        metrics=before["metrics"] | {"command": command},
        versions=before["versions"] | {"zoo-carols-own": "1.0"},
        origin={"reference": "/home/carol/runs/first", "sha256": "0" * 64},
    )
    (bundle / "README.md").unlink()
    planned = prepare("run", "hf://alice/points", **TERMS)
    for name, text in planned.texts.items():
        assert b"carol" not in text, name
        assert b"abc" not in text, name
    assert planned.manifest["metrics"]["command"] == (
        "zoo train my.yaml --model.hidden 16 --data.csv labels.csv"
    )
    assert planned.manifest["recipe"]["trainer"] == {
        "max_epochs": 1,
        "callbacks": [{"class_path": "C", "init_args": {"dirpath": "PATH"}}],
    }
    assert planned.manifest["origin"] == {"reference": "PATH", "sha256": "0" * 64}
    assert planned.manifest["sha256"] == content_hash(planned.manifest)
    assert [note for note in planned.notes if "recipe, origin, versions" in note]


def test_a_path_that_the_model_is_built_from(runs: None) -> None:
    content = manifest(Path("run/bundle"))
    edit(Path("run/bundle"), facts=content["facts"] | {"table": "/home/carol/table.npy"})
    with pytest.raises(UsageError, match=r"its facts\.table names the path '/home/carol/table"):
        prepare("run", "hf://alice/points", **TERMS)


def test_a_card_of_ones_own(runs: None) -> None:
    card = Path("run/bundle/README.md")
    card.write_text(card.read_text(encoding="utf-8") + "\nTrained at home.\n", encoding="utf-8")
    texts = prepare("run", "hf://alice/points", **TERMS).texts
    assert b"\nTrained at home.\n" in texts["README.md"]
    assert b"license: apache-2.0" in texts["README.md"]
    assert b"zoo.load('hf://alice/points')" in texts["README.md"]
    card.write_text(
        card.read_text(encoding="utf-8") + "See /home/carol/notes.txt.\n", encoding="utf-8"
    )
    with pytest.raises(UsageError, match=r"README\.md names the path '/home/carol/notes\.txt"):
        prepare("run", "hf://alice/points", **TERMS)
    card.write_text("Words alone.", encoding="utf-8")
    with pytest.raises(UsageError, match="does not begin with metadata"):
        prepare("run", "hf://alice/points", **TERMS)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("zoo train vision/x --resume auto --seed 3", "zoo train vision/x --seed 3"),
        ("python -m zoo train x --model.max_token 3", "python -m zoo train x --model.max_token 3"),
        ("python -m zoo train x --hf_token abc", "python -m zoo train x"),
        ("train.py --user carol --data /srv/faces", "train.py"),
        ("/home/carol/train.py", "train.py"),
        ("zoo train x --data.root '/home/carol/my own'", "zoo train x"),
        ("zoo train x --init_from.reference=/a/runs/x", "zoo train x --init_from.reference=PATH"),
        ("zoo train x --data.url https://me:pw@host/a", "zoo train x --data.url https://host/a"),
        ("zoo train x --data.csv 'C:\\Users\\carol\\a.csv'", "zoo train x --data.csv a.csv"),
    ],
)
def test_a_command_without_the_machine(typed: str, kept: str) -> None:
    assert public_command(typed) == kept


def test_prose_keeps_its_slashes() -> None:
    texts = {"a": "1/2 and/or x/y, hf://a/b, https://host/home/x", "b": ["in /home/x/y today"]}
    assert list(machine_paths(texts)) == [("b[0]", "/home/x/y")]
