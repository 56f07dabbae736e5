"""Rooms of 11x11 cells: four moves, the goal is a cell."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_hpg.environments.base import require_numbers

MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
SIZE = 11


class Rooms:
    """A grid of free cells; a move into a wall or out of the grid leaves the position as it is.

    An observation is the position, row and column from the top left, counted from 0. Starts are
    drawn evenly, goals from all other free cells.

    Args:
        free: Bool (rows, columns), True for cells that can be entered.
        starts: Cells (row, column) where episodes begin.
        slip: Probability of an action drawn evenly instead of the one chosen.
    """

    tolerance = 0.5
    horizon = 32
    observation_shape: tuple[int, ...] = (2,)
    goal_size = 2

    def __init__(self, free: Tensor, starts: list[tuple[int, int]], slip: float) -> None:
        self.free, self.slip = free, slip
        self.action_names = list(MOVES)
        rows, columns = free.shape
        self.cells = torch.cartesian_prod(torch.arange(rows), torch.arange(columns))
        self.starts = torch.tensor([row * columns + column for row, column in starts])
        walkable = free.flatten()
        self.goals = walkable.clone()
        self.goals[self.starts] = False
        self.goals = self.goals.nonzero()[:, 0]
        moved = (self.cells[:, None] + torch.tensor(list(MOVES.values()))).clamp(min=0)
        moved = torch.minimum(moved, torch.tensor([rows - 1, columns - 1]))
        moved = moved[..., 0] * columns + moved[..., 1]
        stay = torch.arange(len(walkable))[:, None].expand_as(moved)
        self.transitions = torch.where(walkable[moved], moved, stay)
        """int64 (cells, actions): the cell that a move from a cell leads to."""
        self._position = torch.zeros(0, dtype=torch.int64)

    def reset(
        self, episodes: int, random: torch.Generator, goals: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Begin; see ``Environment.reset``. Positions and goals are float32 (N, 2)."""
        device = random.device
        if self.cells.device != device:
            self.cells, self.starts = self.cells.to(device), self.starts.to(device)
            self.goals, self.transitions = self.goals.to(device), self.transitions.to(device)
        self._position = self._draw(self.starts, episodes, random)
        if goals is None:
            goals = self.cells[self._draw(self.goals, episodes, random)].float()
        here = self.cells[self._position].float()
        return here, here, goals

    def step(self, actions: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Move in every episode; see ``Environment.step``."""
        if self.slip:
            count, device = len(actions), random.device
            slips = torch.rand(count, generator=random, device=device) < self.slip
            others = torch.randint(len(MOVES), (count,), generator=random, device=device)
            actions = torch.where(slips, others, actions)
        self._position = self.transitions[self._position, actions]
        here = self.cells[self._position].float()
        return here, here, torch.zeros_like(actions, dtype=torch.bool)

    def read_goal(self, numbers: list[float]) -> Tensor:
        """A goal (2,) from a row and a column.

        Raises:
            UsageError: there are not two numbers, or they are no free cell.
        """
        rows, columns = self.free.shape
        require_numbers(numbers, 2, "it takes a row and a column, such as 3,7")
        row, column = numbers
        if row not in range(rows) or column not in range(columns):
            raise UsageError(
                f"the goal {row:g},{column:g} lies outside the room: rows go from 0 to "
                f"{rows - 1}, columns from 0 to {columns - 1}"
            )
        if not self.free[int(row), int(column)]:
            raise UsageError(f"the goal {row:g},{column:g} is a wall; choose a free cell")
        return torch.tensor(numbers)

    @staticmethod
    def _draw(choices: Tensor, count: int, random: torch.Generator) -> Tensor:
        picked = torch.randint(len(choices), (count,), generator=random, device=random.device)
        return choices[picked]


class EmptyRoom(Rooms):
    """A room without walls inside; episodes begin in the top left corner."""

    def __init__(self) -> None:
        super().__init__(torch.ones(SIZE, SIZE, dtype=torch.bool), [(0, 0)], slip=0.0)


class FourRooms(Rooms):
    """Four rooms with four doors; episodes begin in the four corners, every fifth action is
    random."""

    def __init__(self) -> None:
        free = torch.ones(SIZE, SIZE, dtype=torch.bool)
        free[:, 5] = False
        free[5, :5] = False
        free[6, 6:] = False
        for row, column in ((5, 1), (2, 5), (6, 8), (9, 5)):  # doors
            free[row, column] = True
        last = SIZE - 1
        super().__init__(free, [(0, 0), (0, last), (last, 0), (last, last)], slip=0.2)
