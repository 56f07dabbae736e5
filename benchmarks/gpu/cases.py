"""The recipes that are tried, as small as they still mean something, and how one is run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import Callback

from gpu.record import ACCELERATOR, LeftOut
from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.runs.run import Run
from zoo.training.train import fit, prepare_data

HERE = {"trainer.accelerator": ACCELERATOR, "trainer.enable_progress_bar": False}
"""Overrides of every run: nothing is left to ``auto``."""
QUICK = {
    **HERE,
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 3,
    "trainer.limit_val_batches": 1,
    "trainer.limit_test_batches": 1,
}


class Case(NamedTuple):
    """A recipe with overrides.

    Attributes:
        recipe: Its name.
        overrides: Dotted keys to values.
        needs: The folder in ``$ZOO_DATA`` that its data are read from; empty for none.
    """

    recipe: str
    overrides: Mapping[str, Any] = {}
    needs: str = ""


_MCDNN = {"model.columns_per_preprocessing": 1, "data.train_per_class": 20, "data.batch_size": 16}
_UDRL = {
    "data.warmup_episodes": 6,
    "data.episodes_per_iteration": 3,
    "data.updates_per_iteration": 3,
    "data.eval_episodes": 3,
    "data.iterations_per_epoch": 2,
    "data.max_episode_steps": 40,
}
_HPG = {"data.eval_episodes": 8}
_PHANTOM = "segmentation/pyramid-lstm-phantom"
_MOUTHS = "lipreading/lipreader-talking-mouths"
_FUSION = "lipreading/av-fusion-talking-mouths"

CASES = {
    "mpcnn": Case("vision/mpcnn-digits"),
    "mlp": Case("vision/mlp-mnist", {"data.train_per_class": 20}, "mnist"),
    "mcdnn-stacked": Case("vision/mcdnn-mnist", {**_MCDNN, "model.execution": "stacked"}, "mnist"),
    "mcdnn-loop": Case(
        "vision/mcdnn-mnist", {**_MCDNN, "model.execution": "one-after-the-other"}, "mnist"
    ),
    "mcdnn-contrast": Case(
        "vision/mcdnn-gtsrb",
        {**_MCDNN, "model.execution": "stacked", "data.train_per_class": 4},
        "gtsrb",
    ),
    "timm": Case("vision/timm-image-folder", {"data.name": "digits", "data.batch_size": 16}),
    "pyramid-grouped": Case(_PHANTOM, {"model.strategy": "grouped"}),
    "pyramid-fused": Case(_PHANTOM, {"model.strategy": "fused"}),
    "pyramid-graphed": Case(_PHANTOM, {"model.strategy": "graphed"}),
    "pyramid-checkpoint": Case(_PHANTOM, {"model.checkpoint": True}),
    "pyramid-paired": Case(_PHANTOM, {"model.strategy": "paired"}),
    "pyramid-hoisted": Case(_PHANTOM, {"model.strategy": "hoisted"}),
    "pyramid-dense": Case(_PHANTOM, {"model.strategy": "dense"}),
    "pyramid-loop": Case(_PHANTOM, {"model.strategy": "loop"}),
    "pyramid-hippocampus": Case("segmentation/pyramid-lstm-hippocampus", {}, "decathlon"),
    "md-lstm": Case(
        "segmentation/md-lstm-isbi2012",
        {"data.patch_size": [64, 64], "trainer.max_steps": 3},
        "isbi2012",
    ),
    "monai-unet": Case("segmentation/monai-unet-hippocampus", {}, "decathlon"),
    "swin": Case(
        _PHANTOM,
        {
            "model.name": "monai/SwinUNETR",
            "model.network_arguments": {"feature_size": 12},
            "data.size": [64, 40, 40],
            "data.patch_size": [64, 32, 32],  # of which 2x1x1 remain at the bottom of the net
        },
    ),
    "lipreader": Case(_MOUTHS),
    "lipreader-bidirectional": Case(_MOUTHS, {"model.bidirectional": True}),
    "lipreader-adversarial": Case(
        _MOUTHS,
        {"model.adversary_weight": 0.1, "data.target": True, "data.split": "leave-out:m1"},
    ),
    "ctc": Case("lipreading/lipreader-ctc-talking-mouths"),
    "fusion": Case(_FUSION),
    "fusion-gated": Case(_FUSION, {"model.fusion": "gated"}),
    "udrl": Case("udrl/cartpole", _UDRL),
    "udrl-lunarlander": Case("udrl/lunarlander", _UDRL),
    "hpg": Case("hpg/bitflip8", _HPG),
    "hpg-rooms": Case("hpg/four-rooms", _HPG),
}


def experiment(name: str, overrides: Mapping[str, Any] | None = None) -> Experiment:
    """A case, resolved.

    Args:
        name: Of the case.
        overrides: Beside those of the case, which come after them.

    Raises:
        LeftOut: its data were not carried to this machine.
    """
    case = CASES[name]
    require_data(case.needs)
    return resolve(override(read_recipe(case.recipe), {**(overrides or {}), **case.overrides}))


def require_data(folder: str) -> None:
    """Data that a measurement needs.

    Raises:
        LeftOut: ``$ZOO_DATA`` does not have the folder.
    """
    if folder and not (Path(os.environ.get("ZOO_DATA", "data")) / folder).is_dir():
        raise LeftOut(f"{folder} was not packed")


def run(experiment: Experiment, out: Path, callbacks: Sequence[Callback] = ()) -> Run:
    """Train as ``zoo train`` does, with callbacks that measure.

    Args:
        experiment: As ``experiment`` gives it.
        out: The run folder, which does not exist yet.
        callbacks: Beside those of the recipe.
    """
    seed_everything(experiment.recipe.seed, workers=True, verbose=False)
    data, facts = prepare_data(experiment)
    experiment = experiment.with_facts(facts)
    return fit(experiment, experiment.build_model(), data, out=out, callbacks=callbacks)
