"""What is measured of a world model: each step by itself, and long imaginations."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from zoo_worldmodels.horizon import Errors, drawn_beside, drawn_calibration, drawn_horizon
from zoo_worldmodels.memories.base import State
from zoo_worldmodels.world_numbers import WorldNumbers


class MeasuredWorld(WorldNumbers):
    """A model whose expectations are compared with what came, on segments of episodes."""

    monitor, monitor_mode = "val/nll", "min"
    plot_captions = {  # noqa: RUF012  # read, never changed
        "beside": "What happened in a segment of the test, and what the model imagines from the "
        "dotted line on, seeing nothing but the actions; standardized.",
        "horizon": "How far imagination is from what happens, the longer it sees nothing.",
        "calibration": "How much of what comes lies in the intervals that the model predicts; "
        "below the line it is too sure of itself.",
    }
    _errors: Errors
    _context, _imagined_steps = 10, 50

    def on_validation_epoch_start(self) -> None:
        self._errors = Errors(self._imagined_steps)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_errors("val")

    def on_test_epoch_start(self) -> None:
        self._errors = Errors(self._imagined_steps)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch)

    def on_test_epoch_end(self) -> None:
        self._log_errors("test")

    def _drawn_beside(self, batch: Any) -> Figure:
        """What came in the longest segment of a batch, and what is imagined once all but the
        actions is hidden."""
        row = int(batch["mask"].sum(1).argmax())
        features = self.describe(batch["features"][row : row + 1])
        actions = self.coded(batch["actions"][row : row + 1])
        steps = int(batch["mask"][row].sum())
        context = min(self._context, steps - 1)
        state = self.memory.begin(features[:, 0])
        for step in range(context):
            _, advanced = self.memory.expected(state, actions[:, step])
            state = self.memory.observe(advanced, features[:, step + 1])
        imagined = self.imagined(state, actions[:, context:steps])[0]
        return drawn_beside(features[0, : steps + 1].cpu(), imagined.cpu(), context)

    def _log_errors(self, stage: str) -> None:
        for name, value in self._errors.metrics(self.hparams["has_ends"]).items():
            self.log(f"{stage}/{name}", value, prog_bar=name == "nll")

    def _measure(self, batch: Any) -> None:
        """See a segment step by step, then imagine what lies behind its first ten steps."""
        features = self.describe(batch["features"])
        actions, mask = self.coded(batch["actions"]), batch["mask"]
        state = self.memory.begin(features[:, 0])
        losses, below, ends, rewards = [], [], [], []
        imagining: State | None = None
        for step in range(actions.shape[1]):
            if step == self._context:
                imagining = state
            outlook, advanced = self.memory.predict(state, actions[:, step])
            after = features[:, step + 1]
            losses.append(-outlook.log_prob(after))
            below.append(outlook.cdf(after))
            state = self.memory.observe(advanced, after)
            reward, end = self._scaled_outcomes(self.memory.readout(state), actions[:, step])
            ends.append(end)
            rewards.append(
                (reward - batch["rewards"][:, step] / self.hparams["reward_scale"]).square()
            )
        self._errors.add_one_step(torch.stack(losses, 1), torch.stack(below, 1), mask)
        self._errors.add_outcomes(
            torch.stack(ends, 1), batch["ends"], torch.stack(rewards, 1), mask
        )
        if imagining is not None:
            rest = slice(self._context, self._context + self._imagined_steps)
            found = self.imagined(imagining, actions[:, rest])
            squares = (found - features[:, 1:][:, rest]).square().mean(-1)
            short = self._imagined_steps - squares.shape[1]
            self._errors.add_imagined(F.pad(squares, (0, short)), F.pad(mask[:, rest], (0, short)))

    def imagined(self, state: State, actions: Tensor) -> Tensor:
        """Go on without seeing anything, always with what is expected: features (N, T, F).

        Args:
            state: After what was seen.
            actions: Coded, (N, T, A).
        """
        found = []
        for step in range(actions.shape[1]):
            features, state = self.memory.expected(state, actions[:, step])
            found.append(features)
            state = self.memory.observe(state, features)
        return torch.stack(found, 1)

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Error by horizon and calibration, of the whole test, and reality beside imagination.

        Args:
            batch: As of the test loader.
        """
        levels, inside = self._errors.calibration
        return {
            "beside": self._drawn_beside(batch),
            "horizon": drawn_horizon(self._errors.by_horizon),
            "calibration": drawn_calibration(levels.tolist(), inside.tolist()),
        }
