"""``zoo train RECIPE``: train, test and bundle."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from zoo.cli.output import show, work
from zoo.cli.train_seeds import add_options, is_of_seeds, options_of, report_seeds
from zoo.cli.training_options import (
    add_folder,
    add_overrides,
    add_recipe,
    add_trust_and_json,
    known_recipe,
    overrides_of,
)
from zoo.io.data_folder import data_folder
from zoo.io.stages import measured
from zoo.recipes.recipe import Recipe
from zoo.registry.registry import registry
from zoo.runs.next_commands import next_commands

if TYPE_CHECKING:
    from zoo.recipes.experiment import Experiment
    from zoo.runs.run import Run


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train what a recipe describes",
        usage="zoo train RECIPE [--model.KEY VALUE] [--data.KEY VALUE] [--trainer.KEY VALUE] ...",
        description="Train, test and bundle what a recipe describes. `zoo train RECIPE --help` "
        "lists the arguments of its model and dataset.",
        add_help=False,
    )
    add_recipe(parser, nargs="?")
    add_overrides(parser, budget="end")
    add_options(parser)
    add_folder(
        parser,
        out="the run folder; runs/RECIPE/TIME by default",
        resume="continue the newest unfinished run of the recipe, or the run in a folder; with "
        "--seeds, or where the folder is a group of seeds, those of them that are unfinished",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the resolved recipe and stop"
    )
    add_trust_and_json(parser, json="print the final metrics as JSON")
    parser.add_argument(
        "-h",
        "--help",
        action="store_true",
        help="show this, or with a RECIPE the arguments of its model and dataset",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Train, then print the metrics and what to do next."""
    if options.help and not options.recipe:
        options.parser.print_help()
        return 0
    if not options.recipe:
        options.parser.error("RECIPE is missing; `zoo list recipes` shows them")
    overrides = overrides_of(options)
    recipe, asked = known_recipe(options.recipe, overrides)

    if not options.help and is_of_seeds(options):
        from zoo.experiments.seeds import train_seeds

        done = train_seeds(options.recipe, options.seeds, overrides, **options_of(options))
        return report_seeds(done, options.json)

    from zoo.recipes.experiment import resolve
    from zoo.recipes.trust import refuse_untrusted

    if options.help:
        _describe(asked)
        return 0
    if options.print_config:
        if not options.trust:
            refuse_untrusted(asked)
        _print_config(resolve(asked))
        return 0

    from zoo.io.rank_zero import is_rank_zero
    from zoo.training.train import train

    with work(options.json):
        finished = train(
            recipe, overrides, out=options.out, resume=options.resume, trust=options.trust
        )
    if is_rank_zero():
        report(finished, options.json)
    return 0


def _print_config(experiment: Experiment) -> None:
    """The recipe; where its data choose arguments by what there is, with these."""
    from zoo.plugin.protocols import HasPlan, offers

    if offers(registry().load(experiment.dataset), HasPlan):
        data = experiment.build_data()
        with work(as_json=True):  # standard output is for the recipe
            data.prepare_data()
            experiment = experiment.with_plan(data)
    print(experiment.recipe.to_yaml(), end="")


def _describe(asked: Recipe) -> None:
    """Print the arguments of the recipe's model and dataset."""
    from zoo.recipes.experiment import describe_arguments

    print(describe_arguments(asked))
    if not registry().dataset(asked.data_name).embedded:
        print(f"\nWithout --data.root the data are read from {data_folder(asked.data_name)}.")
    print(
        "\n--trainer.KEY sets any argument of lightning.pytorch.Trainer, such as "
        "--trainer.max_epochs 3,\n--trainer.accelerator gpu, --trainer.precision bf16-mixed "
        "or --trainer.logger WandbLogger;\n--trainer.tf32 false leaves TensorFloat-32 out, "
        "--compile compiles the networks (docs/scaling.md).\n"
        "--seed, --seeds, --budget, --out, --resume, --print-config: see `zoo train --help`."
    )


def report(run: Run, as_json: bool) -> None:
    """Print the final metrics, the time, the run's folder, and what to do next."""
    if not run.path.exists():  # fast_dev_run, which says so
        return
    metrics, environment = run.metrics, run.environment
    if as_json:
        row = {"name": environment["recipe"], "run": str(run.path), **metrics}
        show([{**row, "fit_seconds": environment["fit_seconds"]}], as_json=True)
        return
    counted = {k: v for k, v in metrics.items() if isinstance(v, int)}
    others = {k: f"{v:.4f}" for k, v in metrics.items() if k not in counted}
    chosen = {**measured(others), **{k: str(v) for k, v in counted.items()}}
    rows = [{"metric": key, "value": value} for key, value in sorted(chosen.items())]
    rows.append({"metric": "training time", "value": f"{environment['fit_seconds']:.1f} s"})
    rows.append({"metric": "run", "value": str(run.path)})
    show(rows, as_json=False, title=environment["recipe"])
    print("Next:")
    for line in next_commands(run):
        print(f"  {line}")
