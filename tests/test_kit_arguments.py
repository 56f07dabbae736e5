"""What the conformance kit says of classes with faulty arguments and declarations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import INIT, Faults, Faulty, assert_fails, checks_of, data, model, plugin

FAULTY: Faulty = [
    ("class-exists", "model", plugin("model:Net", "model:Absent"), "which does not exist"),
    ("class-exists", "model", plugin("model:Net", "absent:Net"), "does not import"),
    ("class-exists", "model", plugin("model:Net", "data:Data"), "is not a LightningModule"),
    ("class-exists", "dataset", plugin("data:Data", "model:Net"), "is not a LightningDataModule"),
    ("arguments-typed", "model", model(INIT % "=3"), "what secret may be"),
    (
        "arguments-typed",
        "dataset",
        data("def __init__(self, batch_size=8):\n    super().__init__(batch_size)"),
        "what batch_size may be",
    ),
    ("arguments-typed", "model", model(INIT % ": 'Unknown' = 3"), "cannot be read at run time"),
    (
        "arguments-primitive",
        "model",
        model(INIT % ": torch.device | None = None"),
        "secret is of type torch.device",
    ),
    ("arguments-primitive", "model", model(INIT % ": tuple[int, int] = (1, 2)"), "tuple[int, int]"),
    ("arguments-primitive", "model", model(INIT % ": list = [nn.ReLU()]"), "default of secret"),
    ("arguments-documented", "model", model(INIT % ": int = 3"), "leaves out secret"),
    (
        "loader-arguments",
        "dataset",
        data("def __init__(self, batch_size: int = 8) -> None:\n    super().__init__(batch_size)"),
        "does not take num_workers, seed, split",
    ),
    ("loader-arguments", "dataset", plugin(", embedded=True", ""), "does not take root"),
    (
        "declarations",
        "model",
        model("conformance_exempt = {'overfits-one-bach': 'rewards'}"),
        "did you mean 'overfits-one-batch'?",
    ),
    ("declarations", "model", model("conformance_exempt = {'fits': ''}"), "not a reason"),
    ("declarations", "model", model("conformance_exempt = ['fits']"), "not a dict"),
    ("declarations", "model", model("conformance_arguments = {'hide': 3}"), "'hide' is not an arg"),
    ("declarations", "model", model("not_exportable = True"), "not_exportable is True"),
    ("declarations", "model", model("conformance_checks = []"), "conformance_checks is []"),
    ("declarations", "model", model("conformance_checks = {'even': 3}"), "cannot be called"),
    ("declarations", "model", model("conformance_checks = {'fits': print}"), "the kit's own name"),
    (
        "declarations",
        "model",
        model("conformance_checks = {'even': lambda model: None}"),
        "has no docstring",
    ),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("arguments")
