"""``zoo finetune REF``: adapt a trained model to other data."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.output import work
from zoo.cli.overrides import read_overrides
from zoo.cli.train import report
from zoo.cli.train_seeds import add_options, is_of_seeds, options_of, report_seeds


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
    parser.add_argument("--seed", help="seed of everything random")
    add_options(parser)
    parser.add_argument(
        "--budget",
        action="append",
        metavar="UNIT=COUNT",
        help="end at a count of what the model or its data count, such as evaluations=5000",
    )
    parser.add_argument("--out", help="the run folder; runs/finetune/FROM-DATA/TIME by default")
    parser.add_argument("--resume", metavar="auto|RUN", help="continue an unfinished run")
    parser.add_argument(
        "--trust", action="store_true", help="let the recipe of a resumed run name such code"
    )
    parser.add_argument("--json", action="store_true", help="print the final metrics as JSON")
    parser.set_defaults(run=run, takes_overrides=True)


def run(options: argparse.Namespace) -> int:
    """Fine-tune, then print the metrics and what to do next."""
    overrides: dict[str, Any] = dict(read_overrides(options.rest))
    if options.seed is not None:
        overrides["seed"] = options.seed
    if options.budget:
        overrides["budget"] = ",".join(options.budget)
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
