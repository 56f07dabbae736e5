"""``zoo finetune REF``: adapt a trained model to other data."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.output import work
from zoo.cli.train import report
from zoo.cli.train_seeds import add_options, is_of_seeds, options_of, report_seeds
from zoo.cli.training_options import add_folder, add_overrides, add_trust_and_json, overrides_of


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "finetune",
        help="adapt a trained model to other data",
        usage="zoo finetune REF --data NAME [--data.KEY VALUE] [--model.KEY VALUE] ...",
        description="Start from a trained model: a new head for the new data's classes, the rest "
        "kept and reported. The settings are those that the model was trained with, unless "
        "overridden.",
    )
    parser.add_argument("reference", help="a run, a bundle, a checkpoint's name, hf:// or https://")
    parser.add_argument("--data", help="the dataset to train on; the model's own by default")
    parser.add_argument(
        "--freeze",
        choices=("none", "backbone"),
        default="none",
        help="backbone: train the head alone (default: none)",
    )
    parser.add_argument(
        "--unfreeze-at-epoch",
        type=int,
        metavar="N",
        help="train the frozen part too from epoch N on",
    )
    parser.add_argument(
        "--lr-backbone", type=float, metavar="LR", help="learning rate of all but the head"
    )
    add_overrides(parser, budget="end")
    add_options(parser)
    add_folder(
        parser,
        out="the run folder; runs/finetune/FROM-DATA/TIME by default",
        resume="continue an unfinished run",
    )
    add_trust_and_json(
        parser,
        json="print the final metrics as JSON",
        trust="let the recipe of a resumed run name such code",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fine-tune, then print the metrics and what to do next."""
    overrides = overrides_of(options)
    how = {name: getattr(options, name) for name in ("freeze", "unfreeze_at_epoch", "lr_backbone")}
    if is_of_seeds(options):
        from zoo.experiments.seeds import finetune_seeds

        done = finetune_seeds(
            options.reference,
            options.seeds,
            options.data,
            overrides,
            **how,
            **options_of(options),
        )
        return report_seeds(done, options.json)
    from zoo.io.rank_zero import is_rank_zero
    from zoo.training.finetune import finetune

    with work(options.json):
        finished = finetune(
            options.reference,
            options.data,
            overrides,
            **how,
            out=options.out,
            resume=options.resume,
            trust=options.trust,
        )
    if is_rank_zero():
        report(finished, options.json)
    return 0
