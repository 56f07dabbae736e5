"""How frames are made of a file: of sound or of a line of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo_sequence.lines import Line, LineFrontEnd
from zoo_sequence.sound import FrontEnd, Wave

Source = Wave | Line
"""What frames are made of: it has ``samples``, ``notes`` and ``draw``."""
AnyFrontEnd = FrontEnd | LineFrontEnd


def front_end_of(described: Mapping[str, Any]) -> AnyFrontEnd:
    """The front end that its ``described`` tells of: that of lines has a height.

    Raises:
        UsageError: a value is out of its range.
    """
    return LineFrontEnd(**described) if "height" in described else FrontEnd(**described)
