"""Fine-tune: a recipe made from a bundle and other data, trained as any other recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.bundles.bundle import read_bundle
from zoo.bundles.load import bundled_recipe, checked_arguments, rebuild
from zoo.errors import UsageError
from zoo.io.printable import safe_name
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.declarations import head_of, may_have_head, task_arguments
from zoo.recipes.experiment import with_current_names
from zoo.recipes.recipe import Recipe, make_recipe, override
from zoo.recipes.signatures import argument_names
from zoo.recipes.trust import bundle_settings
from zoo.registry.registry import registry
from zoo.runs.run import Run
from zoo.training.train import train


def finetune(
    reference: str | Path,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    freeze: str = "none",
    unfreeze_at_epoch: int | None = None,
    lr_backbone: float | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> Run:
    """Adapt a trained model to other data.

    Args:
        reference: The model to start from, as for ``zoo.load``.
        data: The registered dataset to train on; the bundle's own by default.
        overrides: Dotted keys to values, such as ``{"data.root": "photos"}``.
        freeze: ``backbone`` trains the new head alone, ``none`` everything.
        unfreeze_at_epoch: The epoch, counted from 0, from which a frozen backbone is trained too.
        lr_backbone: Learning rate of everything but the head; for models that have the
            constructor argument ``lr_backbone``.
        out: The run folder; ``runs/finetune/<from>-<data>/<time>`` by default.
        resume: ``"auto"`` or a run folder, as for ``zoo.train``.
        trust: Let a resumed run name code, as for ``zoo.train``; the bundle never may.

    Returns:
        The finished run; its recipe repeats it.

    Raises:
        UsageError: reference, data or overrides are wrong.
    """
    recipe = finetuning_recipe(reference, data, freeze, unfreeze_at_epoch, lr_backbone)
    return train(recipe, overrides, out=out, resume=resume, trust=trust)


def finetuning_recipe(
    reference: str | Path,
    data: str | None = None,
    freeze: str = "none",
    unfreeze_at_epoch: int | None = None,
    lr_backbone: float | None = None,
) -> Recipe:
    """The recipe that ``finetune`` trains: the bundle's model and settings, the new data.

    Raises:
        UsageError: there is no such bundle or dataset, or the model has no head or no
            ``lr_backbone``.
    """
    bundle = read_bundle(reference)
    found, saved = checked_arguments(bundle)
    model_class = registry().load(found.entry)
    if not may_have_head(model_class) and not head_of(rebuild(bundle)):
        raise UsageError(
            f"a {found.name!r} has no head that other data would replace, so it is not fine-tuned: "
            f"start another training from its weights with --init_from.reference {reference}"
        )
    names = argument_names(model_class, found.arguments)
    task = task_arguments(model_class)
    arguments = {k: v for k, v in saved.items() if k not in task}
    if lr_backbone is not None:
        if "lr_backbone" not in names:
            raise UsageError(
                f"the model {found.name!r} has one learning rate for all: omit --lr-backbone, "
                "or freeze its backbone"
            )
        arguments["lr_backbone"] = lr_backbone
    before = bundled_recipe(bundle)
    _, left_out = bundle_settings(bundle.recipe.get("trainer") or {})
    if left_out:
        rank_zero_print(
            f"of the Trainer settings of {before.source} these are not taken: "
            f"{', '.join(left_out)}; give your own by --trainer.KEY"
        )
    data = data or before.data_name
    init_from: dict[str, Any] = {"reference": str(reference), "freeze": freeze}
    if unfreeze_at_epoch is not None:
        init_from["unfreeze_at_epoch"] = unfreeze_at_epoch
    origin = safe_name(before.name.rpartition("/")[2])
    recipe = make_recipe(
        {
            "about": {
                "summary": f"{before.name} fine-tuned on {data}",
                "paper": before.about.get("paper", ""),
            },
            "seed": before.seed,
            "model": {"name": found.name, **arguments},
            "data": {"name": before.data_name, **before.data},
            "trainer": before.trainer,
            "init_from": init_from,
        },
        f"finetune/{origin}-{data}",
    )
    recipe = replace(recipe, source=before.source)
    return override(with_current_names(recipe), {"data.name": data})
