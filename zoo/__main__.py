"""``python -m zoo``, as torchrun starts it."""

import os
import sys

# `python -m` puts the working directory first among the places that modules are imported from;
# what lies there may be anybody's.
if sys.path and os.path.abspath(sys.path[0] or os.curdir) == os.getcwd():
    del sys.path[0]

from zoo.cli.main import main
from zoo.io.lifeline import end_with_starter

if __name__ == "__main__":
    end_with_starter()
    raise SystemExit(main())
