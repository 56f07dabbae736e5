"""What the documentation is made by: every model has its text, drawing and arguments, and dead
links are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zoo.recipes.signatures import argument_names, constructor_arguments
from zoo.registry.registry import registry

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(autouse=True)
def docs_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))


@pytest.mark.whole_zoo
def test_every_model_of_this_repository_has_a_text_and_a_drawing() -> None:
    from diagrams import DIAGRAMS, diagram

    names = {
        entry.name.replace("/", "-").replace("*", "any")
        for entry in registry().models.values()
        if registry().owner(entry).distribution in {f"zoo-{each}" for each in PLUGINS}
    }
    assert names == set(DIAGRAMS)
    for name in names:
        text = (DOCS / "models" / f"{name}.md").read_text()
        assert text.count("## When to take something else\n") == 1
        assert diagram(name, "x & y").count("<rect") == sum(map(len, DIAGRAMS[name]))
        assert "x &amp; y" in diagram(name, "x & y")


PLUGINS = (
    "vision",
    "segmentation",
    "lipreading",
    "udrl",
    "hpg",
    "sequence",
    "fastweights",
    "evolution",
    "worldmodels",
)


class Base:
    """A base.

    Args:
        rate: How fast,
            in steps.
    """

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = rate


class Derived(Base):
    """Derived.

    Args:
        size: How large.
        rest: Those of the base.
    """

    def __init__(self, size: int, facts: list[str] | None = None, **rest: float) -> None:
        super().__init__(**rest)
        self.size, self.facts = size, facts


def test_arguments_are_described_with_those_of_the_base() -> None:
    size, rate = constructor_arguments(Derived, ["facts"])
    assert (size.name, size.type, size.default, size.text) == ("size", "int", "", "How large.")
    assert (rate.name, rate.type, rate.default) == ("rate", "float", "0.5")
    assert rate.text == "How fast, in steps."


def test_dead_links_anchors_and_pictures_are_found(tmp_path: Path) -> None:
    from check_links import dead_links

    (tmp_path / "more").mkdir()
    (tmp_path / "a.html").write_text(
        '<h2 id="here">x</h2><a href="#here">1</a><a href="#away">2</a><a href="more/b.html">3</a>'
        '<a href="more/b.html#no">4</a><img src="gone.png"><a href="https://example.org">5</a>'
    )
    (tmp_path / "more/b.html").write_text('<a href="../a.html#here">1</a><a href="../c.html">2</a>')
    assert dead_links(tmp_path) == [
        "a.html: #away has no such anchor",
        "a.html: more/b.html#no has no such anchor",
        "a.html: gone.png does not exist",
        "more/b.html: ../c.html does not exist",
    ]
    assert dead_links(tmp_path / "empty") == [f"{tmp_path / 'empty'} has no pages"]
    sys.modules.pop("check_links")


@pytest.mark.whole_zoo
@pytest.mark.parametrize(
    ("name", "family", "shown"),
    [
        ("mpcnn", "vision", ["predict", "finetune"]),
        ("text-lm", "fastweights", ["predict"]),  # it has no head
        ("retrieval-net", "fastweights", []),  # nor reads files, nor makes any
    ],
)
def test_a_page_shows_commands_that_the_model_takes(
    name: str, family: str, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import model_pages

    monkeypatch.setattr(model_pages, "_command", lambda entry, recipes: "zoo train R")
    lines = model_pages._use(registry().models[name], {f"{family}/any": None}, [])
    commands = [line.split()[1] for line in lines if line.startswith("zoo ")]
    assert commands == ["train", *shown]


@pytest.mark.whole_zoo
def test_the_arguments_of_the_commands_for_own_data_exist() -> None:
    from model_pages import DATA

    for command in filter(None, DATA.values()):
        name, option, _ = command.split()
        names = argument_names(registry().load(registry().dataset(name)))
        assert option.removeprefix("--data.") in names, command
