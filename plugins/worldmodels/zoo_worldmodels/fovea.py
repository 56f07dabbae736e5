"""A controller that learns by gradients through its model where to look next.

The whole learning loop. An iteration is a training batch.

    M(x_t, a_t) -> prediction of x_{t+1}, what the fovea sees after a move     WorldNet
    C(x_t, state) -> move a_t                                                  ControlNet
    x* = what the fovea sees on a target                                       fovea_scenes.py
    for each iteration:
      put foveas anywhere in new pictures                                      fovea_scenes.py
      for each move:                                                           fovea.py  _explore
        the fovea makes C's move, with noise, or sometimes a random one
        x_{t+1} is what it really sees; its gradient is that of M(x_t, a_t)
        pain += |x* - x_{t+1}|^2 in the middle, and in the sum of each level     pain
      a step of Adam on C alone: the pain's gradient flows through M into all moves
      for each of model_updates: a step of Adam on |x_{t+1} - M(x_t, a_t)|^2

Schmidhuber, Huber: Learning to generate artificial fovea trajectories for target detection,
International Journal of Neural Systems 2, 1991, where the pain is that after the last move. Nobody
tells the path, and the pictures are not differentiated. Here C has gates (Cho et al.,
arXiv:1406.1078), M's units multiply, every move counts, and moves are along two axes, without the
rotation of 1991.

The middle alone teaches no way: its gradient is nothing where the target is beyond it, and a target
near its rim pains more than none, by one field that is bright and should not be and one that should
be and is not. The sum of a level, with weights that fall from its center, differs from the wanted
one the less the nearer the target is, as far as the level sees.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from zoo.plugin import above, at_least, within
from zoo_rl.seeding import generator
from zoo_worldmodels.fovea_pictures import drawn_distances, drawn_paths, save_fovea_gif
from zoo_worldmodels.fovea_scenes import FOUND, MOVES, Fovea, random_starts

_PLAYED = 3  # what a generator of `play` is for


class WorldNet(nn.Module):
    """M: what the fovea sees after a move.

    Its units multiply: for a given move, what is seen next is a linear function of what is seen
    now, wherever something is to be seen.

    Args:
        inputs: Receptive fields.
        hidden: Units.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.view = nn.Linear(inputs, hidden)
        self.gates = nn.Sequential(
            nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, hidden)
        )
        self.output = nn.Linear(hidden, inputs)

    def forward(self, seen: Tensor, actions: Tensor) -> Tensor:
        """Predictions (N, inputs) for what is seen (N, inputs) and moves (N, 2)."""
        changes: Tensor = self.output(self.view(seen) * self.gates(actions))
        return seen + changes


class ControlNet(nn.Module):
    """C: a move, each of two numbers from -1 to 1, for what is seen and its own state.

    Args:
        inputs: Receptive fields.
        hidden: Units.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.recurrent = nn.GRUCell(inputs, hidden)
        self.output = nn.Linear(hidden, 2)

    def forward(self, seen: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Moves (N, 2) for what is seen (N, inputs), and the state (N, hidden)."""
        state = self.recurrent(seen, state)
        return self.output(state).tanh(), state


