"""``zoo publish RUN hf://owner/repo``: share a trained model."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from zoo.cli.output import heading, show, work, wrap
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.bundles.publication import Publication


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "publish",
        help="share a trained model on the Hugging Face Hub",
        description="Upload a trained model with its card, in one commit, and load it back by "
        "revision and hash. What would be uploaded is shown first.",
    )
    parser.add_argument("reference", help="a finished run, a bundle, or recipe:NAME")
    parser.add_argument("address", help="hf://owner/repo or hf://owner/repo@branch")
    parser.add_argument("--license", default="", metavar="TERMS", help="of the weights")
    parser.add_argument("--data-license", default="", metavar="TERMS", help="of the data")
    parser.add_argument(
        "--private", action="store_true", help="let only members see a new repository"
    )
    parser.add_argument(
        "--replace", action="store_true", help="put it in place of another model that is there"
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be uploaded")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="a list of one object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show, ask, upload, and print the reference."""
    from zoo.bundles.publication import prepare

    with work(options.json):
        planned = prepare(options.reference, options.address, options.license, options.data_license)
        if not (options.json and options.dry_run):
            _show(planned)
    if options.dry_run:
        if options.json:
            show([_row(planned)], as_json=True)
        return 0
    if not options.yes and not _agreed(planned.address):
        print("nothing was uploaded", file=sys.stderr)
        return 1
    from zoo.bundles.publish import upload

    with work(options.json):
        done = upload(planned, options.private, options.replace)
    if options.json:
        row = {**_row(planned), "reference": done.reference, "revision": done.revision}
        show([{**row, "committed": done.committed}], as_json=True)
        return 0
    said = "published" if done.committed else "there already, nothing new was committed"
    print(f"{said}, and loaded back with the same hashes: {done.reference}")
    print("Others use it by")
    for command in ("test", "predict", "finetune", "export"):
        rest = {"predict": " FILE...", "finetune": " --data NAME", "export": " --format onnx ..."}
        print(f"  zoo {command} {done.reference}{rest.get(command, '')}")
    print(f'  zoo.load("{done.reference}")')
    return 0


def _row(planned: Publication) -> dict[str, Any]:
    return {
        "name": planned.address,
        "sha256": planned.manifest["sha256"],
        "files": planned.sizes,
        "license": planned.manifest["license"],
        "front_matter": planned.front_matter,
        "notes": list(planned.notes),
    }


def _show(planned: Publication) -> None:
    print(heading(f"{planned.bundle.path} to {planned.address}"))
    for name, size in planned.sizes.items():
        print(f"  {name:<20} {size:>13,} bytes")
    print(f"  sha256 {planned.manifest['sha256']}")
    print("  on top of the card:")
    print("\n".join(f"    {line}" for line in planned.front_matter.splitlines()))
    for note in planned.notes:
        print(wrap(f"note: {note}", 2, 4))


def _agreed(address: str) -> bool:
    """What the user says, who has to be there to say it."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            "nothing is uploaded without a yes, and there is no terminal to ask on: add --yes, or "
            "--dry-run to look only"
        )
    print(f"Upload to {address}? [y/N] ", end="", flush=True, file=sys.stderr)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")
