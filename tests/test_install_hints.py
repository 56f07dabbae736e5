"""No message and no page sends anyone to the public index for the zoo, whose name there is another
project's."""

import re
from pathlib import Path

import pytest

from zoo.errors import install_hint

ROOT = Path(__file__).parents[1]
HINT = re.compile(r"""pip install (?!-e |--find-links)[^`\n]{0,8}?["']?zoo[-"'\[ \n]""")
TEXTS = [
    path
    for pattern in (
        "*.md",
        "zoo/**/*.py",
        "docs/**/*.md",
        "plugins/**/*.md",
        "plugins/*/zoo_*/**/*.py",
    )
    for path in ROOT.glob(pattern)
]


def test_the_hint_names_the_wheels() -> None:
    assert install_hint("zoo[onnx]", "zoo-rl").startswith(
        'pip install --find-links DIST "zoo[onnx]" "zoo-rl", where DIST is '
    )


@pytest.mark.parametrize(
    "text", ['pip install "zoo[onnx]"', "pip install zoo-rl", "pip install zoo\n"]
)
def test_a_plain_hint_would_be_found(text: str) -> None:
    assert HINT.search(text)


def test_every_text_names_where_to_install_from() -> None:
    assert len(TEXTS) > 100
    found = [str(path.relative_to(ROOT)) for path in TEXTS if HINT.search(path.read_text())]
    assert found == []
