"""Constructor arguments: read from text or YAML values, checked against a class's signature.

All of jsonargparse that the zoo uses is here, and only its public API.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml

from zoo.errors import UsageError, format_problems, nearest

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser


def read_arguments(
    cls: type, section: str, values: Mapping[str, Any], skip: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Check values against the signature of ``cls``, one by one, so that all faults are found.

    Args:
        cls: The class whose constructor the values are for.
        section: Prefix of the keys in messages: ``model``, ``data`` or ``trainer``.
        values: Argument name to value; text is converted to the argument's type.
        skip: Arguments that may not be given.

    Returns:
        The values as primitives of the right types, and a sentence for every fault.
    """
    known = argument_names(cls, skip)
    read: dict[str, Any] = {}
    problems = []
    for key, value in values.items():
        if key not in known:
            near = nearest(key, known, 1).strip("'")
            hint = f"; did you mean '{section}.{near}'?" if near else ""
            problems.append(f"'{section}.{key}' is no argument of {cls.__name__}{hint}")
            continue
        parser = _parser()
        _add(parser, cls, section, set(known) - {key} | set(skip))
        try:
            namespace = parser.parse_object({section: {key: copy.deepcopy(value)}})
        except Exception as error:  # noqa: BLE001  # jsonargparse raises several kinds
            if value is None:
                continue  # explicitly left to a fact of the data
            problems.append(_type_fault(f"{section}.{key}", error, value))
        else:
            dumped = parser.dump(namespace, skip_unset=False, skip_validation=True)
            read[key] = yaml.safe_load(dumped)[section][key]
    return read, problems


def argument_names(cls: type, skip: Iterable[str] = ()) -> list[str]:
    """Names of the constructor's arguments, those reached through ``**kwargs`` included."""
    return _add(_parser(), cls, "", set(skip))


def defaults(cls: type, skip: Iterable[str] = ()) -> dict[str, Any]:
    """The constructor's defaults; arguments without one, or with None, are left out."""
    parser = _parser()
    _add(parser, cls, "all", set(skip))
    found = parser.get_defaults().get("all")
    return {k: v for k, v in found.as_dict().items() if v is not None} if found else {}


def build(cls: type, values: Mapping[str, Any], what: str, fixed: Mapping[str, Any]) -> Any:
    """Call the constructor with checked values.

    Args:
        cls: The class.
        values: Argument name to value.
        what: What is built, for messages: ``model 'mpcnn'``.
        fixed: Arguments that are not the user's to set.

    Raises:
        UsageError: an argument is unknown, missing, or has a value of the wrong type.
    """
    read, problems = read_arguments(cls, "model", values, fixed)
    if problems:
        raise UsageError(format_problems(what, problems))
    parser = _parser()
    _add(parser, cls, "model", set(fixed))
    try:
        parsed = parser.parse_object({"model": read}).get("model")
    except Exception as error:
        missing = re.search(r"required: (.*)", str(error))
        if not missing:
            raise
        names = missing[1].replace("model.", "")
        raise UsageError(
            f"{what} needs a value for {names}, which neither the recipe nor the facts of the "
            f"dataset give: add it, for example with --model.{names.partition(',')[0]} VALUE"
        ) from error
    return cls(**{**fixed, **(parsed.as_dict() if parsed else {})})


