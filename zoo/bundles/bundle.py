"""Write, verify and read a bundle: safetensors weights, ``bundle.json`` and a model card."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.bundles.download import file_hash
from zoo.bundles.hub import locate
from zoo.bundles.manifest import CARD, FORMAT, MANIFEST, content_hash, read_manifest
from zoo.bundles.manifest import WEIGHTS as WEIGHTS
from zoo.bundles.model_card import model_card
from zoo.bundles.private import public_command
from zoo.errors import UsageError, ZooError
from zoo.io.atomic import replace_folder
from zoo.io.failures import system_failure
from zoo.io.plain_json import metrics_from_json, without_nan
from zoo.plugin.declarations import constructor_arguments, preprocessing, weights_license
from zoo.recipes.experiment import Experiment
from zoo.registry.registry import registry
from zoo.runs.environment import now
from zoo.runs.run import Run

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

_ESCAPED = "backslashreplace"
"""How a byte of a path that is not UTF-8 is written; JSON reads it as it was."""


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
        return str(self.content["model"]["name"])

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the training data."""
        return dict(self.content["facts"])

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics."""
        return metrics_from_json(self.content["metrics"]["values"])

    @property
    def recipe(self) -> dict[str, Any]:
        """The resolved recipe, in the form of its file, with its name under ``name``."""
        return dict(self.content["recipe"])

    @property
    def size(self) -> int:
        """Bytes of the weights file."""
        return int(self.content["files"][WEIGHTS]["size"])


def write_bundle(
    path: Path,
    model: LightningModule,
    experiment: Experiment,
    metrics: Mapping[str, float],
    run: Run,
    origin: Mapping[str, Any],
) -> None:
    """Write a bundle to a temporary folder, then rename it; a bundle that was there before
    survives a failure.

    Args:
        path: The bundle's folder.
        model: The trained module; its constructor's arguments have to be JSON values.
        experiment: What it was trained by, with the facts of its data.
        metrics: The final metrics.
        run: The run it comes from, for command, seed and versions.
        origin: Where the weights came from before fine-tuning; empty for a fresh start.

    Raises:
        ZooError: an argument is not a JSON value, or the disk does not take the files.
    """
    from safetensors.torch import save

    from zoo.bundles.cost import trained_cost  # it brings torch

    found = experiment.model
    plugin = registry().owner(found.entry)
    saved = constructor_arguments(model)
    arguments = {k: v for k, v in saved.items() if k not in found.arguments}
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
        "preprocessing": preprocessing(model),
        "facts": dict(experiment.facts),
        "recipe": recipe,
        "metrics": {
            "values": without_nan(metrics),
            "command": public_command(environment["command"]),
            "seed": environment["seed"],
        },
        "license": {
            "weights": weights_license(model),
            "data": experiment.dataset.license,
        },
        "versions": environment["versions"],
        "origin": dict(origin),
    }
    if references := environment.get("references"):
        content["references"] = references  # the models that it holds are built by them
    try:
        json.dumps(content, allow_nan=True)
    except TypeError as error:
        raise ZooError(
            f"the model {found.name!r} cannot be bundled, its constructor arguments have to be "
            f"plain values: {error}"
        ) from error
    tensors = {n: t.detach().cpu().clone().contiguous() for n, t in model.state_dict().items()}
    weights = save(tensors, metadata={"format": "pt"})
    content["cost"] = trained_cost(model, found, arguments)
    content["files"] = {
        WEIGHTS: {"sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights)}
    }
    content["sha256"] = content_hash(content)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    card = model_card(content, found.entry, experiment.dataset)
    files = {
        WEIGHTS: weights,
        CARD: card.encode("utf-8", _ESCAPED),
        MANIFEST: text.encode("utf-8", _ESCAPED),
    }
    try:
        replace_folder(path, files)
    except OSError as error:
        raise ZooError(
            f"{system_failure(error, 'the bundle cannot be written')}; then finish the "
            "run with --resume"
        ) from error


def read_bundle(reference: str | Path) -> Bundle:
    """Find a bundle and verify every file of it; nothing of it is run.

    The model card is prose: it may be edited or missing. Other files that its manifest does not
    list are told and ignored; hidden ones, such as those of git, are not told.

    Args:
        reference: As for ``zoo.bundles.hub.locate``.

    Raises:
        UsageError: there is none, a file is missing, was changed or damaged, or it was written
            by a newer zoo.
        ZooError: it cannot be downloaded.
    """
    path = locate(reference)
    content = read_manifest(path)
    for name, stated in content["files"].items():
        file = path / name
        if not file.is_file():
            raise UsageError(f"the bundle {path} lacks {name}: fetch or train it again")
        if file.stat().st_size != stated["size"] or file_hash(file) != stated["sha256"]:
            raise UsageError(
                f"{file} is not the file that {MANIFEST} describes (its SHA-256 differs): it "
                "is truncated, damaged or was changed; fetch or train it again"
            )
    unlisted = sorted({file.name for file in path.iterdir()} - {MANIFEST, CARD, *content["files"]})
    if unlisted := [name for name in unlisted if not name.startswith(".")]:
        _tell_unlisted(path, tuple(unlisted))
    return Bundle(path, content)


@functools.cache  # a command may read a bundle more than once
def _tell_unlisted(path: Path, names: tuple[str, ...]) -> None:
    from zoo.io.rank_zero import rank_zero_print

    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    rank_zero_print(
        f"{path} also holds {', '.join(map(repr, names[:5]))}{more}, which {MANIFEST} does not "
        "list: ignored"
    )
