"""Few-shot tasks: a support set with labels, then questions, made of classes of images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from zoo.plugin import BaseDataModule, GeneratedSamples, Part, ResumableLoader, at_least, require

Episode = tuple[Tensor, Tensor, Tensor, Tensor]
ENDLESS = 10**9


def draw_episode(
    classes: Sequence[Tensor], ways: int, shots: int, queries: int, random: torch.Generator
) -> Episode:
    """A task: some classes, some images of each to learn from, others to be told.

    Args:
        classes: Images uint8 (n, H, W) of each class, n at least ``shots + 1``.
        ways: Classes of the task; their labels are dealt anew.
        shots: Images of each class in the support set.
        queries: Images to be told, of classes drawn evenly and never in the support set.
        random: What is drawn from.

    Returns:
        Support images uint8 (ways * shots, H, W) in random order, their labels (ways * shots,),
        queries uint8 (queries, H, W), their labels (queries,).
    """
    chosen = torch.randperm(len(classes), generator=random)[:ways].tolist()
    orders = [torch.randperm(len(classes[name]), generator=random) for name in chosen]
    support = [
        (classes[name][order[:shots]], torch.full((shots,), label))
        for label, (name, order) in enumerate(zip(chosen, orders, strict=True))
    ]
    mixed = torch.randperm(ways * shots, generator=random)
    asked = torch.randint(ways, (queries,), generator=random)
    found = []
    for label in asked.tolist():
        others = orders[label][shots:]
        place = torch.randint(len(others), (), generator=random)
        found.append(classes[chosen[label]][others[place]])
    images = torch.cat([part[0] for part in support])[mixed]
    labels = torch.cat([part[1] for part in support])[mixed]
    return images, labels, torch.stack(found), asked


def turned(groups: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
    """Groups of classes and, as further groups, the same turned by 90, 180 and 270 degrees.

    Source: Santoro, Bartunov, Botvinick, Wierstra, Lillicrap: Meta-Learning with Memory-Augmented
    Neural Networks, ICML 2016, section 4.1.
    """
    return [
        [torch.rot90(images, times, (1, 2)) for images in group]
        for times in range(4)
        for group in groups
    ]


class Episodes(BaseDataModule[GeneratedSamples]):
    """Base of few-shot datasets; a subclass has ``groups``.

    A batch is ``(support, support labels, queries, query labels)``: uint8 (N, S, H, W), int64
    (N, S), uint8 (N, Q, H, W), int64 (N, Q), with S = ways * shots. Strokes are bright on a dark
    ground.

    Args:
        root: Where the images are.
        ways: Classes of a task.
        shots: Images of each class that are learned from.
        queries: Images of a task that are asked for.
        turn: Train on turned classes too.
        mixed: A task's classes are of all groups, and not of one.
        eval_episodes: Tasks of a validation, and of the test.
        batch_size: Tasks in a batch.
        num_workers: Processes that make tasks.
        seed: Of all tasks.
        split: ``standard``, or ``all`` to make every class a test class.
    """

    sample_name = "task"
    not_foldable: ClassVar[str] = (
        "its parts are classes, of which every task is drawn anew; cross-validation divides samples"
    )

    def __init__(
        self,
        root: str,
        ways: int,
        shots: int,
        queries: int,
        turn: bool,
        mixed: bool,
        eval_episodes: int,
        batch_size: int,
        num_workers: int,
        seed: int,
        split: str,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        at_least("ways", ways, 2)
        at_least("shots", shots, 1)
        at_least("queries", queries, 1)
        at_least("eval_episodes", eval_episodes, 1)
        self.ways, self.shots, self.queries = ways, shots, queries
        self.turn, self.mixed, self.eval_episodes = turn, mixed, eval_episodes

    @abstractmethod
    def groups(self, part: Part) -> list[list[Tensor]]:
        """The classes of a part, uint8 (n, H, W) each, in groups such as alphabets; none where the
        part is empty."""

    def samples(self, part: Part) -> GeneratedSamples:
        """Tasks of a part, made when they are asked for; a group is taken as often as it has
        classes."""
        groups = self.groups(part)
        if not groups:
            return _NoTasks()
        if self.mixed:
            groups = [[images for group in groups for images in group]]
        fewest = min(map(len, groups))
        others = "other classes" if self.mixed else "--data.mixed true, or other classes"
        require(
            fewest >= self.ways,
            f"{self.root}: the {part} part has {fewest} classes of a kind, and a task needs "
            f"{self.ways}: give --data.ways {max(2, fewest)}, or {others}",
        )
        if part == "train" and self.turn:
            groups = turned(groups)
            groups = [[images for group in groups for images in group]] if self.mixed else groups
        sizes = torch.tensor([len(group) for group in groups], dtype=torch.float64)
        length = ENDLESS if part == "train" else self.eval_episodes

        def episode(random: torch.Generator) -> Episode:
            number = int(torch.multinomial(sizes, 1, generator=random))
            return draw_episode(groups[number], self.ways, self.shots, self.queries, random)

        return GeneratedSamples(episode, length, self.seed, part)

    def describe_found(self) -> list[str]:
        """How many classes the parts have, and what a task is."""
        parts: tuple[Part, ...] = ("train", "val", "test")
        counts = "/".join(str(sum(map(len, self.groups(part)))) for part in parts)
        return [f"{counts} classes train/val/test", f"{self.ways} ways, {self.shots} shots"]

    def train_loader(self, samples: GeneratedSamples) -> ResumableLoader:
        """New tasks without an end: ``trainer.max_steps`` ends the training."""
        return self.loader(samples)


class _NoTasks(GeneratedSamples):
    def __init__(self) -> None:
        pass

    def __len__(self) -> int:
        return 0
