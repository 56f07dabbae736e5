"""Constructor arguments: read from text or YAML values, checked against a class's signature.

The signature of a class, the arguments it takes through ``**kwargs`` included, is resolved once
a process: that means reading source code. All of jsonargparse that the zoo uses is here, and only
its public API.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import yaml
from jsonargparse import ArgumentParser, Namespace

from zoo.errors import MOST_FAULTS, UsageError, format_problems, nearest
from zoo.io.plain_yaml import value_fault
from zoo.recipes import unserializable
from zoo.recipes.long_lists import is_long, plain, uncopied
from zoo.recipes.named_classes import named_class_fault
from zoo.recipes.object_arguments import object_fault
from zoo.recipes.type_faults import class_fault, required_arguments, type_fault

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # PyYAML can be built without libyaml


def read_arguments(
    cls: type,
    section: str,
    values: Mapping[str, Any],
    skip: Iterable[str] = (),
    refused: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Check values against the signature of ``cls`` and find all faults.

    Args:
        cls: The class whose constructor the values are for.
        section: Prefix of the keys in messages: ``model``, ``data`` or ``trainer``.
        values: Argument name to value; text is converted to the argument's type.
        skip: Arguments that may not be given.
        refused: Others that may not, each with the reason.

    Returns:
        The values as primitives of the right types, and a sentence for every fault. None is
        right for every argument: it leaves the argument to the facts of the data.
    """
    parsed, accepted, problems = _check(cls, section, values, skip, refused)
    return _signature(cls).primitives(parsed, {key: values[key] for key in accepted}), problems


def missing_arguments(cls: type, given: Iterable[str]) -> list[str]:
    """Arguments of the constructor that have no default and are not given."""
    known = set(given)
    return [name for name in _signature(cls).required if name not in known]


def argument_names(cls: type, skip: Iterable[str] = ()) -> list[str]:
    """Names of the constructor's arguments, those reached through ``**kwargs`` included."""
    skipped = set(skip)
    return [name for name in _signature(cls).names if name not in skipped]


def defaults(cls: type, skip: Iterable[str] = ()) -> dict[str, Any]:
    """The constructor's defaults; arguments without one, or with None, are left out."""
    found = _signature(cls).parser.get_defaults().as_dict()
    skipped = set(skip)
    return {k: v for k, v in found.items() if v is not None and k not in skipped}


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
    parsed, _, problems = _check(cls, "model", values, fixed)
    if problems:
        raise UsageError(format_problems(what, problems))
    required = _signature(cls).required
    if missing := [name for name in required if name not in fixed and parsed.get(name) is None]:
        if fault := object_fault(cls, missing):
            raise UsageError(f"{what}: {fault}")
        raise UsageError(
            f"{what} needs a value for {', '.join(missing)}, which neither the recipe nor the "
            f"facts of the dataset give: add it, for example with --model.{missing[0]} VALUE"
        )
    given = {key: value for key, value in parsed.as_dict().items() if key not in fixed}
    return cls(**{**fixed, **given})


