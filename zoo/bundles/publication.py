"""What would be published: the files of a bundle, complete and without anything of this machine."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoo.bundles.bundle import Bundle, read_bundle
from zoo.bundles.card_metadata import license_metadata
from zoo.bundles.hub import hub_address
from zoo.bundles.load import find_model
from zoo.bundles.manifest import CARD, FORMAT, MANIFEST, WEIGHTS, content_hash
from zoo.bundles.model_card import model_card
from zoo.bundles.private import machine_paths, paths_in, public_command, public_content
from zoo.bundles.stages import run_of
from zoo.errors import UsageError, format_problems
from zoo.io.plain_json import metrics_from_json
from zoo.registry.registry import registry
from zoo.runs.group import is_group, open_group

_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNSTATED = ("", "yours", "not stated", "unknown")
"""Terms that say nothing to whom the data do not belong."""
_REBUILDS = ("model", "facts", "preprocessing")


@dataclass(frozen=True)
class Publication:
    """A bundle as it would lie on the hub.

    Attributes:
        bundle: Where it comes from.
        repository: ``owner/repo``.
        branch: The branch that is written to.
        manifest: Content of ``bundle.json``.
        texts: ``bundle.json`` and the model card, as they would be uploaded.
        notes: What was left out or changed on the way, in sentences.
    """

    bundle: Bundle
    repository: str
    branch: str
    manifest: Mapping[str, Any]
    texts: Mapping[str, bytes]
    notes: tuple[str, ...]

    @property
    def address(self) -> str:
        """``hf://owner/repo``, with the branch if it is not the main one."""
        return f"hf://{self.repository}" + ("" if self.branch == "main" else f"@{self.branch}")

    @property
    def weights(self) -> Path:
        """The weights file, uploaded as it is."""
        return self.bundle.path / WEIGHTS

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of every file that would be uploaded."""
        return {
            **{name: len(text) for name, text in self.texts.items()},
            WEIGHTS: self.bundle.size,
        }

    @property
    def front_matter(self) -> str:
        """The metadata on top of the card."""
        return split_card(self.texts[CARD].decode())[0]


def prepare(
    reference: str | Path, address: str, license: str = "", data_license: str = ""
) -> Publication:
    """Gather and check what would be published; nothing is sent.

    Args:
        reference: A finished run, a bundle folder, or what else ``zoo.load`` takes but a
            checkpoint file.
        address: ``hf://owner/repo``, or ``hf://owner/repo@branch``.
        license: Terms of the weights, in place of those that the bundle states.
        data_license: Terms of the data, likewise.

    Raises:
        UsageError: the address is malformed, the run is unfinished or a group of runs, or license,
            data terms, metrics or card are missing, or name a path of this machine; all at once.
    """
    repository, branch = _target(address)
    bundle = _bundle_of(reference)
    content = {**public_content(bundle.content), "format": FORMAT}
    stated = content["license"]
    content["license"] = {
        "weights": license or stated["weights"],
        "data": data_license or stated["data"],
    }
    problems = _missing_terms(content["license"]) + _missing_metrics(content) + _paths(content)
    content["sha256"] = content_hash(content)
    card, faults = _card(bundle, content, repository)
    if problems := problems + faults:
        raise UsageError(format_problems(f"{reference} cannot be published yet", problems))
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    texts = {CARD: card.encode(), MANIFEST: text.encode()}
    return Publication(bundle, repository, branch, content, texts, tuple(_notes(bundle, content)))


def split_card(card: str) -> tuple[str, str]:
    """The YAML on top of a model card, empty if there is none, and the text below it."""
    found = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", card, re.DOTALL)
    return (found[1], card[found.end() :]) if found else ("", card)


def _target(address: str) -> tuple[str, str]:
    repository, revision = hub_address(address)
    if revision and _COMMIT.fullmatch(revision):
        raise UsageError(
            f"{address} names a commit, which never changes: name a branch, or "
            f"hf://{repository} alone"
        )
    return repository, revision or "main"


def _bundle_of(reference: str | Path) -> Bundle:
    text = str(reference)
    if text.endswith(".ckpt"):
        raise UsageError(f"{text} is a checkpoint file: name the run folder that it lies in")
    if "://" not in text:
        if is_group(text):
            first = next(iter(open_group(text).members), "RUN")
            raise UsageError(
                f"{text} is a group of runs: publish one of them, such as {Path(text) / first}"
            )
        run = run_of(reference)
        if run.recipe_file.is_file() and not run.finished:
            raise UsageError(
                f"the run {run.path} is not finished: finish it with "
                f"`zoo train {run.recipe.name} --resume {run.path}`"
            )
    return read_bundle(reference)


def _missing_terms(terms: Mapping[str, str]) -> list[str]:
    problems = []
    data_known = terms["data"].strip().casefold() not in _UNSTATED
    if not data_known:
        problems.append(
            f"the terms of the data are {terms['data']!r}: state them with --data-license, such "
            "as 'CC BY 4.0' or 'private, not passed on', or in the `license` of the dataset's entry"
        )
    weights = terms["weights"].strip().casefold()
    if weights in _UNSTATED or (weights == "as the data's" and not data_known):
        problems.append(
            f"the license of the weights is {terms['weights']!r}: state it with --license, such "
            "as apache-2.0, or in the member `weights_license` of the model"
        )
    return problems


def _missing_metrics(content: Mapping[str, Any]) -> list[str]:
    values = metrics_from_json(content["metrics"]["values"])
    measured = [key for key, value in values.items() if math.isfinite(value)]
    if any(key.startswith(("test/", "val/")) for key in measured):
        return []
    return [
        "it has no metrics of test or validation data: train it on data that have such a part, "
        "as `zoo info` of the dataset says"
    ]


def _paths(content: Mapping[str, Any]) -> list[str]:
    """What cannot be cut out, as the model would be another without it."""
    prose = {"recipe.about": content["recipe"]["about"], "recipe.name": content["recipe"]["name"]}
    rest = {name: content[name] for name in _REBUILDS}
    return [
        f"its {where} names the path {path!r} of this machine: train it with a name that holds "
        "elsewhere too"
        for where, path in machine_paths({**prose, **rest})
    ]


def _card(bundle: Bundle, content: Mapping[str, Any], repository: str) -> tuple[str, list[str]]:
    """The card for the hub, and what is wrong with it."""
    entry = find_model(bundle).entry
    dataset = registry().dataset(content["recipe"]["data"]["name"])
    fresh = model_card(content, entry, dataset, f"hf://{repository}")
    file = bundle.path / CARD
    if not file.is_file():
        return fresh, []
    try:
        written = file.read_text(encoding="utf-8")
    except ValueError:
        return "", [f"{file} is not text in UTF-8: save it as such, or remove it"]
    if written == model_card(bundle.content, entry, dataset):
        return fresh, []
    command = bundle.content["metrics"]["command"]
    card = written.replace(command, public_command(command))
    for here, there in (("'this folder'", "'{}'"), ("with this folder.", "with `{}`.")):
        card = card.replace(here, there.format(f"hf://{repository}"))
    matter, body = split_card(card)
    try:
        metadata = yaml.safe_load(matter)
    except yaml.YAMLError:
        metadata = None
    if not isinstance(metadata, dict):
        return card, [
            f"{file} does not begin with metadata between two lines '---': write them, or remove "
            "the file, and it is made from bundle.json"
        ]
    if content["license"] != bundle.content["license"] or "license" not in metadata:
        kept = {k: v for k, v in metadata.items() if not k.startswith("license")}
        metadata = {**license_metadata(content["license"], dataset.homepage), **kept}
        matter = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).strip()
    card = f"---\n{matter}\n---\n{body}"
    return card, [
        f"line {number} of {file} names the path {path!r} of this machine: edit that line"
        for number, line in enumerate(card.splitlines(), 1)
        for path in paths_in(line)
    ]


def _notes(bundle: Bundle, content: Mapping[str, Any]) -> list[str]:
    before, notes = bundle.content, []
    if content["metrics"]["command"] != before["metrics"]["command"]:
        notes.append(f"the command is published as `{content['metrics']['command']}`")
    changed = [key for key in ("recipe", "origin", "versions") if content[key] != before[key]]
    if changed:
        notes.append(
            f"what belongs to this machine alone is left out of {', '.join(changed)} in {MANIFEST}"
        )
    if not any(key.startswith("test/") for key in content["metrics"]["values"]):
        notes.append("its metrics are of validation data, as there was no test part")
    return notes
