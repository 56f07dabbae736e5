"""The command line: a thin front that imports no torch until a command needs it."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import sys
from collections.abc import Sequence

from zoo import __version__
from zoo.cli.parser import CommandParser
from zoo.cli.warning_sentences import warning_sentences
from zoo.errors import ZooError
from zoo.io.failures import one_line, system_failure
from zoo.io.printable import printable

COMMANDS = (
    "list",
    "info",
    "runs",
    "compare",
    "train",
    "crossval",
    "test",
    "predict",
    "finetune",
    "tune",
    "sweep",
    "export",
    "publish",
    "plugin",
    "doctor",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the work failed, 2 the call was wrong, 130 stopped by Ctrl-C.
    """
    _escape_odd_names()
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
        _tell(str(error))
        return error.status
    except Exception as error:
        if debug:
            raise
        text, status = _unplanned(error)
        _tell(text)
        return status


_MOST = 20_000
"""Letters of a message. Values that are longer than any screen are named in some."""


def _tell(text: str) -> None:
    more = f"... and {len(text) - _MOST} letters more" if len(text) > _MOST else ""
    print(printable(f"zoo: {text[:_MOST]}{more}"), file=sys.stderr)


def _escape_odd_names() -> None:
    """Let names of files that are not UTF-8 be printed."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


_WRONG_NAME = (errno.ENAMETOOLONG, errno.EILSEQ, errno.ELOOP)


def _unplanned(error: Exception) -> tuple[str, int]:
    """A sentence for an error that no part of the zoo foresaw, and the status."""
    if isinstance(error, OSError) and error.errno:
        return system_failure(error), 2 if error.errno in _WRONG_NAME else 1
    text = one_line(error) or "no message"
    if isinstance(error, MemoryError):
        return "the memory is used up: use smaller values, or a machine with more", 1
    return f"{type(error).__name__}: {text}. --debug shows where.", 1
