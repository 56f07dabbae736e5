"""What every recurrent model of the world offers.

Features are the numbers in which a world is described: a standardized observation, or the code of a
picture. A state is what the model knows after having seen features; it is a tuple of tensors with
the batch first.

    state = memory.begin(x_0)
    for each step:
      outlook, advanced = memory.predict(state, action)   # where the world is real: a Mixture
      state = memory.observe(advanced, x)                 # over the next features, and what came
      x, state = memory.imagine(state, action)            # where it is dreamt
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from zoo_worldmodels.mixtures import Mixture

State = tuple[Tensor, ...]


class Memory(nn.Module, ABC):
    """Base of the models.

    Attributes:
        features: Numbers that describe the world.
        actions: Numbers that an action is given as.
        readout_size: Numbers that ``readout`` gives.
        extra_size: Numbers that ``extra`` gives.
    """

    features: int
    actions: int
    readout_size: int
    extra_size: int = 0

    @abstractmethod
    def begin(self, features: Tensor) -> State:
        """The state after the first features (N, F) of an episode."""

    @abstractmethod
    def predict(self, state: State, action: Tensor) -> tuple[Mixture, State]:
        """What follows an action.

        Args:
            state: Of N worlds.
            action: (N, A).

        Returns:
            The mixture over the next features (N, F), and the state on the way to them, which
            ``observe`` completes.
        """

    @abstractmethod
    def observe(self, advanced: State, features: Tensor) -> State:
        """The state after having seen the next features (N, F)."""

    def imagine(
        self,
        state: State,
        action: Tensor,
        random: torch.Generator | None = None,
        temperature: float | Tensor = 1.0,
        copies: int = 1,
        limits: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """A step in which the next features (N, F) are drawn, and the state after them.

        Args:
            state: Of N worlds.
            action: (N, A).
            random: As of ``Mixture.sample``, as what follows.
            temperature: From 0; of all, or of each, (N,).
            copies: Of the chances.
            limits: The least and the greatest that features may be, (2, F); none without.
        """
        outlook, advanced = self.predict(state, action)
        features = limited(outlook.sample(random, temperature, copies), limits)
        return features, self.observe(advanced, features)

    def expected(self, state: State, action: Tensor) -> tuple[Tensor, State]:
        """The mean of the outlook (N, F), without any chance, and the state on the way to it."""
        outlook, advanced = self.predict(state, action)
        return outlook.mean, advanced

    @abstractmethod
    def readout(self, state: State) -> Tensor:
        """What heads and controllers read of a state: (N, readout_size), the features first."""

    def extra(self, state: State) -> Tensor:
        """What a controller may read besides, (N, extra_size): the cells of an LSTM."""
        return state[0].new_zeros(len(state[0]), 0)

    @abstractmethod
    def losses(self, seen: Tensor, actions: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What training minimizes, for each step, and what the heads read after each.

        Args:
            seen: Features before each step (N, T, F), to which noise may have been added.
            actions: (N, T, A).
            target: Features after each step (N, T, F).

        Returns:
            Losses (N, T), and the readout after each step (N, T, readout_size).
        """


def limited(features: Tensor, limits: Tensor | None) -> Tensor:
    """Features (N, F) within limits (2, F)."""
    return features if limits is None else features.clamp(limits[0], limits[1])
