"""Dreams of a world model: it goes on with what it has drawn itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError, at_least, plots
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_worldmodels.horizon import drawn_dreams
from zoo_worldmodels.memories.base import State
from zoo_worldmodels.mixtures import drawn
from zoo_worldmodels.support import Support
from zoo_worldmodels.world_numbers import WorldNumbers


class DreamingWorld(WorldNumbers):
    """A model that can be lived in.

    Attributes:
        starts: Where dreams begin, first features of episodes of the training, (S, F).
        limits: The least and the greatest features of the training, (2, F).
        paid: Its least and its greatest reward, (2,).
        support: States of the log, by which dreams tell that they leave it; None where none were
            kept.
    """

    starts: Tensor
    limits: Tensor
    paid: Tensor
    support: Support | None

    def dream(
        self,
        state: State,
        action: Tensor,
        random: torch.Generator | None = None,
        temperature: float | Tensor = 1.0,
        copies: int = 1,
        draw_ends: bool = False,
        expect: bool = False,
    ) -> tuple[State, Tensor, Tensor]:
        """A dreamt step, in which neither features nor reward leave the range that the log has:
        beyond it the nets know nothing, and what they say grows without bounds.

        Args:
            state: Of N dreams.
            action: Coded, (N, A).
            random: Where chances are drawn from, on the CPU.
            temperature: From 0, where what is likeliest comes; 1 as learnt. Of all dreams, or of
                each, (N,).
            copies: As of ``Mixture.sample``.
            draw_ends: Draw ends by their probability, their greater weight in training
                (``end_weight``) taken back.
            expect: Return that probability in place of what is drawn by it, and the reward to be
                expected.

        Returns:
            The state after it, the rewards (N,), and whether it was the last step, bool (N,): where
            the end is likelier than not, its weight included, or drawn; or its probability, (N,).
        """
        _, after = self.memory.imagine(state, action, random, temperature, copies, self.limits)
        readout = self.memory.readout(after)
        reward, end = self.outcomes(readout, action)
        ends = end > 0
        if draw_ends:
            # Trained with a weight, the net gives an end that many times its odds.
            chance = (end - math.log(self.hparams["end_weight"])).sigmoid()
            if expect:
                ends = chance
                reward, _ = self._scaled_outcomes(readout, action, torch.zeros_like(end))
                last, _ = self._scaled_outcomes(readout, action, torch.ones_like(end))
                reward = reward + chance * (last - reward)
            else:
                ends = drawn(torch.rand, end.shape, random, copies).to(end) < chance
                reward, _ = self._scaled_outcomes(readout, action, ends.to(end))
            reward = reward * self.hparams["reward_scale"]
        return after, reward.clamp(self.paid[0], self.paid[1]), ends

    def halt_reward(self, halt: bool, given: float | None) -> float | None:
        """At which reward dreams end that leave the log; None where they go on.

        Args:
            halt: Whether they end.
            given: The reward; the least return of an episode of the log without.

        Raises:
            UsageError: they are to end, and no states of the log were kept.
        """
        if not halt:
            return None
        if self.support is None:
            raise UsageError(
                "the world model keeps no states of its log, so that its dreams cannot tell that "
                "they leave it: train it with --model.support 2000, or omit halt"
            )
        return float(self.support.worst) if given is None else given

    def halted(
        self, state: State, rewards: Tensor, ends: Tensor, halt_reward: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The outcome of a dreamt step where dreams end that leave the log.

        Args:
            state: After the step.
            rewards: Of it, (N,).
            ends: Whether it was the last anyway, bool (N,), or the probability of that.
            halt_reward: Of a step that leaves the log.

        Returns:
            Rewards, ends, and which dreams have left the log, (N,) each.
        """
        assert self.support is not None
        features = self.memory.readout(state)[:, : self.memory.features]
        left = self.support.left(features) & (ends < 1)
        over = torch.where(left, torch.ones_like(ends), ends)
        return rewards.masked_fill(left, halt_reward), over, left

    def begin_dreams(self, count: int, random: torch.Generator) -> State:
        """The state of dreams that begin as episodes of the training did."""
        chosen = torch.randint(len(self.starts), (count,), generator=random)
        return self.memory.begin(self.starts[chosen.to(self.starts.device)])

    @torch.no_grad()
    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 4,
        temperature: float = 1.0,
        max_steps: int = 200,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Dream of random actions.

        Args:
            folder: Where a drawing of the dreamt features goes, and a film of as many real
                episodes, each beside the dream of the same actions; None for none.
            episodes: How many dreams.
            temperature: From 0, where what is likeliest comes.
            max_steps: Steps after which a dream is cut.
            record_video: Write the films, where the model's environment is known.
            seed: Another seed gives other dreams.

        Returns:
            A row a dream: its return, its length and whether the model ended it.

        Raises:
            UsageError: a number is out of its range.
        """
        at_least("--episodes", episodes, 1)
        at_least("--temperature", temperature, 0)
        at_least("--max-steps", max_steps, 1)
        random = generator(seed, 5)
        state = self.begin_dreams(episodes, random)
        returns, lengths = torch.zeros(episodes), torch.zeros(episodes, dtype=torch.int64)
        alive = torch.ones(episodes, dtype=torch.bool)
        path = []
        for _ in range(max_steps):
            path.append(self.memory.readout(state)[:, : self.memory.features].cpu())
            action = self.coded(self._random_actions(episodes, random))
            state, rewards, ends = self.dream(state, action, random, temperature)
            returns += rewards.cpu() * alive
            lengths += alive
            alive &= ~ends.cpu()
        if folder is not None:
            plots.save(drawn_dreams(torch.stack(path, 1), lengths), folder / "dreams.png")
        if folder is not None and record_video and self.hparams["environment"]:
            self._film(folder, episodes, temperature, max_steps, seed)
        return [
            {
                "episode": number,
                "return": round(float(returns[number]), 4),
                "length": int(lengths[number]),
                "ended": not bool(alive[number]),
            }
            for number in range(episodes)
        ]

    def _film(self, folder: Path, episodes: int, temperature: float, steps: int, seed: int) -> None:
        """Films of real episodes of random actions, each beside its dream."""
        from zoo_worldmodels.acting import real_world
        from zoo_worldmodels.beside import film

        random = generator(seed, 6)

        def act(seen: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            return np.asarray(self._random_actions(len(seen), random).cpu())

        cut = self.hparams["max_episode_steps"] or steps
        envs = real_world({**self.hparams, "max_episode_steps": min(cut, steps)}, 1)
        try:
            for number, each in enumerate(episode_seeds("test", episodes, seed)):
                path = folder / f"beside-{number:02d}.gif"
                film(self, rollout(envs, act, [each]), path, temperature, seed)
        finally:
            envs.close()

    def _random_actions(self, count: int, random: torch.Generator) -> Tensor:
        number = self.hparams["num_actions"]
        if self.hparams["actions"] == "discrete":
            return torch.randint(number, (count,), generator=random).to(self.device)
        low, high = (torch.tensor(self.hparams[name]) for name in ("action_low", "action_high"))
        drawn = torch.rand(count, number, generator=random)
        return (low + (high - low) * drawn).to(self.device)
