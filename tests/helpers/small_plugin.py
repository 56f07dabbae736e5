"""The source of a small sound plugin, and what spoils it, for the tests of the conformance kit."""

from __future__ import annotations

import textwrap

from zoo.testing import CHECKS, Result, cases

Faults = dict[str, str]
"""Files of the plugin in place of its own, by name."""
Faulty = list[tuple[str, str, Faults, str]]
"""Check, kind of the entry, what spoils it, and what is said of it."""

PLUGIN = """
from zoo.plugin.entries import Checkpoint, Dataset, Model, Recipes
from zoo.plugin.hooks import hookimpl

ZOO_PLUGIN_API = 1

@hookimpl
def zoo_models():
    return [Model("small-net", "zoo_small.model:Net", "A net")]

@hookimpl
def zoo_datasets():
    return [Dataset("small-points", "zoo_small.data:Data", "Points", embedded=True)]

@hookimpl
def zoo_recipes():
    return [Recipes("small", "zoo_small:recipes")]
"""
MODEL = '''
import os
import torch
from torch import nn
from zoo_toy.model import ToyNet

class Net(ToyNet):
    """A net."""
'''
DATA = '''
import os
from pathlib import Path
import torch
from zoo.errors import UsageError
from zoo_toy.data import Points

class Data(Points):
    """Points."""
'''
RECIPE = """
about:
  summary: Points
  paper: none
  source: set for these tests
  target: {metric: test/accuracy, value: 0.9}
model:
  name: small-net
  dropout: 0.1
data:
  name: small-points
trainer:
  max_epochs: 2
"""
ARGUMENTS = "self, features: int, num_classes: int"
INIT = f"""
def __init__({ARGUMENTS}, secret%s) -> None:
    super().__init__(features, num_classes)
"""
ROOT = '''
def __init__(self, root: str, batch_size: int = 8, num_workers: int = 0, seed: int = 0,
             split: str = "standard") -> None:
    """Read points.

    Args:
        root: The folder.
    """
    super().__init__(batch_size, num_workers, seed, split)
    self.root = root

@property
def facts(self):
    %s
'''


def model(body: str) -> Faults:
    return {"model": MODEL + textwrap.indent(textwrap.dedent(body), "    ")}


def data(body: str) -> Faults:
    return {"data": DATA + textwrap.indent(textwrap.dedent(body), "    ")}


def plugin(old: str, new: str) -> Faults:
    assert old in PLUGIN
    return {"plugin": PLUGIN.replace(old, new)}


def recipe(old: str, new: str) -> Faults:
    assert old in RECIPE
    return {"recipes/first.yaml": RECIPE.replace(old, new)}


def hook(name: str, entry: str) -> Faults:
    return {"plugin": f"{PLUGIN}\n@hookimpl\ndef {name}():\n    return [{entry}]\n"}


FAMILY = plugin('"small-net", "zoo', '"small/*", wildcard="activation", class_path="zoo')
FAMILY["plugin"] = FAMILY["plugin"].replace('"A net"', 'summary="A net"')


def files(faults: Faults) -> Faults:
    """All files of the plugin, with the faulty ones in place of its own."""
    return {"plugin": PLUGIN, "model": MODEL, "data": DATA, "recipes/first.yaml": RECIPE, **faults}


def make(check: str, kind: str) -> Result:
    """The first case of that check and kind."""
    found = [c for c in cases("small") if (c.check.name, c.subject.kind) == (check, kind)]
    assert found, f"there is no case of {check} for a {kind}"
    return found[0].run()


def assert_fails(check: str, kind: str, note: str) -> None:
    """The check fails with that note, its reason and its remedy."""
    result = make(check, kind)
    assert result.outcome == "failed", str(result)
    assert note in result.note, result.note
    text = str(result)
    assert CHECKS[check].why in text
    assert CHECKS[check].remedy in text


def checks_of(*modules: str) -> set[str]:
    """The names of the checks in these modules of ``zoo.testing.checks``."""
    homes = {f"zoo.testing.checks.{module}" for module in modules}
    return {name for name, check in CHECKS.items() if check.run.__module__ in homes}
