"""What the conformance kit says of faulty datasets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import ROOT, Faults, Faulty, assert_fails, checks_of, data, make

FAULTY: Faulty = [
    ("missing-root", "dataset", data(ROOT % "return super().facts"), "neither facts nor setup"),
    (
        "missing-root",
        "dataset",
        data(ROOT % "return {'n': len(list(Path(self.root).iterdir()))}"),
        "met by FileNotFoundError",
    ),
    (
        "missing-root",
        "dataset",
        data(ROOT % "raise UsageError('the folder is not there: give another')"),
        "does not name the path",
    ),
    (
        "missing-root",
        "dataset",
        data(ROOT % "raise UsageError(f'there is no {self.root}')"),
        "names no remedy",
    ),
    (
        "facts-plain",
        "dataset",
        data("@property\ndef facts(self):\n    return {'mean': torch.zeros(1)}"),
        "JSON does not give back",
    ),
    ("facts-plain", "dataset", data("@property\ndef facts(self):\n    return []"), "is a list"),
    (
        "facts-plain",
        "dataset",
        data("@property\ndef facts(self):\n    return {'label names': []}"),
        "no name that an argument can have",
    ),
    *(
        (
            "facts-true",
            "dataset",
            data(f"@property\ndef facts(self):\n    return {{**super().facts, {fact}}}"),
            note,
        )
        for fact, note in {
            "'num_classes': 2": "num_classes is 2, and labels go from 0 to 2",
            "'label_names': ['a']": "label_names is ['a'], and num_classes is 3",
            "'features': 5": "features is 5, and inputs are (16, 2)",
            "'in_channels': 3": "in_channels is 3, and inputs are (16, 2)",
            "'image_size': [8, 8]": "image_size is [8, 8], and inputs are (16, 2)",
            "'std': [0.0]": "std is [0.0], and it has to be above 0",
            "'train_size': 7": "train_size is 7, the training part has 40",
        }.items()
    ),
    (
        "seed-decides-order",
        "dataset",
        data(
            "def train_dataloader(self):\n    return torch.utils.data.DataLoader("
            "self.parts['train'], self.batch_size, shuffle=True)"
        ),
        "other training batches the second time",
    ),
    (
        "seed-decides-order",
        "dataset",
        data("def train_dataloader(self):\n    return self._loader('train', shuffle=False)"),
        "seeds 0 and 1 give the same",
    ),
    (
        "seed-decides-order",
        "dataset",
        data(
            "def train_dataloader(self):\n    point = torch.tensor([float(os.urandom(1)[0])])\n"
            "    return torch.utils.data.DataLoader([point], batch_size=None)"
        ),
        "other training batches the second time",
    ),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("dataset")


@pytest.mark.parametrize(
    "body",
    [
        "return torch.utils.data.DataLoader([torch.ones(2)], batch_size=None)",
        "return torch.utils.data.DataLoader([(torch.ones(2), torch.ones(2))], batch_size=1)",
        "return torch.utils.data.DataLoader([torch.tensor(3.0)] * 9, batch_size=2)",
    ],
)
def test_one_sample_has_no_order(write: Callable, body: str) -> None:
    write(data(f"def train_dataloader(self):\n    {body}"))
    assert make("seed-decides-order", "dataset").outcome == "passed"
