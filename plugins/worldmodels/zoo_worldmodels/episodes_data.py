"""What datasets of episodes share: their parts, their facts and what a batch of them is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import (
    BaseDataModule,
    Facts,
    Part,
    Reference,
    UsageError,
    at_least,
    fractions,
    one_of,
    rank_zero_print,
    trained_model,
)
from zoo_worldmodels.episode import Episode
from zoo_worldmodels.segments import Described, EverySegment, RandomSegments, Steps

ITEMS = ("segments", "steps")


class EpisodesData(BaseDataModule[Any]):
    """Base of datasets of episodes. Episodes, not steps, are divided into the parts.

    Args:
        root: What messages call the data.
        batch_size: Segments or steps in a batch.
        num_workers: Processes that prepare batches.
        seed: Of what is drawn in training.
        split: ``standard``, or ``all`` to test on everything.
        items: What a sample is: ``segments`` of episodes for a world model, or single ``steps``
            (observation, action) for an encoder of pictures or a clone of behavior.
        length: Steps of a segment in training.
        eval_length: Steps of a segment in validation and test: those that a model sees first, and
            those that it then imagines.
        per_epoch: Segments of a training epoch.
        val_fraction: Part of the episodes for validation.
        test_fraction: Part of the episodes for the test.
        encoder: A model whose codes of the observations are the features, where these are
            pictures.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "segment"
    fixed_test_batches = True
    not_foldable = "worlds are learnt from whole logs; --data.val_fraction divides them"

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int,
        seed: int,
        split: str,
        items: Literal["segments", "steps"],
        length: int,
        eval_length: int,
        per_epoch: int,
        val_fraction: float,
        test_fraction: float,
        encoder: Reference | None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split)
        one_of("items", items, ITEMS)
        at_least("length", length, 1)
        at_least("eval_length", eval_length, 2)
        at_least("per_epoch", per_epoch, 1)
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.items, self._lengths, self._per_epoch = items, (length, eval_length), per_epoch
        self._fractions = (val_fraction, test_fraction)
        self._encoder: Any = None if encoder is None else trained_model(encoder)

    @abstractmethod
    def read(self) -> list[Episode]:
        """All episodes, in an order that is always the same.

        Raises:
            UsageError: something is missing, unreadable or inconsistent.
        """

    @abstractmethod
    def spaces(self) -> Facts:
        """``environment``, ``observation_shape``, ``actions``, ``num_actions``, ``action_low``,
        ``action_high`` and ``max_episode_steps``, as ``zoo_rl.environments.describe`` has them."""

    @cached_property
    def episodes(self) -> list[Episode]:
        """All of them, read once."""
        found = self.read()
        if not found:
            raise UsageError(f"{self.root}: there are no episodes in it")
        actions = np.concatenate([each.actions for each in found])
        if len(actions) and (actions == actions[0]).all():
            rank_zero_print(
                f"{self.root}: every action is {actions[0]}: a world model learns from these what "
                "happens by itself, and nothing of what other actions would do"
            )
        return found

    @property
    def facts(self) -> Facts:
        """What is observed and done, and how it is scaled, measured on the training part."""
        training = self._of_part("train") or self.episodes
        spaces = self.spaces()
        pictures = len(spaces["observation_shape"]) == 3
        mean, std = ([], []) if pictures else _scales([each.observations for each in training])
        rewards = np.concatenate([each.rewards for each in training]).astype(np.float64)
        return {
            **spaces,
            "features": self._encoder.latents if self._encoder else spaces["observation_shape"][0],
            "observation_mean": mean,
            "observation_std": std,
            "reward_scale": float(max(np.sqrt(np.square(rewards).mean()), 1e-3)),
            "has_ends": any(each.terminated for each in self.episodes),
            "actions_vary": bool(_vary(training)),
        }

    def describe_found(self) -> list[str]:
        """Episodes and steps, and how they are divided."""
        parts = [self._of_part(part) for part in ("train", "val", "test")]
        steps = sum(len(each) for each in self.episodes)
        divided = "/".join(str(len(part)) for part in parts)
        ended = sum(each.terminated for each in self.episodes)
        return [
            f"{len(self.episodes)} episodes of {steps} steps, {ended} ended by the world",
            f"{divided} train/val/test",
        ]

    def samples(self, part: Part) -> Any:
        """Random segments for training, all of them in order for the others; or steps."""
        episodes = self._of_part(part)
        if not episodes or self.items == "steps":
            return Steps(episodes)
        length, eval_length = self._lengths
        described = self._described(part, episodes)
        if part == "train":
            return RandomSegments(described, length, self._per_epoch, self.seed)
        return EverySegment(described, eval_length)

    def train_loader(self, samples: Any) -> Any:
        return self.loader(samples, shuffle=self.items == "steps")

    def starts(self, count: int = 64) -> Tensor:
        """Features with which episodes of training begin, where dreams do: float32 (count, F)."""
        described = self._described("train", self._of_part("train"))
        first = torch.stack([each[0] for each in described.features])
        return first[torch.arange(count) % len(first)]

    def ranges(self) -> tuple[Tensor, Tensor]:
        """The least and the greatest of the training: features (2, F) and rewards (2,)."""
        described = self._described("train", self._of_part("train"))
        features = torch.cat(list(described.features))
        rewards = torch.from_numpy(np.concatenate([each.rewards for each in described.episodes]))
        return torch.stack(features.aminmax(dim=0)), torch.stack(rewards.aminmax())

    def trails(self) -> tuple[list[Tensor], float]:
        """Features of each episode of the training, (T + 1, F), and the least return of one."""
        described = self._described("train", self._of_part("train"))
        returns = [each.rewards.sum(dtype=np.float64) for each in described.episodes]
        return list(described.features), float(min(returns))

    def _of_part(self, part: Part) -> list[Episode]:
        if self.split == "all":
            return self.episodes if part == "test" else []
        count = len(self.episodes)
        order = np.random.default_rng(20_180_327).permutation(count).tolist()
        val, test = (round(fraction * count) for fraction in self._fractions)
        chosen = {"val": order[:val], "test": order[val : val + test], "train": order[val + test :]}
        return [self.episodes[number] for number in sorted(chosen[part])]

    def _described(self, part: Part, episodes: Sequence[Episode]) -> Described:
        if part not in self._codes:
            self._codes[part] = self._describe(episodes)
        return self._codes[part]

    @cached_property
    def _codes(self) -> dict[str, Described]:
        return {}

    def _describe(self, episodes: Sequence[Episode]) -> Described:
        if self._encoder is None:
            if len(self.spaces()["observation_shape"]) == 3:
                raise UsageError(
                    f"{self.root}: observations are pictures, and a world model learns from codes "
                    "of them: name a trained encoder by --data.encoder, as recipe:worldmodels/"
                    "takecover-vision"
                )
            return Described(
                episodes, [torch.from_numpy(each.observations) for each in episodes], None
            )
        codes = [self._encoder.encode_all(each.observations) for each in episodes]
        return Described(episodes, [mean for mean, _ in codes], [scale for _, scale in codes])


def _scales(observations: list[np.ndarray]) -> tuple[list[float], list[float]]:
    values = np.concatenate(observations).astype(np.float64)
    std = values.std(0)
    return values.mean(0).tolist(), np.where(std > 1e-6, std, 1.0).tolist()


def _vary(episodes: Sequence[Episode]) -> bool:
    actions = np.concatenate([each.actions for each in episodes])
    return bool((actions != actions[:1]).any())
