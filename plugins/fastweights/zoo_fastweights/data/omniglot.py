"""Omniglot: handwritten characters of many alphabets, each drawn by twenty people."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch
from torch import Tensor

from zoo.plugin import Facts, Part, UsageError, require
from zoo_fastweights.data.drawings import read_drawing
from zoo_fastweights.data.episodes import Episodes

SIZE = 28
Alphabets = dict[str, list[Tensor]]


class Omniglot(Episodes):
    """Few-shot tasks of characters, divided by alphabet: those of test and validation are never
    trained on. The characters of a task are of one alphabet.

    Reads the publisher's zips ``images_*.zip`` (``images_background.zip``,
    ``images_evaluation.zip``, the small ones), whose members are
    ``<zip>/<alphabet>/<character>/<number>.png``, and makes them 28 x 28. A zip of strokes is left
    alone. This is not the usual division by characters, in which those of one alphabet are both
    trained on and tested.

    Source: Lake, Salakhutdinov, Tenenbaum: Human-level Concept Learning through Probabilistic
    Program Induction, Science 350, 2015.

    Args:
        root: Folder of the zips.
        val_alphabets: Alphabets to choose the best weights by.
        test_alphabets: Alphabets to test on; all others are trained on.
        ways: Characters of a task.
        shots: Drawings of each that are learned from.
        queries: Drawings of a task that are asked for.
        turn: Train on alphabets turned by 90, 180 and 270 degrees too, as further alphabets.
        mixed: The characters of a task are of all alphabets of a part and of all turns, as usual
            with the division by characters; such tasks are easier.
        eval_episodes: Tasks of a validation, and of the test.
        batch_size: Tasks in a batch.
        num_workers: Processes that make tasks; the drawings lie in memory, 0 is quickest.
        seed: Of all tasks.
        split: ``standard``, or ``all`` to make every alphabet a test alphabet.

    Raises:
        UsageError: there are no zips, one is damaged, or an alphabet that is named is not there.
    """

    def __init__(
        self,
        root: str,
        val_alphabets: list[str] | None = None,
        test_alphabets: list[str] | None = None,
        ways: int = 5,
        shots: int = 1,
        queries: int = 5,
        turn: bool = True,
        mixed: bool = False,
        eval_episodes: int = 400,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__(
            root, ways, shots, queries, turn, mixed, eval_episodes, batch_size, num_workers, seed,
            split,
        )  # fmt: skip
        self.held: dict[Part, list[str]] = {
            "val": ["Balinese"] if val_alphabets is None else val_alphabets,
            "test": ["Korean"] if test_alphabets is None else test_alphabets,
        }
        both = set(self.held["val"]) & set(self.held["test"])
        require(
            not both, f"{', '.join(sorted(both))} cannot be both for validation and for the test"
        )
        self._read: Alphabets | None = None

    @property
    def facts(self) -> Facts:
        """Ways, shots and pixels a side."""
        self._alphabets()
        return {"ways": self.ways, "shots": self.shots, "size": SIZE}

    def _alphabets(self) -> Alphabets:
        if self._read is None:
            self._read = read_alphabets(Path(self.root))
            for name in [*self.held["val"], *self.held["test"]]:
                if self.split == "standard" and name not in self._read:
                    raise UsageError(
                        f"{self.root} has no alphabet {name}; there are "
                        f"{', '.join(sorted(self._read))}"
                    )
        return self._read

    def groups(self, part: Part) -> list[list[Tensor]]:
        """Characters of the part's alphabets, by alphabet."""
        found = self._alphabets()
        if self.split == "all":
            names = sorted(found) if part == "test" else []
        elif part == "train":
            held = {*self.held["val"], *self.held["test"]}
            names = [name for name in sorted(found) if name not in held]
        else:
            names = self.held[part]
        return [found[name] for name in names]


def read_alphabets(root: Path) -> Alphabets:
    """Drawings uint8 (drawers, 28, 28) of the characters of each alphabet.

    Args:
        root: Folder of the zips.

    Raises:
        UsageError: there are none, or one is damaged.
    """
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}: give --data.root, with Omniglot's zips in it")
    if not (paths := sorted(root.glob("images_*.zip"))):
        raise UsageError(f"{root} holds no images_*.zip, as Omniglot's publisher names them")
    found: dict[str, dict[str, list[Tensor]]] = {}
    for path in paths:
        try:
            with zipfile.ZipFile(path) as archive:
                for member in sorted(archive.namelist()):
                    parts = member.split("/")
                    if len(parts) != 4 or not member.endswith(".png"):
                        continue
                    drawing = read_drawing(
                        io.BytesIO(archive.read(member)), SIZE, "dark", f"{path}: {member}"
                    )
                    found.setdefault(parts[1], {}).setdefault(parts[2], []).append(drawing)
        except zipfile.BadZipFile as error:
            raise UsageError(f"{path} is not a zip, or is damaged: {error}") from error
    if not found:
        raise UsageError(f"{root}: the zips hold no <alphabet>/<character>/<number>.png")
    return {
        alphabet: [torch.stack(characters[name]) for name in sorted(characters)]
        for alphabet, characters in found.items()
    }