def instantiate(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments with every class named in them (``class_path``) instantiated.

    Raises:
        UsageError: such a class refuses its arguments, or a package it needs is missing.
    """
    parser = _parser()
    _add(parser, cls, "all", set(argument_names(cls)) - set(values))
    if not values:
        return {}
    # jsonargparse writes into nested values
    try:
        built = parser.instantiate(parser.parse_object({"all": copy.deepcopy(dict(values))}))
    except Exception as error:  # whatever the constructors raise
        text = " ".join(str(error).split())
        problem = re.search(r"Problem with given class_path '(\S+)': (.*?)(?: - Expected|$)", text)
        reason = f"{problem[1]}: {problem[2]}" if problem else text
        raise UsageError(f"the settings of {cls.__name__} do not work: {reason}") from error
    return {key: built["all"][key] for key in values}


def read_options(cls: type, method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check options against the keyword arguments of a method, by its signature.

    Args:
        cls: The class.
        method: Name of its method. What can be given by position is not an option.
        values: Option, with dashes or underscores, to value; text is converted to the
            argument's type.

    Returns:
        Keyword arguments of the right types.

    Raises:
        UsageError: an option is unknown, or its value of another type.
    """
    given = {key.replace("-", "_"): value for key, value in values.items()}
    known = _add_options(_parser(), cls, method)
    read, problems = {}, []
    for key, value in given.items():
        option = "--" + key.replace("_", "-")
        if key not in known:
            near = nearest(key, known, 1).strip("'")
            there = ", ".join("--" + name.replace("_", "-") for name in known) or "none"
            hint = f"did you mean --{near.replace('_', '-')}?" if near else f"there are: {there}"
            problems.append(f"there is no option {option}; {hint}")
            continue
        parser = _parser()
        _add_options(parser, cls, method, set(known) - {key})
        try:
            read[key] = parser.parse_object({key: value})[key]
        except Exception as error:  # noqa: BLE001  # jsonargparse raises several kinds
            problems.append(_type_fault(option, error, value))
    if problems:
        raise UsageError("; ".join(problems))
    return read


def describe_options(cls: type, method: str) -> str:
    """Help text for the keyword arguments of a method, from its signature and docstring."""
    parser = _parser()
    known = _add_options(parser, cls, method)
    text = parser.format_help().partition("\n\n")[2]
    for name in known:
        text = text.replace(f"--{name} ", f"--{name.replace('_', '-')} ")
    return text.strip("\n")


def describe(classes: Mapping[str, tuple[type, Iterable[str]]], usage: str) -> str:
    """Help text for the arguments of classes, from their signatures and docstrings.

    Args:
        classes: Section to the class and the arguments of it to leave out.
        usage: The first line.
    """
    parser = _parser()
    parser.usage = usage
    for section, (cls, skip) in classes.items():
        _add(parser, cls, section, set(skip))
    hidden = re.compile(r"^  --\w+ CONFIG  ")
    return "\n".join(line for line in parser.format_help().splitlines() if not hidden.match(line))


def _parser() -> ArgumentParser:
    from jsonargparse import ArgumentParser

    return ArgumentParser(exit_on_error=False, allow_abbrev=False, add_help=False)


def _add(parser: ArgumentParser, cls: type, section: str, skip: set[str]) -> list[str]:
    added = parser.add_class_arguments(
        cls,
        section or None,
        skip=set(skip),
        instantiate=False,
        fail_untyped=False,
    )
    prefix = f"{section}." if section else ""
    return [key.removeprefix(prefix) for key in added]


def _add_options(
    parser: ArgumentParser, cls: type, method: str, skip: Iterable[str] = ()
) -> list[str]:
    parameters = inspect.signature(getattr(cls, method)).parameters.values()
    others = {p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY}
    return parser.add_method_arguments(
        cls, method, skip=(others - {"self"}) | set(skip), fail_untyped=False
    )


def _type_fault(key: str, error: Exception, value: Any) -> str:
    text = " ".join(str(error).split())
    expected = re.search(r"Expected (?:an? )?(?:<class '([\w.]+)'>|(.+?))(?:\.? Got value|$)", text)
    subtypes = re.search(r"Subtypes: \[(.*?)\] Errors", text)
    if subtypes:
        wanted = re.sub(r"<class '([\w.]+)'>", r"\1", subtypes[1]).replace("NoneType", "null")
        wanted = re.sub(r"(?:\w+\.)+(\w+)", r"\1", wanted)
    elif expected:
        wanted = expected[1] or expected[2]
        if choices := re.fullmatch(r"typing\.Literal\[(.*)\]", wanted):
            return f"'{key}' has to be one of {choices[1]}, not {value!r}"
    else:
        return f"'{key}' cannot be {value!r}: {text}"
    return f"'{key}' has to be of type {wanted}, not {value!r}"