class FoveaController(LightningModule):
    """The controller C that moves a fovea, and the model M through which it learns.

    Args:
        inputs: Receptive fields. Filled in from the data.
        fine: How many of them, the first, are to see the target. Filled in from the data.
        model_hidden: Units of M.
        controller_hidden: Units of C.
        pictures: Of an iteration, each with one start.
        noise: Standard deviation of the noise on C's moves.
        random_share: Part of the moves that are random instead.
        model_first: Iterations in which M alone learns, of random moves.
        model_updates: Updates of M in an iteration.
        model_lr: Learning rate of Adam, of M.
        lr: Learning rate of Adam, of C.
        clip: Norm that gradients are cut to.
        broad: Weight of the levels' sums in the pain, beside what the middle sees; 0 for none.

    Raises:
        UsageError: an argument is out of its range.
    """

    monitor, monitor_mode = "val/distance", "min"
    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "paths": "Ways of the fovea in pictures of the test, from the cross to the circle.",
        "distances": "How far the target is from the fovea's center after each move: half of the "
        "starts are below the line, nine of ten within the band.",
    }
    conformance_arguments = {  # noqa: RUF012
        "model_hidden": 8,
        "controller_hidden": 6,
        "pictures": 4,
        "model_first": 1,
        "model_updates": 1,
    }
    conformance_exempt = {  # noqa: RUF012
        "overfits-one-batch": "a batch is the number of an iteration, in which it moves itself",
    }

    wanted: Tensor
    scales: Tensor
    around: Tensor

    def __init__(
        self,
        inputs: int,
        fine: int,
        model_hidden: int = 256,
        controller_hidden: int = 64,
        pictures: int = 32,
        noise: float = 0.1,
        random_share: float = 0.2,
        model_first: int = 100,
        model_updates: int = 3,
        model_lr: float = 0.003,
        lr: float = 0.002,
        clip: float = 1.0,
        broad: float = 0.5,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name in ("pictures", "model_updates"):
            at_least(name, self.hparams[name], 1)
        at_least("model_first", model_first, 0)
        at_least("noise", noise, 0)
        within("random_share", random_share, 0, 1)
        above("model_lr", model_lr, 0)
        above("lr", lr, 0)
        above("clip", clip, 0)
        at_least("broad", broad, 0)
        self.automatic_optimization = False
        self.world = WorldNet(inputs, model_hidden)
        self.controller = ControlNet(inputs, controller_hidden)
        self.register_buffer("wanted", torch.zeros(inputs))
        # What a squared difference of a level's sum is multiplied by: they are of one size then.
        self.register_buffer("scales", torch.zeros(inputs // fine))
        self.register_buffer("around", falling(fine), persistent=False)
        self.counters = {"env_steps": 0}

    @property
    def example_input(self) -> Tensor:
        """Two sequences of three glances."""
        return torch.linspace(0, 1, 2 * 3 * self.hparams["inputs"]).view(2, 3, -1)

    def forward(self, seen: Tensor) -> Tensor:
        """Moves (N, T, 2) of C for what is seen (N, T, inputs) from the beginning."""
        moves, state = [], None
        for step in range(seen.shape[1]):
            move, state = self.controller(seen[:, step], state)
            moves.append(move)
        return torch.stack(moves, 1)

    def real_inputs(self) -> Tensor:
        """Glances of a fovea that C moves: (4, 6, inputs)."""
        return self._followed(random_starts(4, generator(1)), 5)[1]

    # Training

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(self.world.parameters(), self.hparams["model_lr"]),
            torch.optim.Adam(self.controller.parameters(), self.hparams["lr"]),
        ]

    def on_fit_start(self) -> None:
        self.wanted.copy_(self._data.wanted())
        away = self._data.anywhere().to(self.wanted) - self.wanted
        middle = away[:, : self.hparams["fine"]].square().mean()
        self.scales.copy_(middle / self._sums(away).square().mean(0))

    def _sums(self, seen: Tensor) -> Tensor:
        """Of each level the weighted sum, (N, levels), of what is seen (N, inputs)."""
        sums: Tensor = seen.unflatten(1, (len(self.scales), -1)) @ self.around
        return sums

    @property
    def _data(self) -> Any:
        return self.trainer.datamodule  # type: ignore[attr-defined]

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        iteration = int(batch)
        random = generator(self._data.seed, iteration)
        alone = iteration < self.hparams["model_first"]
        pain, before, moves, after = self._explore(random, 1.0 if alone else None)
        of_model, of_controller = self.optimizers()  # type: ignore[attr-defined]
        if not alone:
            self._update(of_controller, self.controller, pain)
        for _ in range(self.hparams["model_updates"]):
            loss = (self.world(before, moves) - after).square().mean()
            self._update(of_model, self.world, loss)
        self.counters["env_steps"] += len(moves)
        self.log("train/model_loss", loss.detach(), batch_size=1)
        self.log("train/pain", pain.detach(), batch_size=1)

    def _update(self, optimizer: Any, net: nn.Module, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=list(net.parameters()))
        clip_grad_norm_(net.parameters(), self.hparams["clip"])
        optimizer.step()

    def _explore(
        self, random: torch.Generator, share: float | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Move foveas over new pictures.

        Args:
            random: Of pictures, starts, noise and random moves.
            share: Part of the moves that are random; the constructor's without.

        Returns:
            The mean pain, with a gradient through M; and of all moves what was seen before, the
            moves and what was seen after, without one.
        """
        share = self.hparams["random_share"] if share is None else share
        count = self.hparams["pictures"]
        fovea = random_starts(count, random)
        seen, state = fovea.look().to(self.device), None
        pains, before, moves, after = [], [], [], []
        for _ in range(self._data.moves):
            move, state = self.controller(seen, state)
            noise = self.hparams["noise"] * torch.randn(count, 2, generator=random)
            elsewhere = 2 * torch.rand(count, 2, generator=random) - 1
            astray = torch.rand(count, 1, generator=random) < share
            move = torch.where(
                astray.to(self.device), elsewhere.to(self.device), move + noise.to(self.device)
            ).clamp(-1, 1)
            before.append(seen.detach())
            moves.append(move.detach())
            after.append(fovea.move(move.detach().cpu()).to(self.device))
            seen = real_with_gradient(after[-1], self.world(seen, move))
            pains.append(self.pain(seen).mean())
        return torch.stack(pains).mean(), torch.cat(before), torch.cat(moves), torch.cat(after)

    def pain(self, seen: Tensor) -> Tensor:
        """How far what is seen (N, inputs) is from a target, in the middle and as the sum of each
        level: (N,)."""
        away = seen - self.wanted
        middle = away[:, : self.hparams["fine"]].square().mean(1)
        sums = (self.scales * self._sums(away).square()).sum(1)
        total: Tensor = middle + self.hparams["broad"] * sums
        return total

    # Evaluation

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("val", int(batch))

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("test", int(batch))

    def _measure(self, stage: str, number: int) -> None:
        fovea = self._data.starts(stage, number)
        places, _ = self._followed(fovea, self._data.moves)
        away = (places - fovea.scenes.targets[:, None]).norm(dim=2)
        count = len(away)
        found = (away[:, -1] <= FOUND).float().mean()
        self.log(f"{stage}/solved", found, prog_bar=True, batch_size=count)
        self.log(f"{stage}/distance", away[:, -1].mean(), batch_size=count)
        # Moves until the target is within the fovea's middle; all of them where it never is.
        astray = (away > FOUND).int().cummin(1).values
        never = astray.sum(1).clamp(max=self._data.moves)
        self.log(f"{stage}/steps", never.float().mean(), batch_size=count)

    @torch.no_grad()
    def _followed(self, fovea: Fovea, moves: int) -> tuple[Tensor, Tensor]:
        """C's way, without noise: places (N, T + 1, 2) and what is seen (N, T + 1, inputs)."""
        places, seen, state = [fovea.places], [fovea.look()], None
        for _ in range(moves):
            move, state = self.controller(seen[-1].to(self.device), state)
            seen.append(fovea.move(move.float().cpu()))
            places.append(fovea.places)
        return torch.stack(places, 1), torch.stack(seen, 1).to(self.device)

    # Plots and prediction

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Ways of the fovea, and how far it is from the target.

        Args:
            batch: As of the test loader.
        """
        fovea = random_starts(100, generator(2, 0))
        places, _ = self._followed(fovea, MOVES)
        return {
            "paths": drawn_paths(fovea.scenes, places),
            "distances": drawn_distances((places - fovea.scenes.targets[:, None]).norm(dim=2)),
        }

    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 5,
        moves: int = MOVES,
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Find targets in new pictures, and record the ways.

        Args:
            folder: Where a picture of all ways, and a GIF of each, go; None for none.
            episodes: How many, each in a picture of its own.
            moves: Of each.
            record_video: Write the GIFs.
            seed: Another seed gives other pictures and starts.

        Returns:
            A row an episode: how far the target is from the fovea's center at the start and at the
            end, in pixels, and whether it is found.

        Raises:
            UsageError: a number is out of its range.
        """
        from zoo.plugin import plots

        at_least("--episodes", episodes, 1)
        at_least("--moves", moves, 1)
        fovea = random_starts(episodes, generator(seed, _PLAYED))
        first = fovea.distances
        places, seen = self._followed(fovea, moves)
        if folder is not None:
            plots.save(drawn_paths(fovea.scenes, places), folder / "paths.png")
        if folder is not None and record_video:
            for number, path in enumerate(places):
                save_fovea_gif(
                    fovea.scenes.pictures[number],
                    path,
                    seen[number].cpu(),
                    folder / f"episode-{number:02d}.gif",
                )
        return [
            {
                "episode": number,
                "start_distance": round(start, 2),
                "distance": round(end, 2),
                "found": end <= FOUND,
            }
            for number, (start, end) in enumerate(
                zip(first.tolist(), fovea.distances.tolist(), strict=True)
            )
        ]


def falling(fields: int) -> Tensor:
    """Weights of a level's fields, a square of them, that fall from its center to its rim:
    (fields,), with a sum of 1."""
    across = round(fields**0.5)
    row = 1 + across // 2 - (torch.arange(across) - across // 2).abs().float()
    square: Tensor = (row[:, None] * row).flatten()
    return square / square.sum()


def real_with_gradient(real: Tensor, predicted: Tensor) -> Tensor:
    """What really came, with the gradient of its prediction: of one shape."""
    return real + (predicted - predicted.detach())
