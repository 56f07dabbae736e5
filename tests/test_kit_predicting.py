"""What the conformance kit says of models that predict or produce wrongly."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest
from small_plugin import Faults, Faulty, assert_fails, checks_of, make, model

READER = """
input_suffixes = (".csv",)

def read_file(self, path):
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return torch.tensor([float(each) for each in lines[0].split(",")])
    except ValueError as error:
        raise UsageError(f"{path} is not a row of numbers") from error

def predict_step(self, batch, batch_idx):
    return self(batch).softmax(1)

def describe_prediction(self, output):
    return {"label": int(output.argmax())}

def draw_predictions(self, names, samples, outputs):
    from matplotlib.figure import Figure
    return Figure()
"""
PRODUCER = """
def produce(self, folder, *, count: int = 16, seed: int = 0):
    random = torch.Generator().manual_seed(seed)
    if folder is not None:
        (folder / "samples.txt").write_text("some")
    return [{"x": float(torch.rand(1, generator=random))} for _ in range(count)]
"""
PLAYER = """
def play(self, folder, *, episodes: int = 10):
    return [{"return": 1.0} for _ in range(episodes)]
"""


def reads(old: str = "", new: str = "", more: str = "") -> Faults:
    """A model that reads files, spoiled; of two members of one name the later one counts."""
    assert old in READER
    found = model(READER.replace(old, new) + textwrap.dedent(more))
    return {"model": f"from zoo.plugin import UsageError\n{found['model']}"}


FAULTY: Faulty = [
    (
        "predicts",
        "model",
        model("input_suffixes = ('.png',)\ndef read_file(self, path):\n    return None"),
        "it has input_suffixes, read_file and lacks describe_prediction",
    ),
    (
        "predicts",
        "model",
        reads("except ValueError", "except KeyError"),
        "read_file of a damaged .csv is met by UnicodeDecodeError",
    ),
    ("predicts", "model", reads("int(output.argmax())", "output.argmax()"), "a Tensor, which is"),
    ("predicts", "model", reads("self(batch)", "self.absent(batch)"), "has no attribute 'absent'"),
    (
        "predicts",
        "model",
        reads(
            'return {"label": int(output.argmax())}',
            "self.told = getattr(self, 'told', 0) + 1\n    return {'label': self.told}",
        ),
        "give other predictions the second time",
    ),
    ("predicts", "model", reads("    return Figure()", "    return None"), "page-001.png"),
    (
        "predicts",
        "model",
        reads("    return self(batch)", "    open('log', 'w').close()\n    return self(batch)"),
        "without --out it wrote log",
    ),
]
PRODUCED: Faulty = [
    (
        "produces",
        "model",
        model(
            PRODUCER.replace(
                "if folder is not None:",
                "from pathlib import Path\n    if True:\n        folder = folder or Path()",
            )
        ),
        "without a folder it wrote samples.txt",
    ),
    (
        "produces",
        "model",
        model(PRODUCER.replace("manual_seed(seed)", "manual_seed(os.urandom(1)[0] + os.getpid())")),
        "with the same seed gives other rows",
    ),
    (
        "produces",
        "model",
        model(PRODUCER.replace("[{", "[str({").replace("}", "})")),
        "not a list of one dict",
    ),
    ("produces", "model", model(PRODUCER.replace("count)]", "0)]")), "returned no row"),
    ("produces", "model", model(PRODUCER.replace("float(", "(")), "JSON does not hold"),
    ("produces", "model", model(PLAYER.replace(": int", "")), "no type says"),
    ("produces", "model", model(PLAYER.replace(" = 10", "")), "has no default"),
    (
        "produces",
        "model",
        model(PRODUCER.replace("(folder /", "(folder.parent /")),
        "beside its folder it wrote samples.txt",
    ),
    ("produces", "model", model(PLAYER.replace("1.0", "1 / 0")), "ZeroDivisionError"),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), [*FAULTY, *PRODUCED])
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("predicting")
    assert {check for check, *_ in PRODUCED} == checks_of("producing")


def test_a_model_that_reads_files_passes(write: Callable) -> None:
    write(reads())
    result = make("predicts", "model")
    assert (result.outcome, result.note) == ("passed", "on 2 files *.csv")


def test_files_of_a_kind_that_the_kit_does_not_know(write: Callable) -> None:
    write(reads('".csv"', '".points"'))
    result = make("predicts", "model")
    assert result.outcome == "passed"
    assert "the kit knows no file that it reads" in result.note


def test_files_that_the_model_writes(write: Callable) -> None:
    files = """
        def write_example_files(self, folder):
            (folder / "one.points").write_text("1, 2")
            return [folder / "one.points"]
    """
    write(reads('".csv"', '".points"', files))
    assert make("predicts", "model").note == "on 1 files of its own"


def test_a_model_that_neither_reads_nor_produces(write: Callable) -> None:
    write({})
    assert make("predicts", "model").note == "it reads no files"
    assert make("produces", "model").note == "it neither produces nor plays"


@pytest.mark.parametrize("seed", [", seed: int = 0", ""])
def test_a_producer_passes(write: Callable, seed: str) -> None:
    body = PRODUCER.replace(", seed: int = 0", seed)
    write(model(body if seed else body.replace("manual_seed(seed)", "manual_seed(0)")))
    result = make("produces", "model")
    assert (result.outcome, result.note) == ("passed", "2 rows")


def test_a_player_passes(write: Callable) -> None:
    write(model(PLAYER))
    result = make("produces", "model")
    assert (result.outcome, result.note) == ("passed", "1 rows")
