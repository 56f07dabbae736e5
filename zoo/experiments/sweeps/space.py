"""What a sweep varies, and how its user writes it.

    log:1e-4:1e-1        a number between the two, each order of magnitude as likely
    float:0.1:0.9        a number between the two; float:0.1:0.9:0.1 in steps
    int:1:8              a whole number, both ends included; int:16:128:16 in steps
    logint:16:512        a whole number, each order of magnitude as likely
    choice:32,64,128     one of these

In a file, which is YAML, keys are those of overrides (``model.lr: log:1e-4:1e-1``), and choices
that have commas in them are a list: ``model.net: {choice: ["a,b", "c"]}``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, format_problems, nearest, shown
from zoo.io.failures import system_failure
from zoo.io.plain_yaml import read_yaml_file, read_yaml_text
from zoo.io.yaml_events import YAMLFault

FORMS = {
    "log": "log:LOW:HIGH",
    "float": "float:LOW:HIGH[:STEP]",
    "int": "int:LOW:HIGH[:STEP]",
    "logint": "logint:LOW:HIGH",
    "choice": "choice:A,B,...",
}
_MARKED = re.compile(rf"({'|'.join(FORMS)}):")
_PLAIN = (str, int, float, bool, type(None))


class _Fault(ValueError):
    """What is wrong with the text of one parameter."""


@dataclass(frozen=True)
class Parameter:
    """One thing that is varied.

    Attributes:
        key: The override that sets it: ``model.lr``.
        kind: One of ``FORMS``.
        low: The least value of a range.
        high: The largest.
        step: Between values; None for none.
        choices: What is chosen from, where it is no range.
    """

    key: str
    kind: str
    low: float = 0
    high: float = 0
    step: float | None = None
    choices: tuple[Any, ...] = ()

    def suggest(self, trial: Any) -> Any:
        """The value for a trial of Optuna's, proposed by its sampler or proposed before."""
        if self.kind == "choice":
            return self.read(trial.suggest_categorical(self.key, self.labels))
        if self.kind in ("int", "logint"):
            return trial.suggest_int(
                self.key, self.low, self.high, step=self.step or 1, log=self.kind == "logint"
            )
        return trial.suggest_float(
            self.key, self.low, self.high, step=self.step, log=self.kind == "log"
        )

    @property
    def labels(self) -> list[Any]:
        """The choices as a storage keeps them: lists and mappings as JSON."""
        return [each if isinstance(each, _PLAIN) else json.dumps(each) for each in self.choices]

    def read(self, stored: Any) -> Any:
        """The value that a storage keeps as ``stored``."""
        return self.choices[self.labels.index(stored)] if self.kind == "choice" else stored

    def samples(self) -> list[Any]:
        """Values that show whether the argument takes such: both ends, and one between that is
        whole only if all are; or the choices."""
        if self.kind == "choice":
            return list(self.choices)
        if self.kind in ("int", "logint") or self.step is not None:
            return [self.low, self.high, self.low]
        between = self.low + (self.high - self.low) * 0.381966
        return [self.low, self.high, between]

    def __str__(self) -> str:
        if self.kind == "choice":
            return f"choice:{','.join(map(str, self.labels))}"
        step = [] if self.step is None else [self.step]
        return ":".join([self.kind, *(f"{value:.15g}" for value in (self.low, self.high, *step))])


def is_marked(text: object) -> bool:
    """Whether the value of an override is a part of a space, such as ``log:1e-4:1e-1``."""
    return isinstance(text, str) and bool(_MARKED.match(text))


