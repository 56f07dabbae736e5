"""``zoo test REF``: measure a trained model."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.output import show, work
from zoo.cli.overrides import read_overrides


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "test",
        help="measure a trained model on test data",
        usage="zoo test REF... [--data NAME] [--data.KEY VALUE] ... [--out DIR] [--json]",
        description="Measure a trained model: on the test part of its own data, on everything "
        "found under a folder (--data.split all --data.root DIR), or on another dataset. Of "
        "several, or of the folder of a cross-validation, the probabilities are averaged.",
    )
    parser.add_argument(
        "references",
        nargs="+",
        metavar="REF",
        help="a run, a bundle, a checkpoint's name, hf:// or https://",
    )
    parser.add_argument("--tta", action="store_true", help="average over changed views too")
    parser.add_argument("--out", help="write metrics.json and metrics into this new folder")
    parser.add_argument("--json", action="store_true", help="a list of one object")
    parser.set_defaults(run=run, takes_overrides=True)


def run(options: argparse.Namespace) -> None:
    """Test and print the metrics."""
    overrides = read_overrides(options.rest)
    from zoo.inference.evaluate import evaluate

    with work(options.json):
        metrics = evaluate(options.references, overrides, out=options.out, tta=options.tta)
    name = ", ".join(options.references)
    if options.json:
        show([{"name": name, **metrics}], as_json=True)
        return
    rows = [{"metric": key, "value": f"{value:.4f}"} for key, value in sorted(metrics.items())]
    show(rows, as_json=False, title=name)
