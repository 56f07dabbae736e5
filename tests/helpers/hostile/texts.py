"""Recipes, and values on the command line, that are bombs, or no plain values, or ambiguous."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hostile.trial import Kinds, command, fell

_NINES = "9" * 20_000
GOOD = "model: {name: toy-net}\ndata: {name: toy-points}\ntrainer: {max_epochs: 1, logger: false}\n"
_BOMB = "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"  a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(9)
)

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "a tag that calls": (GOOD + "about: !!python/object/apply:os.system ['touch PWNED']", "line 4"),
    "a tag that names": (GOOD + "about: !!python/name:os.system", "line 4"),
    "a tag of one's own": (GOOD + "about: !mine {a: 1}", "line 4"),
    "a set": (GOOD + "about: !!set {a, b}", "line 4"),
    "a bomb of aliases": (GOOD + "about:\n  " + _BOMB, "it holds more than 200000 values"),
    "a bomb of merged keys": (
        GOOD
        + "about:\n  a0: &a0 {x: ["
        + "1, " * 5000
        + "1]}\n"
        + "  b: ["
        + "*a0, " * 99
        + "*a0]",
        "it holds more than 200000 values",
    ),
    "an alias inside itself": (GOOD + "about: {a: &a [*a]}", "inside what it stands for"),
    "many values": (GOOD + "about: {a: [" + "1," * 300_000 + "1]}", "more than 200000 values"),
    "deep lists": (GOOD + "about: {a: " + "[" * 200_000, "nested more than 100 deep"),
    "deep lists, closed": (GOOD + "about: {a: " + "[" * 9000 + "]" * 9000 + "}", "nested more"),
    "deep mappings": (GOOD + "about: " + "{a: " * 100_000, "nested more than 100 deep"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(1000)), "nested more than 100 deep"),
    "endless digits": (GOOD + f"seed: {_NINES}", "line 4: a number of 20000 digits"),
    "endless hexadecimal digits": (GOOD + f"seed: 0x{_NINES}", "line 4: a number of 20002 digits"),
    "endless minutes": (GOOD + "seed: " + "1:" * 9000 + "1", "line 4: a number of 18001 digits"),
    "too large": (GOOD + "# " + "x" * (1 << 20), "it has more than 1048576 bytes"),
    "a section twice": (GOOD + "trainer: {max_epochs: 2}\n", "'trainer' stands twice"),
    "a key twice": ("model: {name: toy-net,\n hidden: 1,\n hidden: 2}", "in the lines 2 and 3"),
    "a key twice, one quoted": ("model:\n  lr: 1\n  'lr': 2\n", "in the lines 2 and 3"),
    "a key twice, deep": ("trainer:\n  callbacks:\n  - x: {a: 1, a: 2}\n", "in line 3"),
    "two documents": (GOOD + "---\n" + GOOD, "line 4: a second document begins"),
    "a list": ("- model\n- data\n", "is not a mapping"),
    "a text": ("model", "is not a mapping"),
    "nothing": ("", "is not a mapping"),
    "a key that is true": (GOOD + "on: 1", "line 4: the key 'on' is not a text"),
    "a key that is nothing": (GOOD + "about: {~: 1}", "line 4: the key '~' is not a text"),
    "a key that is a number": (GOOD.replace("{name: toy-net", "{name: toy-net, 1: 2"), "quotes"),
    "a key that is a list": (GOOD + "? [a, b]\n: c", "line 4: a key is a list or a mapping"),
    "a tab": (GOOD + "about:\n\tsummary: x", "line 5"),
    "a control character": (GOOD + "about: {a: \x01}", "line 4: the character"),
    "not UTF-8": (GOOD.encode() + "about: {a: é}".encode("latin-1"), "line 4: it is not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "line 1: it is not UTF-8"),
    "unclosed": (GOOD + "about: {a: [1", "line 5"),
    "an unknown alias": (GOOD + "about: *a", "line 4"),
    "a hundred thousand wrong keys": (
        "model: {name: toy-net, " + ", ".join(f"k{n}: 1" for n in range(90_000)) + "}\n"
        "data: {name: toy-points}",
        "faults",
    ),
}
"""Content of a file, and what has to be said of it."""

TAKEN: dict[str, str | bytes] = {
    "a mark of byte order and CRLF": b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
    "an alias": GOOD.replace("data", "about: {a: &a [1, 2], b: *a, c: {<<: &c {d: 1}}}\ndata", 1),
    "a date": GOOD + "about: {published: 2015-06-24}",
    "keys that are whole numbers": GOOD.replace(
        "logger: false",
        "logger: false, callbacks: [{class_path: GradientAccumulationScheduler, "
        "init_args: {scheduling: {0: 1}}}]",
    ),
}
"""What looks odd and is right."""

TYPED: dict[str, tuple[tuple[str, str], str]] = {
    "deep": (("--model.betas", "[" * 60_000), "'model.betas' cannot be read"),
    "deep mappings": (("--trainer.callbacks", "{a: " * 20_000), "'trainer.callbacks' cannot be"),
    "endless digits": (("--model.hidden", _NINES), "a number of 20000 digits"),
    "an endless seed": (("--seed", _NINES), "'seed' has to be a whole number"),
    "a key twice": (
        ("--trainer.callbacks", "[{class_path: EarlyStopping, class_path: Timer}]"),
        "the key 'class_path' stands twice",
    ),
    "a bomb of aliases": (("--trainer.callbacks", f"x:\n  {_BOMB}"), "200000 values"),
    "a list of thousands": (("--model.hidden", str([1] * 20_000)), "'model.hidden' has to be"),
    "a name of thousands": (("--model.name", "x" * 100_000), "there is no model"),
    "a key of thousands": (("--model." + "x" * 100_000, "1"), "is not an argument"),
}
"""Words after ``zoo train RECIPE``, and what has to be said of them."""


def _refused(content: str | bytes, says: str, folder: Path) -> str:
    file = folder / "theirs.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    told = command("train", file.name, "--out", "run", inside=folder)
    if (folder / "run").exists() or (folder / "PWNED").exists():
        return "something was written"
    return fell(told, says=[file.name, says])


def _taken(content: str | bytes, folder: Path) -> str:
    file = folder / "theirs.yaml"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return fell(command("train", file.name, "--print-config", inside=folder), (0,))


def _typed(words: tuple[str, str], says: str, folder: Path) -> str:
    told = command("train", "toy/points", *words, "--out", "run", inside=folder)
    if (folder / "run").exists():
        return "something was written"
    if len(told.err) > 5000:
        return f"a message of {len(told.err)} letters"
    return fell(told, says=[says])


KINDS: Kinds = {
    **{name: partial(_refused, *both) for name, both in REFUSED.items()},
    **{name: partial(_taken, content) for name, content in TAKEN.items()},
    **{f"typed: {name}": partial(_typed, *both) for name, both in TYPED.items()},
}