def read_space(given: str | Path | Mapping[str, Any]) -> dict[str, Parameter]:
    """A space by key.

    Args:
        given: A YAML file, or what such a file holds.

    Raises:
        UsageError: the file cannot be read, or a parameter is not of the grammar: all at once.
    """
    where = "the space"
    if not isinstance(given, Mapping):
        path = Path(given)
        where = f"the space {path}"
        if not path.is_file():
            raise UsageError(f"there is no file {str(path)!r} with a space")
        try:
            given = read_yaml_file(path)
        except YAMLFault as error:
            raise UsageError(f"{where} cannot be read: {error}") from error
        except OSError as error:
            raise UsageError(system_failure(error, f"{where} cannot be read")) from error
        if not isinstance(given, Mapping) or not given:
            raise UsageError(f"{where} is not a mapping such as `model.lr: log:1e-4:1e-1`")
    found: dict[str, Parameter] = {}
    problems: list[str] = []
    for key, value in _flat(given):
        try:
            found[key] = _read(key, value)
        except _Fault as error:
            problems.append(f"'{key}' {error}")
    if problems:
        raise UsageError(format_problems(where, problems))
    return found


def _flat(given: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys, also of a file that nests them as a recipe does."""
    for key, value in given.items():
        nested = isinstance(value, Mapping) and set(value) != {"choice"}
        if nested:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read(key: str, value: Any) -> Parameter:
    if isinstance(value, Mapping):
        if not isinstance(value["choice"], list):
            raise _Fault(f"has to have a list under 'choice', not {shown(value['choice'])}")
        return _choice(key, value["choice"])
    if not is_marked(value):
        word = str(value).partition(":")[0]
        near = nearest(word, FORMS, 1).strip("'") if ":" in str(value) else ""
        hint = f"did you mean {FORMS[near]}?" if near else f"use {', '.join(FORMS.values())}"
        raise _Fault(f"is {shown(value)}, which is not a range or a choice: {hint}")
    kind, _, rest = value.partition(":")
    if kind == "choice":
        return _choice(key, [_scalar(each.strip()) for each in rest.split(",")])
    return _range(key, kind, value, rest.split(":"))


def _scalar(text: str) -> Any:
    """A choice as YAML reads it, and numbers such as 1e-3, which YAML takes for a text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    try:
        read = read_yaml_text(text) if text else text
    except YAMLFault:
        return text
    return read if isinstance(read, _PLAIN) else text


def _choice(key: str, choices: list[Any]) -> Parameter:
    texts = [json.dumps(each) for each in choices]
    if "" in choices:
        raise _Fault("has an empty choice: write choice:A,B,...")
    if twice := next((each for each in texts if texts.count(each) > 1), None):
        raise _Fault(f"has the choice {twice} twice")
    if len(choices) < 2:
        only = choices[0] if choices else "VALUE"
        raise _Fault(f"has one choice, which is nothing to search: set it with --{key} {only}")
    return Parameter(key, "choice", choices=tuple(choices))


def _range(key: str, kind: str, text: str, words: list[str]) -> Parameter:
    form = FORMS[kind]
    if len(words) not in ((2, 3) if "STEP" in form else (2,)):
        raise _Fault(f"is {text!r} and has to be {form}")
    whole = kind in ("int", "logint")
    low, high, *rest = (_number(word, whole, form) for word in words)
    step = rest[0] if rest else None
    if low == high:
        raise _Fault(f"is a range of one value: set it with --{key} {words[0]}")
    if low > high:
        turned = ":".join([kind, words[1], words[0], *words[2:]])
        raise _Fault(f"is the range {text} the wrong way round: write {turned}")
    if kind.startswith("log") and low <= 0:
        raise _Fault(f"is {text}: a logarithmic range begins above 0, not at {words[0]}")
    if step is not None and not 0 < step <= high - low:
        raise _Fault(f"has the step {words[2]}, which has to lie above 0 and within the range")
    return Parameter(key, kind, low, high, step)


def _number(word: str, whole: bool, form: str) -> float:
    try:
        value: float = int(word) if whole else float(word)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise _Fault(f"has {word!r} where {form} has a {kind}") from None
    if not math.isfinite(value):
        raise _Fault(f"has {word}, and a range is finite")
    return value
