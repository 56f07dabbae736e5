"""Clips, and how they become batches.

A labelled batch is a dict:

- ``video``: float32 (N, T, H, W), normalized, zeros after each clip's end
- ``lengths``: int64 (N,), frames
- ``label``: int64 (N,), of words
- ``targets`` and ``target_lengths``: int64 (N, L) and (N,), of sentences, padded with 0, which
  is CTC's blank
- ``speaker``: int64 (N,), index into the fact ``speakers``
- ``audio`` and ``audio_lengths``: float32 (N, Ta, F) and int64 (N,), where asked for
- ``target``: of training with a target, a dict of as many unlabelled clips of the speakers to
  adapt to, with ``video``, ``lengths`` and ``speaker`` (and ``audio``) only
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from zoo.plugin import EpochSampler, ResumableLoader
from zoo_lipreading.data.normalization import Normalizer

Sample = dict[str, Any]
Batch = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """One word or sentence of one speaker.

    Attributes:
        name: What to call it, such as its file.
        speaker: Index of the speaker.
        held_out: Whether it is a test clip of its speaker, rather than a training clip.
        frames: Length of the video.
        read: Gives the video, uint8 (T, H, W) at the size of the model.
        label: Class of a word.
        targets: Symbols of a sentence, from 1 on; 0 is CTC's blank.
        audio: Gives float32 (Ta, F), features of the sound; None without.
        recording: What it was cut from, if from something longer: validation and training never
            share a recording.
        transcribed: Whether it is known what is said; what is not serves to adapt to.
        whole: Gives the video of the recording, and
        whole_audio: the features of its sound, if it was cut from one: the normalization by
            ``clip`` is by the recording, as it is of a user's file.
    """

    name: str
    speaker: int
    held_out: bool
    frames: int
    read: Callable[[], np.ndarray]
    label: int = 0
    targets: tuple[int, ...] | None = None
    audio: Callable[[], np.ndarray] | None = None
    recording: str | None = None
    transcribed: bool = True
    whole: Callable[[], np.ndarray] | None = None
    whole_audio: Callable[[], np.ndarray] | None = None


class Clips(Dataset[Sample]):
    """Labelled clips, normalized.

    Args:
        clips: The clips.
        normalizer: How they are normalized.
    """

    def __init__(self, clips: Sequence[Clip], normalizer: Normalizer) -> None:
        self.clips = clips
        self.normalizer = normalizer

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Sample:
        clip = self.clips[index]
        sample = self.unlabelled(clip)
        if clip.targets is None:
            sample["label"] = torch.tensor(clip.label)
        else:
            sample["targets"] = torch.tensor(clip.targets, dtype=torch.int64)
        return sample

    def unlabelled(self, clip: Clip) -> Sample:
        """What is seen and heard of a clip, and who speaks; never what is said."""
        video = self.normalizer.video(clip.read(), clip.speaker, clip.whole)
        sample: Sample = {"video": torch.from_numpy(video), "speaker": torch.tensor(clip.speaker)}
        if clip.audio is not None:
            audio = self.normalizer.audio(clip.audio(), clip.speaker, clip.whole_audio)
            sample["audio"] = torch.from_numpy(audio)
        return sample


class PairedClips(Clips):
    """Labelled source clips, each with an unlabelled clip of a target speaker.

    The target clips come from endlessly repeated shuffles, so an epoch is one pass over the
    source however few they are. Which one goes with a source clip depends on (seed, epoch,
    index) alone.

    Args:
        source: Labelled clips.
        target: Clips whose labels are not read.
        normalizer: How both are normalized.
        seed: Seed of the shuffles.
    """

    def __init__(
        self, source: Sequence[Clip], target: Sequence[Clip], normalizer: Normalizer, seed: int
    ) -> None:
        super().__init__(source, normalizer)
        self.target = target
        self.seed = seed
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        """Set by the loader before an epoch; worker processes read it."""
        self._shuffle: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def partner(self, index: int) -> int:
        """Index of the target clip that goes with a source clip in this epoch."""
        turn, place = divmod(int(self.epoch) * len(self) + index, len(self.target))
        if self._shuffle[0] != turn:
            random = np.random.default_rng([self.seed, turn])
            self._shuffle = turn, random.permutation(len(self.target))
        return int(self._shuffle[1][place])

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        sample["target"] = self.unlabelled(self.target[self.partner(index)])
        return sample


class ClipLoader(ResumableLoader):
    """A loader that tells `PairedClips` the epoch."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        assert isinstance(self.sampler, EpochSampler)
        if isinstance(self.dataset, PairedClips):
            self.dataset.epoch.fill_(self.sampler.epoch)
        yield from super().__iter__()


def collate(samples: Sequence[Mapping[str, Any]]) -> Batch:
    """Pad what has a length, stack the rest; see the head of this module."""
    batch: Batch = {}  # the video first: it is what `zoo export` compares on
    for key, lengths in (
        ("video", "lengths"),
        ("audio", "audio_lengths"),
        ("targets", "target_lengths"),
    ):
        if key in samples[0]:
            arrays: list[Tensor] = [sample[key] for sample in samples]
            batch[key] = pad_sequence(arrays, batch_first=True)
            batch[lengths] = torch.tensor([len(array) for array in arrays])
    batch["speaker"] = torch.stack([sample["speaker"] for sample in samples])
    if "label" in samples[0]:
        batch["label"] = torch.stack([sample["label"] for sample in samples])
    if "target" in samples[0]:
        batch["target"] = collate([sample["target"] for sample in samples])
    return batch
