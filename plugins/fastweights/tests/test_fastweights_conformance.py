"""The zoo's conformance kit on everything this plugin registers, with a text and drawings made here
where a dataset reads files."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.testing import conformance_tests

test_conformance = conformance_tests("fastweights", slow=["export-formats"])


def write_omniglot(folder: Path, random: np.random.Generator) -> None:
    """Three alphabets of five characters, each drawn twice, as the publisher lays them out."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "images_tiny.zip", "w") as archive:
        for alphabet in ("Balinese", "Greek", "Korean"):
            for character in range(5):
                drawing = random.integers(0, 256, (20, 20)).astype(np.uint8)
                for drawer in range(2):
                    buffer = io.BytesIO()
                    Image.fromarray(drawing ^ np.uint8(drawer)).save(buffer, "png")
                    name = f"images_tiny/{alphabet}/character{character:02}/{drawer}.png"
                    archive.writestr(name, buffer.getvalue())


@pytest.fixture(autouse=True, scope="module")
def _data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    words = ["delta", "rule", "writes", "and", "reads", "fast", "weights"]
    (folder / "text-folder").mkdir()
    (folder / "text-folder/a.txt").write_text(" ".join(random.choice(words, 2000)), "utf-8")
    for name in range(30):
        drawing = random.integers(0, 256, (12, 12)).astype(np.uint8)
        (folder / f"class-folder/class{name}").mkdir(parents=True)
        for number in range(8):
            path = folder / f"class-folder/class{name}/{number}.png"
            Image.fromarray(drawing ^ np.uint8(number)).save(path)
    write_omniglot(folder / "omniglot", random)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(folder))
        yield