def instantiate(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The given arguments with every class named in them (``class_path``) instantiated.

    Raises:
        UsageError: such a class refuses its arguments, or a package it needs is missing.
    """
    if not values:
        return {}
    signature = _signature(cls)
    try:
        given = _select(signature.parse(values), values)
        built = signature.parser.instantiate(given)
    except Exception as error:  # whatever the constructors raise
        reason = class_fault(error) or " ".join(str(error).split())
        raise UsageError(f"the settings of {cls.__name__} do not work: {reason}") from error
    return {key: built[key] for key in values}


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
    signature = _signature(cls, method)
    given = {key.replace("-", "_"): value for key, value in values.items()}
    faults = {}
    for key in given:
        if key not in signature.names:
            near = nearest(key, signature.names, 1).strip("'")
            there = ", ".join(map(_option, signature.names)) or "none"
            hint = f"did you mean {_option(near)}?" if near else f"there are: {there}"
            faults[key] = f"there is no option {_option(key)}; {hint}"
    known = {key: value for key, value in given.items() if key not in faults}
    parsed, wrong = signature.check(known, _option)
    if faults := faults | wrong:
        raise UsageError("; ".join(faults[key] for key in given if key in faults))
    return {key: parsed[key] for key in given}


def option_names(cls: type, method: str) -> tuple[str, ...]:
    """The keyword arguments of a method that are options."""
    return _signature(cls, method).names


def describe_options(cls: type, method: str) -> str:
    """Help text for the keyword arguments of a method, from its signature and docstring."""
    signature = _signature(cls, method)
    text = signature.parser.format_help().partition("\n\n")[2]
    for name in signature.names:
        text = text.replace(f"--{name} ", f"{_option(name)} ")
    return text.strip("\n")


def describe(classes: Mapping[str, tuple[type, Iterable[str]]], usage: str) -> str:
    """Help text for the arguments of classes, from their signatures and docstrings.

    Args:
        classes: Section to the class and the arguments of it to leave out.
        usage: The first line.
    """
    parser = _Parser(exit_on_error=False, allow_abbrev=False, add_help=False)
    parser.usage = usage
    for section, (cls, skip) in classes.items():
        parser.add_class_arguments(
            cls, section, skip=set(skip), instantiate=False, fail_untyped=False
        )
    hidden = re.compile(r"^  --\w+ CONFIG  ")
    return "\n".join(line for line in parser.format_help().splitlines() if not hidden.match(line))


@dataclass(frozen=True)
class Argument:
    """An argument of a constructor, for people.

    Attributes:
        name: As it is given.
        type: As it is annotated, without the names of modules.
        default: As Python writes it; empty where a value has to be given.
        text: What the docstring says of it, in one line.
    """

    name: str
    type: str
    default: str
    text: str


def constructor_arguments(cls: type, skip: Iterable[str] = ()) -> list[Argument]:
    """All arguments of the constructor, those reached through ``**kwargs`` included.

    Args:
        cls: The class.
        skip: Arguments to leave out.
    """
    signature, left_out = _signature(cls), set(skip)
    given = signature.parser.get_defaults()
    texts = signature.texts()
    return [
        Argument(
            name,
            texts[name][0],
            "" if name in signature.required else repr(given[name]),
            texts[name][1],
        )
        for name in signature.names
        if name not in left_out
    ]


class _Parser(ArgumentParser):
    """A parser that can be told not to ask for the arguments that are not given."""

    partial = False

    def validate(self, namespace: Namespace, *args: Any, **options: Any) -> None:
        """As jsonargparse's, which its parsing methods call on what they have read."""
        if self.partial:
            options["skip_required"] = True
            namespace = _select(
                namespace, (k for k, v in vars(namespace).items() if not is_long(v))
            )
        super().validate(namespace, *args, **options)


class _Signature:
    """What a constructor or a method takes, and the one parser that knows it.

    Attributes:
        parser: Parses any part of the arguments; the others get their defaults.
        names: The arguments.
    """

    def __init__(self, cls: type, method: str = "") -> None:
        self.parser = _Parser(exit_on_error=False, allow_abbrev=False, add_help=False)
        if method:
            parameters = inspect.signature(getattr(cls, method)).parameters.values()
            by_position = {p.name for p in parameters if p.kind is not p.KEYWORD_ONLY} - {"self"}
            added = self.parser.add_method_arguments(
                cls, method, skip=by_position, fail_untyped=False
            )
        else:
            added = self.parser.add_class_arguments(cls, instantiate=False, fail_untyped=False)
        self.names = tuple(added)
        self.parser.partial = True

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The arguments that have no default."""
        try:
            ArgumentParser.validate(self.parser, Namespace())  # type: ignore[no-untyped-call]
        except TypeError as error:
            return required_arguments(error)
        return ()

    def texts(self) -> dict[str, tuple[str, str]]:
        """Of every argument the type and what the docstring says, each in one line."""
        modules = re.compile(r"\b(?:\w+\.)+(?=\w)")
        found = {}
        for action in vars(self.parser)["_actions"]:  # argparse has no public list of them
            kind = getattr(action, "_typehint", None) or action.type
            text = getattr(kind, "__name__", "") if isinstance(kind, type) else str(kind)
            found[action.dest] = (modules.sub("", text), " ".join((action.help or "").split()))
        return found

    def parse(self, values: Mapping[str, Any]) -> Namespace:
        """All arguments, those that are not given at their defaults, required ones None."""
        given = {key: uncopied(value) for key, value in values.items()}
        parsed: Namespace = self.parser.parse_object(given)
        return Namespace(  # type: ignore[no-untyped-call]
            {key: plain(value) for key, value in vars(parsed).items()}
        )

    def check(
        self, values: Mapping[str, Any], label: Callable[[str], str]
    ) -> tuple[Namespace, dict[str, str]]:
        """Parse all values at once, and one by one only to find every fault.

        Returns:
            All arguments, without the values that are wrong; and a sentence for each of those.
        """
        faults = _text_faults(values, label)
        values = {key: value for key, value in values.items() if key not in faults}
        try:
            return self.parse(values), faults
        except Exception:  # noqa: BLE001  # jsonargparse raises several kinds; found again below
            pass
        for key, value in values.items():
            try:
                self.parse({key: value})
            except Exception as error:  # noqa: BLE001
                named = named_class_fault(label(key), value, _arguments)
                faults[key] = named or type_fault(label(key), error, value)
        return self.parse({key: values[key] for key in values if key not in faults}), faults

    def primitives(self, parsed: Namespace, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that were given, as a recipe file holds them."""
        arguments = _select(parsed, given)
        with unserializable.no_warning():
            dumped = self.parser.dump(arguments, skip_unset=False, skip_validation=True)
        read = yaml.load(dumped, Loader=_Loader)
        return {key: unserializable.restore(read[key], value) for key, value in given.items()}


@cache
def _signature(cls: type, method: str = "") -> _Signature:
    return _Signature(cls, method)


def _check(
    cls: type,
    section: str,
    values: Mapping[str, Any],
    skip: Iterable[str],
    refused: Mapping[str, str] | None = None,
) -> tuple[Namespace, list[str], list[str]]:
    """All arguments, the names of those given that are right, and a sentence for every fault."""
    known = argument_names(cls, skip)
    faults: dict[str, str] = {}
    reasons = refused or {}
    for key in values:
        if key in reasons:
            faults[key] = f"'{section}.{key}' cannot be set: {reasons[key]}"
        elif key not in known:
            near = nearest(key, known, 1).strip("'") if len(faults) < MOST_FAULTS else ""
            hint = f"; did you mean '{section}.{near}'?" if near else ""
            faults[key] = f"'{section}.{key[:100]}' is not an argument of {cls.__name__}{hint}"
    given = {key: value for key, value in values.items() if key not in faults}
    parsed, wrong = _signature(cls).check(given, lambda key: f"{section}.{key}")
    faults |= wrong
    return parsed, [k for k in given if k not in wrong], [faults[k] for k in values if k in faults]


def _arguments(cls: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All of them, and those that have no default."""
    signature = _signature(cls)
    return signature.names, signature.required


def _text_faults(values: Mapping[str, Any], label: Callable[[str], str]) -> dict[str, str]:
    """Of texts that jsonargparse reads as YAML without a bound, and with the last of two keys."""
    found = {k: value_fault(value) for k, value in values.items() if isinstance(value, str)}
    return {k: f"'{label(k)}' cannot be read: {fault}" for k, fault in found.items() if fault}


def _select(arguments: Namespace, names: Iterable[str]) -> Namespace:
    return Namespace({name: arguments[name] for name in names})  # type: ignore[no-untyped-call]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
