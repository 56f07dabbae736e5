"""Few-shot tasks of your own images: a folder for each class."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zoo.plugin import Facts, Part, UsageError, fractions, one_of
from zoo_fastweights.data.drawings import SUFFIXES, Ink, read_drawing
from zoo_fastweights.data.episodes import Episodes


class ClassFolder(Episodes):
    """Tasks made of ``<class>/<image>``, divided by class: those of validation and test are never
    trained on.

    Images become gray and square. Classes are divided in a random order that ``seed`` does not
    change.

    Args:
        root: The folder of the classes' folders.
        ink: Whether strokes are ``dark`` on a bright ground, as on paper, or ``bright`` on a dark
            one.
        size: Pixels a side.
        val_fraction: Part of the classes for validation.
        test_fraction: Part of the classes for the test.
        ways: Classes of a task.
        shots: Images of each that are learned from.
        queries: Images of a task that are asked for.
        turn: Train on classes turned by 90, 180 and 270 degrees too, as further classes.
        eval_episodes: Tasks of a validation, and of the test.
        batch_size: Tasks in a batch.
        num_workers: Processes that make tasks; the images lie in memory, 0 is quickest.
        seed: Of all tasks.
        split: ``standard``, or ``all`` to make every class a test class.

    Raises:
        UsageError: there are no classes, or one has too few images, or one cannot be read.
    """

    keep_best = True

    def __init__(
        self,
        root: str,
        ink: Ink = "dark",
        size: int = 28,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        ways: int = 5,
        shots: int = 1,
        queries: int = 5,
        turn: bool = False,
        eval_episodes: int = 400,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__(
            root, ways, shots, queries, turn, True, eval_episodes, batch_size, num_workers, seed,
            split,
        )  # fmt: skip
        one_of("ink", ink, ("dark", "bright"))
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.ink, self.size = ink, size
        self.fractions = {"val": val_fraction, "test": test_fraction}
        self._read: dict[str, Tensor] | None = None

    @property
    def facts(self) -> Facts:
        """Ways, shots and pixels a side."""
        self._images()
        return {"ways": self.ways, "shots": self.shots, "size": self.size}

    def _images(self) -> dict[str, Tensor]:
        if self._read is None:
            self._read = {
                name: torch.stack(
                    [read_drawing(path, self.size, self.ink, str(path)) for path in paths]
                )
                for name, paths in class_files(Path(self.root), self.shots + 1).items()
            }
        return self._read

    def groups(self, part: Part) -> list[list[Tensor]]:
        """Images of the part's classes, which are of one kind."""
        images = list(self._images().values())
        if self.split == "all":
            return [images] if part == "test" else []
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0)).tolist()
        test, val = (round(len(images) * self.fractions[name]) for name in ("test", "val"))
        chosen = {
            "test": order[:test],
            "val": order[test : test + val],
            "train": order[test + val :],
        }
        return [[images[place] for place in sorted(chosen[part])]] if chosen[part] else []


def class_files(root: Path, least: int) -> dict[str, list[Path]]:
    """The image files of each class's folder, in the order of their names.

    Args:
        root: The folder of the classes' folders.
        least: Images that a class has to have.

    Raises:
        UsageError: there are no classes, or some have too few images; names them.
    """
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}: give a folder with one folder a class")
    found = {
        folder.name: sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
        for folder in sorted(root.iterdir())
        if folder.is_dir()
    }
    if not found:
        raise UsageError(f"{root} holds no folders: a folder of images is wanted for each class")
    if few := [f"{name} ({len(paths)})" for name, paths in found.items() if len(paths) < least]:
        raise UsageError(
            f"{root}: each class needs {least} images or more; too few have {', '.join(few[:5])}"
        )
    return found
