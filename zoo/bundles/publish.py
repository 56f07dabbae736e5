"""``zoo.publish``: a finished run as a repository on the Hugging Face Hub, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.bundles.bundle import read_bundle
from zoo.bundles.hub_repository import Head, HubRepository
from zoo.bundles.load import rebuild
from zoo.bundles.manifest import CARD, MANIFEST, MAX_BYTES, WEIGHTS
from zoo.bundles.publication import Publication, prepare
from zoo.errors import UsageError, ZooError
from zoo.io.bounds import read_json

_OF_THE_REPOSITORY = (".gitattributes", ".gitignore", "LICENSE", "LICENSE.md", "LICENSE.txt", CARD)
"""Files that may lie in a repository which no model was put into."""


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        reference: ``hf://owner/repo@revision``, which names exactly this model for ever.
        revision: The hash of the commit.
        sha256: The hash in its ``bundle.json``.
        committed: False if the repository held this model already.
    """

    reference: str
    revision: str
    sha256: str
    committed: bool


def publish(
    reference: str | Path,
    address: str,
    *,
    license: str = "",
    data_license: str = "",
    private: bool = False,
    replace: bool = False,
) -> Published:
    """Upload a trained model to the Hugging Face Hub, in one commit, and load it back.

    Nothing is asked. It may be repeated after any interruption: the same model is not committed
    twice.

    Args:
        reference: A finished run, a bundle folder, or what else ``zoo.load`` takes but a
            checkpoint file.
        address: ``hf://owner/repo``, or ``hf://owner/repo@branch``; made if it is missing.
        license: Terms of the weights, in place of those that the bundle states.
        data_license: Terms of the data, likewise.
        private: Let only members see a repository that is made.
        replace: Put the model in place of another one that is there.

    Raises:
        UsageError: something is missing (license, data terms, metrics), the address is malformed,
            nobody is logged in, the account may not write there, or another model is there.
        ZooError: the hub does not answer, the upload was cut, or what comes back is another model.
    """
    return upload(prepare(reference, address, license, data_license), private, replace)


def upload(publication: Publication, private: bool = False, replace: bool = False) -> Published:
    """Upload what ``prepare`` gathered.

    Args:
        publication: What.
        private: As of ``publish``.
        replace: As of ``publish``.

    Raises:
        UsageError: as of ``publish``.
        ZooError: as of ``publish``.
    """
    place = HubRepository(publication.repository, publication.branch)
    head = place.head()
    files: Mapping[str, bytes | Path] = {**publication.texts, WEIGHTS: publication.weights}
    if head is None:
        head = place.create(private)
    elif private and not head.private:
        raise UsageError(
            f"{publication.address} exists and everybody sees it: change that in its settings on "
            "the hub, or omit --private"
        )
    there = all(head.holds(name, content) for name, content in files.items())
    if not (there or head.fresh or replace or place.starts_from_main(head)):
        _refuse_other(publication, place, head)
    revision = head.revision
    if not there:
        revision = place.commit(files, head.revision, _message(publication))
    pinned = f"hf://{publication.repository}@{revision}"
    _load_back(publication, pinned)
    return Published(pinned, revision, publication.manifest["sha256"], not there)


def _message(publication: Publication) -> str:
    content = publication.manifest
    return f"{content['recipe']['name']} ({content['model']['name']}), {content['sha256'][:12]}"


def _refuse_other(publication: Publication, place: HubRepository, head: Head) -> None:
    """Refuse a repository with other content, which a slip of the keyboard would hide."""
    if MANIFEST in head.files:
        stated = _stated(place.read(MANIFEST, head.revision))
        if stated.get("sha256") == publication.manifest["sha256"]:
            what = f"this model with another {CARD}"
        else:
            recipe = stated.get("recipe")
            name = recipe.get("name") if isinstance(recipe, dict) else None
            what = f"another model ({name}, {str(stated.get('sha256'))[:12]})"
    elif other := sorted(set(head.files) - set(_OF_THE_REPOSITORY)):
        what = f"files that are not a bundle of the zoo ({', '.join(other[:3])})"
    else:
        return
    raise UsageError(
        f"{publication.address} holds {what}: add --replace to put yours in its place (what is "
        f"there stays at hf://{publication.repository}@{head.revision[:12]}), or name another "
        "repository or branch"
    )


def _stated(file: Path) -> Mapping[str, Any]:
    """What a manifest of anybody says; nothing if it is none."""
    try:
        content = read_json(file, MAX_BYTES)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _load_back(publication: Publication, pinned: str) -> None:
    """Load what was published, by its revision, and compare the hashes of all its files."""
    bundle = read_bundle(pinned)
    wanted = publication.manifest["sha256"]
    if bundle.content["sha256"] != wanted:
        raise ZooError(
            f"{pinned} came back with the hash {bundle.content['sha256']}, not {wanted}: run the "
            "same command again"
        )
    rebuild(bundle)
