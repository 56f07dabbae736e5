"""The audiovisual network: a stream of images, a stream of sound, and how they are joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoo_lipreading.layers.frames import FrameLayers
from zoo_lipreading.layers.masking import masked_mean, placed_like
from zoo_lipreading.layers.recurrent import Recurrent
from zoo_lipreading.networks import FrameEncoder

STREAMS = ("video", "audio")
FUSIONS = ("early", "late", "gated")


def align(audio: Tensor, audio_lengths: Tensor, lengths: Tensor, frames: int) -> Tensor:
    """The sound beside each frame of the video: the feature vectors that begin in the first and
    in the second half of the frame's time, one after the other.

    The two streams are stretched over each other from their first frame to their last.

    Args:
        audio: (N, Ta, F), padded.
        audio_lengths: int64 (N,), feature vectors of each clip.
        lengths: int64 (N,), frames of each clip's video.
        frames: Frames of the padded video.

    Returns:
        (N, frames, 2 F), zero after each clip's end.
    """
    audio_lengths, lengths = placed_like(audio_lengths, audio), placed_like(lengths, audio)
    half = torch.arange(2 * frames, device=audio.device) + 0.5
    place = (half / 2 * (audio_lengths / lengths)[:, None]).floor().long()
    own = place < audio_lengths[:, None]
    place = place.minimum(audio_lengths[:, None] - 1)
    rows = torch.arange(len(audio), device=audio.device)[:, None]
    beside = audio[rows, place] * own[..., None].to(audio.dtype)
    return beside.reshape(len(audio), frames, -1)


class FusionNet(nn.Module):
    """Words from images and sound.

    Args:
        video: Arguments of ``FrameEncoder``.
        audio_size: Features of a vector of sound.
        audio_layers: Units of the feed-forward layers on the sound beside each frame.
        lstm: Units of each LSTM layer, of every stream.
        num_classes: Number of words.
        fusion: ``early``: the streams' features are joined before the LSTM; ``late``: each
            stream has an LSTM of its own and their logits are added; ``gated``: added with
            weights that depend on the clip; ``video`` or ``audio``: that stream alone.
        single: Whether each stream also classifies by itself where they are joined early.
        bidirectional: Also read clips backwards.
        activation: ``tanh`` or ``relu``.
        dropout: Rate after each layer.
    """

    def __init__(
        self,
        video: dict[str, Any],
        audio_size: int,
        audio_layers: Sequence[int],
        lstm: Sequence[int],
        num_classes: int,
        fusion: str,
        single: bool,
        bidirectional: bool,
        activation: str,
        dropout: float,
        lstm_dropout: float | None = None,
    ) -> None:
        super().__init__()
        self.fusion = fusion
        self.front = nn.ModuleDict()
        if fusion != "audio":
            self.front["video"] = FrameEncoder(**video)
        if fusion != "video":
            self.front["audio"] = FrameLayers(2 * audio_size, audio_layers, activation, dropout)
        widths = {name: cast("int", front.features) for name, front in self.front.items()}
        if fusion == "early":
            widths = {"fused": sum(widths.values()), **(widths if single else {})}
        layers = {
            name: Recurrent(width, lstm, bidirectional, dropout, lstm_dropout)
            for name, width in widths.items()
        }
        self.lstm = nn.ModuleDict(layers)
        self.head = nn.ModuleDict(
            {name: nn.Linear(layer.features, num_classes) for name, layer in layers.items()}
        )
        self.gate: nn.Linear | None = None
        if fusion == "gated":
            self.gate = nn.Linear(sum(layer.features for layer in layers.values()) + 1, 2)
        self.reset_gate()

    def reset_gate(self) -> None:
        """Begin as late fusion, both streams weighing the same."""
        if self.gate is not None:
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)

    def forward(
        self, video: Tensor, audio: Tensor, lengths: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Classify clips.

        Args:
            video: (N, T, H, W), normalized.
            audio: (N, T, 2 F), the sound beside each frame, see ``align``.
            lengths: int64 (N,), frames of each clip; None where all are T long.

        Returns:
            Logits (N, num_classes) under ``fused``, and under ``video`` and ``audio`` where a
            stream classifies by itself.
        """
        features: dict[str, Tensor] = {}
        if "video" in self.front:
            features["video"] = self.front["video"](video, lengths)[-1]
        if "audio" in self.front:
            features["audio"] = [audio, *self.front["audio"](audio)][-1]
        if "fused" in self.lstm:
            features["fused"] = torch.cat([features["video"], features["audio"]], dim=2)
        states = {name: lstm(features[name], lengths)[1] for name, lstm in self.lstm.items()}
        logits = {name: self.head[name](state) for name, state in states.items()}
        if "fused" not in logits:
            each = torch.stack(list(logits.values()), dim=1)
            if self.gate is not None:
                # How loud the features are tells noise from speech at once.
                power = masked_mean(audio.square().mean(dim=2, keepdim=True), lengths)
                beside = [*states.values(), power.clamp_min(1e-6).log()]
                each = each * 2 * self.gate(torch.cat(beside, dim=1)).softmax(dim=1)[..., None]
            logits["fused"] = each.sum(dim=1)
        return logits
