"""A process that ends when the one that started it has ended, however that ended.

The starter holds the writing end of the process's standard input and writes nothing: the end of
the input is the end of the starter, also after SIGKILL, when nothing else could be said.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

VARIABLE = "ZOO_ENDS_WITH_STDIN"
"""Set in the environment of a process that is to end so."""


def end_with_starter() -> None:
    """Watch standard input, where the environment asks for it, and take its end for SIGTERM: a
    training then leaves a checkpoint."""
    if os.environ.get(VARIABLE) == "1":
        threading.Thread(target=_wait, name="lifeline", daemon=True).start()


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
