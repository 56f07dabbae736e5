"""Checks of the class of a model or dataset and of its constructor arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, get_type_hints

from zoo.errors import nearest
from zoo.plugin.declarations import conformance_arguments, conformance_exempt
from zoo.plugin.protocols import NotExportable
from zoo.recipes.object_arguments import is_plain
from zoo.recipes.signatures import argument_names
from zoo.registry.registry import registry
from zoo.testing.check import CHECKS, check
from zoo.testing.own_checks import fault_of
from zoo.testing.results import CheckFailed
from zoo.testing.subjects import ClassSubject, DatasetSubject

_LOADER_ARGUMENTS = ("batch_size", "num_workers", "seed", "split")


@check(
    "class-exists",
    "model",
    "dataset",
    why="an entry whose class does not import is found out by a user, in the middle of work",
    remedy="correct class_path= in plugin.py, and declare what the module imports as dependencies",
)
def class_exists(subject: ClassSubject) -> None:
    """The class imports and is a LightningModule or a LightningDataModule."""
    from lightning.pytorch import LightningDataModule, LightningModule

    cls = registry().load(subject.entry)
    wanted = LightningDataModule if isinstance(subject, DatasetSubject) else LightningModule
    if not inspect.isclass(cls) or not issubclass(cls, wanted):
        raise CheckFailed(f"{subject.entry.class_path} is not a {wanted.__name__}")


@check(
    "arguments-typed",
    "model",
    "dataset",
    why="types are what `zoo train` checks a recipe and reads a command line by",
    remedy="annotate every argument of __init__, such as `lr: float = 0.01`",
)
def arguments_typed(subject: ClassSubject) -> None:
    """Every constructor argument has a type that can be read at run time."""
    untyped = [
        name
        for name, parameter in parameters(subject.cls).items()
        if parameter.annotation in (inspect.Parameter.empty, Any)
    ]
    if untyped:
        raise CheckFailed(f"no type says what {', '.join(untyped)} may be")


@check(
    "arguments-primitive",
    "model",
    "dataset",
    why="arguments are kept as YAML and JSON, and they alone rebuild the object",
    remedy="take bool, int, float, str, None, Literal, or lists and dicts of them, and make the "
    "object inside __init__",
)
def arguments_primitive(subject: ClassSubject) -> None:
    """Every constructor argument is a primitive, or a list or dict of them."""
    for name, parameter in parameters(subject.cls).items():
        kind = parameter.annotation
        if kind is not inspect.Parameter.empty and not is_plain(kind):
            raise CheckFailed(f"{name} is of type {inspect.formatannotation(kind)}")
        if parameter.default is not inspect.Parameter.empty:
            try:
                json.dumps(parameter.default)
            except (TypeError, ValueError):
                raise CheckFailed(f"the default of {name} is {parameter.default!r}") from None


@check(
    "arguments-documented",
    "model",
    "dataset",
    why="the docstring is the help that `zoo train RECIPE --help` shows",
    remedy="add an `Args:` section to the class's docstring with a line for each argument",
)
def arguments_documented(subject: ClassSubject) -> None:
    """The docstrings of the class and of those it hands arguments on to name every argument."""
    from docstring_parser import parse

    documented = {
        entry.arg_name
        for cls in subject.cls.__mro__[:-1]
        if not cls.__module__.startswith(("torch.", "lightning."))
        for text in (vars(cls).get("__doc__"), getattr(vars(cls).get("__init__"), "__doc__", None))
        for entry in parse(text or "").params
        if (entry.description or "").strip()
    }
    missing = [name for name in parameters(subject.cls) if name not in documented]
    if missing:
        raise CheckFailed(
            f"the docstring of {subject.cls.__name__} leaves out {', '.join(missing)}"
        )


@check(
    "loader-arguments",
    "dataset",
    why="a recipe and the command line set them by these names for every dataset",
    remedy="add them to __init__ (split: str = 'standard', 'all' makes everything test data) and "
    "root: str where files are read",
)
def loader_arguments(subject: DatasetSubject) -> None:
    """The dataset takes root unless embedded, and where its loaders make batches of samples also
    batch_size, num_workers, seed and split."""
    names = argument_names(subject.cls)
    of_loaders = _LOADER_ARGUMENTS if _batches_samples(subject) else ()
    wanted = [*of_loaders, *([] if subject.entry.embedded else ["root"])]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise CheckFailed(f"{subject.cls.__name__} does not take {', '.join(missing)}")


@check(
    "declarations",
    "model",
    "dataset",
    why="a misspelt exemption exempts nothing, and one without a reason hides a fault",
    remedy="conformance_exempt = {check: reason}, conformance_arguments = {argument: value} and "
    "not_exportable = reason are class attributes",
)
def declarations(subject: ClassSubject) -> None:
    """The class declares to the kit checks and arguments that exist."""
    exempt = conformance_exempt(subject.cls)
    arguments = conformance_arguments(subject.cls)
    arguments = {} if arguments is None else arguments
    for name, value in (("conformance_exempt", exempt), ("conformance_arguments", arguments)):
        if not isinstance(value, Mapping):
            raise CheckFailed(f"{name} is {value!r}, which is not a dict")
    for name, reason in exempt.items():
        if name not in CHECKS:
            near = nearest(str(name), CHECKS, 1)
            raise CheckFailed(
                f"there is no check {name!r}" + (f"; did you mean {near}?" if near else "")
            )
        _require_reason(f"conformance_exempt[{name!r}]", reason)
    _require_checks(subject.cls)
    for name in arguments:
        if name not in argument_names(subject.cls):
            raise CheckFailed(f"conformance_arguments: {name!r} is not an argument")
    if isinstance(subject.cls, NotExportable):
        _require_reason("not_exportable", subject.cls.not_exportable)


def _batches_samples(subject: DatasetSubject) -> bool:
    """Whether its training batches are made of samples, as far as can be seen: those of a learner
    that makes its own data, or learns in one pass, need not be."""
    try:
        data = subject.build()
        data.setup("fit")
        return getattr(data.train_dataloader(), "batch_size", None) is not None
    except (Exception, SystemExit):  # noqa: BLE001  # not available, or another check's matter
        return True


def parameters(cls: type) -> dict[str, inspect.Parameter]:
    """The constructor's arguments, those handed on through ``**kwargs`` included, with types in
    place of text in their annotations."""
    found: dict[str, inspect.Parameter] = {}
    for owner in cls.__mro__[:-1]:
        init = vars(owner).get("__init__")
        if init is None:
            continue
        try:
            hints = get_type_hints(init)
        except NameError as error:
            raise CheckFailed(
                f"a type of {owner.__name__}.__init__ cannot be read at run time: {error}"
            ) from error
        own = list(inspect.signature(init).parameters.values())[1:]
        for each in own:
            if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                found.setdefault(
                    each.name, each.replace(annotation=hints.get(each.name, each.empty))
                )
        if not any(each.kind is each.VAR_KEYWORD for each in own):
            break
    accepted = argument_names(cls)
    return {name: parameter for name, parameter in found.items() if name in accepted}


def _require_checks(cls: type) -> None:
    """The checks of its own are functions that say why they matter."""
    declared: object = getattr(cls, "conformance_checks", {})
    if not isinstance(declared, Mapping):
        raise CheckFailed(f"conformance_checks is {declared!r}, which is not a dict")
    for name, function in declared.items():
        if fault := fault_of(name, function):
            raise CheckFailed(fault)


def _require_reason(what: str, reason: Any) -> None:
    if not isinstance(reason, str) or not reason.strip():
        raise CheckFailed(f"{what} is {reason!r}, not a reason")
