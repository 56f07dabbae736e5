"""A world as numbers: what a model reads of a step, and what it says of it."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional as F

from zoo_worldmodels.heads import OutcomeHead
from zoo_worldmodels.memories.base import Memory
from zoo_worldmodels.memories.recurrent import MDNLSTM


class WorldNumbers(LightningModule):
    """A module with a memory that reads standardized features and coded actions.

    Attributes:
        memory: What it remembers and expects.
        outcome: Says rewards and ends of what the memory remembers.
        vision: Encodes pictures; None where observations are numbers.
        mean: Of the observations' features, (F,).
        std: Of them, (F,).
        bounds: Of continuous actions, (2, A).
    """

    memory: Memory
    outcome: OutcomeHead
    vision: Any
    mean: Tensor
    std: Tensor
    bounds: Tensor

    def describe(self, features: Tensor, scales: Tensor | None = None) -> Tensor:
        """Features as the memory reads them, (..., F).

        Args:
            features: As the data give them, (..., F): observations, or means of codes.
            scales: Standard deviations of codes, which are drawn then.
        """
        if scales is not None:
            features = features + scales * torch.randn_like(scales)
        described: Tensor = (features - self.mean) / self.std
        return described

    @torch.no_grad()
    def seen(self, observations: Tensor) -> Tensor:
        """Features of observations as the world gives them, (N, F).

        Args:
            observations: (N, O), or pictures uint8 (N, C, H, W).
        """
        if self.vision is not None:
            return self.describe(self.vision.encode(observations.to(self.device))[0])
        return self.describe(observations.to(self.device, self.mean.dtype))

    def coded(self, actions: Tensor) -> Tensor:
        """Actions as the memory reads them, (..., A): one-hot, or from -1 to 1 by their bounds.

        Args:
            actions: int64 (...,), or (..., A).
        """
        if self.hparams["actions"] == "discrete":
            return F.one_hot(actions, self.hparams["num_actions"]).to(self.mean.dtype)
        low, high = self.bounds.to(actions.dtype)
        coded: Tensor = 2 * (actions - low) / (high - low) - 1
        return coded

    def outcomes(self, readout: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Rewards, in the world's own unit, and logits of the end, of steps: (...,) each.

        Args:
            readout: What the memory gives after the step, (..., R).
            action: As the memory reads it, (..., A).
        """
        reward, end = self._scaled_outcomes(readout, action)
        return reward * self.hparams["reward_scale"], end

    def _scaled_outcomes(
        self, readout: Tensor, action: Tensor, ends: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        published: Tensor | None = None
        if isinstance(self.memory, MDNLSTM) and self.memory.ends:
            published = self.memory.end_logits(readout)
        reward, end = self.outcome(readout, action, published if ends is None else ends)
        end = end if published is None else published
        if self.hparams["constant_reward"] is not None:
            reward = torch.full_like(
                end, self.hparams["constant_reward"] / self.hparams["reward_scale"]
            )
        if not self.hparams["has_ends"]:
            end = torch.full_like(end, -100.0)
        return reward, end
