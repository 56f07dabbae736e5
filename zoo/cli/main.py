"""The command line: a thin front that imports no torch until a command needs it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Sequence

from zoo import __version__
from zoo.cli.parser import CommandParser
from zoo.cli.warning_sentences import warning_sentences
from zoo.errors import ZooError
from zoo.io.printable import printable

COMMANDS = (
    "list",
    "info",
    "train",
    "test",
    "predict",
    "finetune",
    "export",
    "plugin",
    "doctor",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the work failed, 2 the call was wrong, 130 stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    parser = CommandParser(
        "zoo",
        description="Train, test and share the models of the zoo.",
        epilog="--debug before or after a command shows where an error or a warning comes from.",
    )
    parser.add_argument("--version", action="version", version=f"zoo {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"zoo.cli.{name}").add_parser(commands)
    try:
        options, rest = parser.parse_known_args(words)
        if rest and not getattr(options, "takes_overrides", False):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.rest = rest
        with contextlib.nullcontext() if debug else warning_sentences():
            return options.run(options) or 0
    except SystemExit as stop:  # argparse has said what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        sys.stderr.close()
        return 0
    except ZooError as error:
        if debug:
            raise
        print(printable(f"zoo: {error}"), file=sys.stderr)
        return error.status
    except Exception as error:
        if debug:
            raise
        text = " ".join(str(error).split()) or "no message"
        text = printable(f"zoo: {type(error).__name__}: {text}. --debug shows where.")
        print(text, file=sys.stderr)
        return 1
