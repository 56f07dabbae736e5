"""The data `noisy-tv`: two rooms, in one of which there is something to learn."""

from __future__ import annotations

import numpy as np

from zoo.plugin import Facts, NumberedSteps, at_least

SIDE, BITS, ACTIONS = 5, 16, 4
LEARNABLE, CORRIDOR, NOISE = 0, 1, 2
"""The places: a room to be learnt, the way between, and a room of noise."""
_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))


class TwoRooms:
    """Two rooms of 5 x 5 places, joined in the middle by one place.

    With every step 16 bits are shown. In the left room and between they are drawn once for each
    place and action, and always the same then; in the right room they are drawn anew each time.

    Args:
        seed: Of the bits that stay.
    """

    width = 2 * SIDE + 1
    states = 2 * SIDE * SIDE + 1

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng([1991, seed])
        self._fixed = random.integers(0, 2, (self.states, ACTIONS, BITS)).astype(np.float64)
        self.places = [
            (row, column)
            for row in range(SIDE)
            for column in range(self.width)
            if column != SIDE or row == SIDE // 2
        ]
        self._numbers = {place: number for number, place in enumerate(self.places)}
        self.start = self._numbers[SIDE // 2, SIDE]
        self.rooms = np.array(
            [int(column > SIDE) + int(column >= SIDE) for _, column in self.places]
        )
        self._after = np.array(
            [[self._moved(place, move) for move in _MOVES] for place in self.places]
        )

    def _moved(self, place: tuple[int, int], move: tuple[int, int]) -> int:
        new = (place[0] + move[0], place[1] + move[1])
        return self._numbers.get(new, self._numbers[place])

    def step(self, state: int, action: int, random: np.random.Generator) -> tuple[int, np.ndarray]:
        """The next place, and the bits that are shown, float64 (16,).

        Args:
            state: The number of a place.
            action: Up, down, left or right.
            random: Of the noise.
        """
        after = int(self._after[state, action])
        if self.rooms[after] == NOISE:
            return after, random.integers(0, 2, BITS).astype(np.float64)
        return after, self._fixed[state, action]


class NoisyTV(NumberedSteps):
    """Steps of an agent that is curious, in two rooms.

    A batch is the number of a stretch of steps.

    Args:
        steps: Of the agent, in all.
        stretch: Of them, in a batch.
        seed: Of the room's bits, the noise and the agent.

    Raises:
        UsageError: an argument is out of its range.
    """

    conformance_exempt = {  # noqa: RUF012  # read, never changed
        "seed-decides-order": "a batch is a number: the seed is that of the agent and its world"
    }

    def __init__(self, steps: int = 20_000, stretch: int = 200, seed: int = 0) -> None:
        at_least("steps", steps, 1)
        at_least("stretch", stretch, 1)
        super().__init__(-(-steps // stretch), 0, 1, seed)
        self.stretch = stretch

    @property
    def facts(self) -> Facts:
        """``states``, ``num_actions`` and ``bits`` of the rooms."""
        return {"states": TwoRooms.states, "num_actions": ACTIONS, "bits": BITS}
