"""``zoo export REF``: carry a trained model elsewhere."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.output import show, work


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        help="write a trained model as a file that needs no zoo",
        description="Write a trained model as a torch.export or ONNX file, kept only if it gives "
        "the model's outputs on real inputs. Of several models, or of the folder of a "
        "cross-validation, it gives the mean probabilities.",
    )
    parser.add_argument(
        "references",
        nargs="+",
        metavar="REF",
        help="a run, a bundle, a checkpoint's name, hf:// or https://",
    )
    parser.add_argument(
        "--format", required=True, help="torch-export, onnx, or one that a plugin registers"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="PATH",
        help="compare on these files; on the test data by default",
    )
    parser.add_argument("--json", action="store_true", help="a list of one object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export and print how closely the file agrees with the model."""
    from zoo.inference.export import export

    with work(options.json):
        done = export(options.references, options.format, options.out, inputs=options.input)
    if options.json:
        row = {
            "name": str(done.path),
            "difference": done.difference,
            "tolerance": done.tolerance,
            "inputs": done.inputs,
            "script": str(done.script) if done.script else None,
        }
        show([row], as_json=True)
        return
    print(
        f"{done.path}: largest difference from the model {done.difference:.1e} of its largest "
        f"output (allowed {done.tolerance:.0e}), on {done.inputs}"
    )
    if done.script:
        print(f"{done.script}: applies it without the zoo")
