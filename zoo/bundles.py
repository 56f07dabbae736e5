"""Write, verify and read a bundle: safetensors weights, ``bundle.json`` and a model card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cards import model_card
from zoo.errors import UsageError, ZooError
from zoo.files import replace_folder
from zoo.hub import DESCRIPTION, file_hash, is_file_name, locate
from zoo.plain_json import figures_from, without_nan
from zoo.recipes import Experiment, build_model
from zoo.registry import extras, registry
from zoo.runs import Run, now

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

FORMAT = 1
"""Raised when an older zoo could not read what is written."""
WEIGHTS = "model.safetensors"
CARD = "README.md"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        path: Its folder.
        content: What ``bundle.json`` says.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def model_name(self) -> str:
        """Name of the registered model."""
        return self.content["model"]["name"]

    @property
    def facts(self) -> dict[str, Any]:
        """What the training data knew."""
        return self.content["facts"]

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures."""
        return figures_from(self.content["metrics"]["values"])

    @property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe, in the form of its file, with its name under ``name``."""
        return self.content["recipe"]

    @property
    def size(self) -> int:
        """Bytes of the weights file."""
        return self.content["files"][WEIGHTS]["size"]


def write_bundle(
    path: Path,
    model: LightningModule,
    experiment: Experiment,
    facts: Mapping[str, Any],
    metrics: Mapping[str, float],
    run: Run,
    origin: Mapping[str, Any],
) -> None:
    """Write a bundle beside its place, then put it there; what was there before survives a
    failure.

    Args:
        path: The bundle's folder.
        model: The trained module; its ``hparams`` have to be JSON values.
        experiment: What it was trained by.
        facts: The dataset's facts.
        metrics: The final figures.
        run: The run it comes from, for command, seed and versions.
        origin: Where the weights came from before fine-tuning; empty for a fresh start.

    Raises:
        ZooError: an argument is no JSON value, or the disk does not take the files.
    """
    from safetensors.torch import save

    found = experiment.model
    plugin = registry().owner(found.entry)
    arguments = {k: v for k, v in dict(model.hparams).items() if k not in found.arguments}
    environment = run.environment
    recipe = {"name": experiment.recipe.name, **experiment.recipe.as_dict()}
    recipe["data"].pop("root", None)  # a path of this machine says nothing elsewhere
    content: dict[str, Any] = {
        "format": FORMAT,
        "created": now(),
        "model": {"name": found.name, "arguments": arguments},
        "plugin": {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
        },
        "preprocessing": getattr(model, "preprocessing", {}),
        "facts": dict(facts),
        "recipe": recipe,
        "metrics": {
            "values": without_nan(metrics),
            "command": environment["command"],
            "seed": environment["seed"],
        },
        "licence": {
            "weights": getattr(model, "weights_licence", "as the data's"),
            "data": experiment.dataset.licence,
        },
        "versions": environment["versions"],
        "origin": dict(origin),
    }
    try:
        json.dumps(content, allow_nan=True)
    except TypeError as error:
        raise ZooError(
            f"the model {found.name!r} cannot be bundled, its constructor arguments have to be "
            f"plain values: {error}"
        ) from error
    tensors = {n: t.detach().cpu().clone().contiguous() for n, t in model.state_dict().items()}
    files = {
        WEIGHTS: save(tensors, metadata={"format": "pt"}),
        CARD: model_card(content, found.entry).encode(),
    }
    content["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in files.items()
    }
    content["sha256"] = content_hash(content)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        replace_folder(path, {**files, DESCRIPTION: text.encode()})
    except OSError as error:
        raise ZooError(
            f"the bundle {path} cannot be written ({error.strerror}): make room, then finish the "
            "run with --resume"
        ) from error


def read_bundle(reference: str | Path) -> Bundle:
    """Find a bundle and verify every file of it; nothing of it is run.

    Args:
        reference: As for ``zoo.hub.locate``.

    Raises:
        UsageError: there is none, a file is missing, was changed or damaged, or it was written
            by a newer zoo.
        ZooError: it cannot be downloaded.
    """
    path = locate(reference)
    content = read_description(path)
    for name, facts in content["files"].items():
        file = path / name
        if not is_file_name(name):
            raise UsageError(f"the bundle {path} names a path outside itself: {name!r}")
        if not file.is_file():
            raise UsageError(f"the bundle {path} lacks {name}: fetch or train it again")
        if file.stat().st_size != facts["size"] or file_hash(file) != facts["sha256"]:
            raise UsageError(
                f"{file} is not the file that {DESCRIPTION} describes (its SHA-256 differs): it "
                "is truncated, damaged or was changed; fetch or train it again"
            )
    return Bundle(path, content)


def read_description(path: Path) -> dict[str, Any]:
    """``bundle.json`` of a bundle folder, verified against its own hash.

    Raises:
        UsageError: it is missing, no JSON, was edited, or is of a newer format.
    """
    file = path / DESCRIPTION
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read ({error}): fetch the bundle again") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise UsageError(f"{file} is no description of a bundle: it has no format number")
    if content["format"] > FORMAT:
        raise UsageError(
            f"{file} has the format {content['format']}, this zoo reads up to {FORMAT}: update zoo"
        )
    if content.get("sha256") != content_hash(content):
        raise UsageError(
            f"{file} was changed after it was written (its hash differs): fetch the bundle again"
        )
    if WEIGHTS not in content.get("files", {}):
        raise UsageError(f"{file} lists no {WEIGHTS}, so nothing vouches for the weights")
    return content


def rebuild(bundle: Bundle) -> Any:
    """The bundle's module with its weights, in evaluation mode, on the CPU.

    Raises:
        UsageError: its plugin is not installed, or the weights do not fit.
    """
    from zoo.weights import load_weights, read_tensors

    model = build_model(find_model(bundle), bundle.content["model"]["arguments"], {})
    load_weights(model, read_tensors(bundle.path / WEIGHTS), source=str(bundle.path))
    return model.eval()


def find_model(bundle: Bundle) -> Any:
    """The registered model of a bundle.

    Raises:
        UsageError: no installed plugin registers it; the message names the extra to install.
    """
    plugin = bundle.content["plugin"]
    if plugin["name"] not in {each.name for each in registry().plugins}:
        known = {distribution: extra for extra, distribution in extras().items()}
        extra = known.get(plugin["distribution"])
        install = f'"zoo[{extra}]"' if extra else plugin["distribution"]
        raise UsageError(
            f"the bundle {bundle.path} is a {bundle.model_name!r} of {plugin['distribution']} "
            f"{plugin['version']}, which is not installed: pip install {install}"
        )
    return registry().model(bundle.model_name)


def load(reference: str | Path) -> Any:
    """The trained module that a reference names, in evaluation mode, on the CPU.

    Args:
        reference: A run folder, a bundle folder, a registered checkpoint's name,
            ``hf://owner/repo[@revision]``, ``https://.../bundle.json#sha256=...``, or a Lightning
            checkpoint (``.ckpt``) inside a run folder.

    Raises:
        UsageError: there is no such bundle, it was changed, or its plugin is not installed.
        ZooError: it cannot be downloaded.
    """
    if str(reference).endswith(".ckpt"):
        return _load_checkpoint(Path(reference))
    return rebuild(read_bundle(reference))


def content_hash(content: Mapping[str, Any]) -> str:
    """SHA-256 of the content of ``bundle.json`` without its own ``sha256``."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _load_checkpoint(path: Path) -> Any:
    from zoo.weights import load_weights, read_pickle

    if not path.is_file():
        raise UsageError(f"there is no checkpoint {str(path)!r}")
    content = read_pickle(path)
    if not isinstance(content, dict) or "hyper_parameters" not in content:
        raise UsageError(
            f"{path} is no Lightning checkpoint of this zoo; to start from its weights alone use "
            "zoo.weights.read_tensors and load_weights"
        )
    run = Run(path.parent.parent)
    if not run.recipe_file.is_file():
        raise UsageError(f"{path} lies in no run folder, whose recipe.yaml would name its model")
    found = registry().model(run.recipe.model_name)
    arguments = {
        key: value
        for key, value in content["hyper_parameters"].items()
        if key not in found.arguments
    }
    model = build_model(found, arguments, {})
    load_weights(model, content["state_dict"], source=str(path))
    return model.eval()
