"""Ms. Pac-man with goals: be in a cell of a grid laid over the maze."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import MissingDependencyError, UsageError, install_hint
from zoo_hpg.environments.base import require_numbers

FREE = """\
####.#########.####
#..#.#.......#.#..#
###################
.#.#..#.....#..#.#.
##.#############.##
.#....#.....#....#.
.######.....######.
.#....#.....#....#.
##.####.....####.##
.#.#.#.#...#.#.#.#.
####.#.#####.#.####
#..#.###...###.#..#
#..#...#...#...#..#
###################
"""
"""The cells that can be entered: the grid of the authors' code."""


class MsPacman:
    """Games side by side, each in an emulator of its own.

    An action is held for 13 frames. An observation holds the frames 1, 5, 9 and 13 of them, each
    the brighter of it and the one before, in gray. Losing a life ends the episode. It begins once
    the game does, after going up, a pause and a random action, each of 13 frames.

    Raises:
        UsageError: at the first reset: ale-py is not installed.
    """

    tolerance = 0.5
    horizon = 28
    observation_shape: tuple[int, ...] = (168, 156, 4)
    goal_size = 2

    def __init__(self) -> None:
        self.action_names = ["up", "right", "left", "down"]
        rows = enumerate(FREE.splitlines())
        cells = [(row, column) for row, line in rows for column in range(19) if line[column] == "#"]
        self.goals = torch.tensor(cells).float()
        self.frames: list[list[np.ndarray]] | None = None
        """Where images (H, W, 3) of all games are added after each step, if anywhere."""
        self._games: list[_Game] = []

    def reset(
        self, episodes: int, random: torch.Generator, goals: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Begin; see ``Environment.reset``. Observations are uint8 (N, 168, 156, 4); achieved
        goals are not a number where she is not seen."""
        while len(self._games) < episodes:
            self._games.append(_Game())
        device = random.device
        count = (episodes,)
        if goals is None:
            drawn = torch.randint(len(self.goals), count, generator=random, device=device)
            goals = self.goals.to(device)[drawn]
        firsts = torch.randint(len(self.action_names), count, generator=random, device=device)
        for game, first in zip(self._games[:episodes], firsts.tolist(), strict=True):
            game.reset(first)
        return *self._look(episodes, device), goals

    def step(self, actions: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Hold an action in every game; see ``Environment.step``."""
        games = self._games[: len(actions)]
        died = [game.act(action) for game, action in zip(games, actions.tolist(), strict=True)]
        failed = torch.tensor(died, device=actions.device)
        return *self._look(len(actions), actions.device), failed

    def read_goal(self, numbers: list[float]) -> Tensor:
        """A goal (2,) from a row and a column of the grid.

        Raises:
            UsageError: there are not two numbers, or they are not a cell that can be entered.
        """
        require_numbers(numbers, 2, "it takes a row and a column of the grid, such as 2,5")
        goal = torch.tensor(numbers)
        if not (self.goals == goal).all(1).any():
            raise UsageError(
                f"the goal {numbers[0]:g},{numbers[1]:g} cannot be entered: rows go from 0 to 13, "
                "columns from 0 to 18, and walls are in between; 2,0 to 2,18 are free"
            )
        return goal

    def _look(self, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
        games = self._games[:count]
        if self.frames is not None:
            self.frames.append([game.frame() for game in games])
        seen = torch.from_numpy(np.stack([game.observation for game in games]))
        cells = torch.tensor([game.cell() for game in games])
        return seen.to(device), cells.to(device)


class _Game:
    """One emulator."""

    ACTIONS = (2, 3, 4, 5)  # up, right, left, down
    HELD = 13
    ROWS = tuple(range(0, 169, 12))
    COLUMNS = (0, 10, 20, 28, 36, 44, 52, 60, 68, 76, 80, 88, 96, 104, 112, 120, 128, 136, 144, 159)

    def __init__(self) -> None:
        if not find_spec("ale_py"):
            raise MissingDependencyError(
                "Ms. Pac-man needs ale-py, which is under the GPL: "
                + install_hint("zoo-hpg[atari]")
            )
        import ale_py
        from ale_py.roms import get_rom_path

        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
        self._ale: Any = ale_py.ALEInterface()
        self._ale.setInt("random_seed", 123)
        self._ale.setFloat("repeat_action_probability", 0.0)
        self._ale.loadROM(str(get_rom_path("ms_pacman")))
        self._before = self._crop()
        for _ in range(240):  # the game plays its tune
            self._ale.act(2)
        self._hold(2)
        self._start = self._ale.cloneState()
        self.observation = np.zeros((168, 156, 4), dtype=np.uint8)

    def reset(self, first: int) -> None:
        """Begin again, with that first action."""
        self._ale.restoreState(self._start)
        self._hold(0)
        self.act(first)

    def act(self, action: int) -> bool:
        """Hold an action; whether a life was lost."""
        lives = self._ale.lives()
        self._hold(self.ACTIONS[action])
        return bool(self._ale.lives() < lives or self._ale.game_over())

    def frame(self) -> np.ndarray:
        """The screen, uint8 (210, 160, 3)."""
        frame: np.ndarray = self._ale.getScreenRGB()
        return frame

    def cell(self) -> tuple[float, float]:
        """The cell with most of her color, or the first that is mostly of it."""
        gray = self._ale.getScreenGrayscale()
        hers = ((gray > 160) & (gray < 170)).astype(np.int64)
        counts = np.add.reduceat(hers[: self.ROWS[-1]], self.ROWS[:-1], axis=0)
        counts = np.add.reduceat(counts[:, : self.COLUMNS[-1]], self.COLUMNS[:-1], axis=1)
        if not counts.any():
            return float("nan"), float("nan")
        mostly = counts / (12 * np.diff(self.COLUMNS)) > 0.4
        index = np.argmax(mostly) if mostly.any() else np.argmax(counts)
        row, column = np.unravel_index(index, counts.shape)
        return float(row), float(column)

    def _hold(self, action: int) -> None:
        seen = []
        for frame in range(self.HELD):
            self._ale.act(action)
            if frame % 4 == 0:
                now = self._crop()
                brighter = np.maximum(now, self._before).astype(np.float32)
                seen.append(brighter @ np.array([0.299, 0.587, 0.114], dtype=np.float32))
                self._before = now
            elif frame % 4 == 3:
                self._before = self._crop()
        self.observation = np.stack(seen, 2).astype(np.uint8)

    def _crop(self) -> np.ndarray:
        return self.frame()[2:170, 2:-2]
