"""``zoo predict REF PATH...``: apply a trained model to files, or let it produce or play."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from zoo.cli.output import show, work
from zoo.cli.overrides import read_overrides

if TYPE_CHECKING:
    from zoo.inference.predictions import Predictions


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "predict",
        help="apply a trained model to your own files, or let it produce or play",
        usage="zoo predict REF... PATH... [options]\n       zoo predict REF [--KEY VALUE] ...",
        description="Apply a trained model to your own files. One that makes samples, forecasts "
        "or the like, or acts in an environment, needs none; `zoo predict REF --help` lists its "
        "options. --seed N: the same seed gives the same output (default: 0). Several models, or "
        "the folder of a cross-validation, are averaged: each word behind the first is a model as "
        "long as it names a run, a bundle, a checkpoint, hf:// or https://; the rest are files.",
        add_help=False,
    )
    parser.add_argument(
        "reference", nargs="?", help="a run, a bundle, a checkpoint's name, hf:// or https://"
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="files or folders; before them, more REFs"
    )
    parser.add_argument("--out", help="a new folder for predictions.csv, .json, pictures, maps")
    parser.add_argument("--batch-size", type=int, default=32, help="files at a time (default: 32)")
    parser.add_argument("--device", help="such as cuda:0; a GPU if there is one by default")
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="write probability maps too, of models that write label maps",
    )
    parser.add_argument(
        "--pages",
        metavar="N",
        help="pictures of the predictions, at most: a number, all or 0 (default: 4 pages of 32 "
        "files, and every volume or clip)",
    )
    parser.add_argument(
        "--tta",
        action="store_true",
        help="average over changed views too, such as mirror images, where the model says which",
    )
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.add_argument(
        "-h",
        "--help",
        action="store_true",
        help="show this, and with a REF the model's own options",
    )
    parser.set_defaults(run=run, takes_overrides=True, parser=parser)


def run(options: argparse.Namespace) -> int:
    """Predict; 1 if some files could not be read."""
    if options.help:
        options.parser.print_help()
        if options.reference:
            _describe_options(options.reference)
        return 0
    if not options.reference:
        options.parser.error("REF is missing; `zoo list checkpoints` shows some")
    of_model = read_overrides(options.rest)

    from zoo.inference.predict import predict
    from zoo.inference.references import split_references
    from zoo.inference.rows import short

    references, paths = split_references([options.reference, *options.paths])

    with work(options.json):
        found = predict(
            references,
            paths,
            options=of_model,
            out=options.out,
            batch_size=options.batch_size,
            device=options.device,
            probabilities=options.probabilities,
            pages=options.pages,
            tta=options.tta,
            progress=sys.stdout.isatty(),
        )
    if options.json:
        failed = [{"name": file, "error": reason} for file, reason in found.failures.items()]
        rows = [{"name": str(row.get(found.row_name)), **row} for row in found.rows]
        show(rows + failed, as_json=True)
    else:
        if found.rows:
            show(short(found.rows), as_json=False)
        if found.folder:
            print(f"{len(found.rows)} predictions{_pictures(found)} are in {found.folder}")
    for file, reason in found.failures.items():
        print(f"zoo: {file} was left out: {reason}", file=sys.stderr)
    return 1 if found.failures else 0


def _pictures(found: Predictions) -> str:
    """What of them is drawn."""
    if not found.pictures:
        return ""
    if 0 < found.shown < len(found.rows):
        return f" and pictures of the first {found.shown} (--pages all draws every one)"
    return " and their pictures"


def _describe_options(reference: str) -> None:
    from zoo.bundles.load import load
    from zoo.plugin.declarations import producing_method
    from zoo.recipes.signatures import describe_options

    model = load(reference)
    if method := producing_method(model):
        print(f"\nOptions of {reference}:\n{describe_options(type(model), method)}")
