"""The rows of metrics.csv."""

import csv
from pathlib import Path

import pytest

from zoo.training.csv_logger import MetricsLogger


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_of_one_step_share_a_row(tmp_path: Path) -> None:
    log = MetricsLogger(tmp_path / "metrics.csv")
    log.log_metrics({"val/loss": 0.5, "epoch": 0}, step=4)
    log.log_metrics({"train/loss": 0.7, "epoch": 0}, step=4)
    log.log_metrics({"train/loss": 0.6, "epoch": 1}, step=9)
    log.write()
    text = (tmp_path / "metrics.csv").read_text()
    assert text == "epoch,step,train/loss,val/loss\n0,4,0.7,0.5\n1,9,0.6,\n"


def test_columns_come_as_they_are_logged(tmp_path: Path) -> None:
    log = MetricsLogger(tmp_path / "metrics.csv")
    log.log_metrics({"b": 1.0, "epoch": 0}, step=1)
    log.log_metrics({"a": 2.0, "epoch": 1}, step=2)
    log.write()
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0] == "epoch,step,a,b"


def test_nothing_logged_makes_no_row(tmp_path: Path) -> None:
    log = MetricsLogger(tmp_path / "metrics.csv")
    log.log_metrics({"epoch": 0}, step=1)
    assert log.rows == []
    log.write()
    assert rows(tmp_path / "metrics.csv") == []


def test_full_precision_is_kept(tmp_path: Path) -> None:
    value = 0.1 + 0.2
    log = MetricsLogger(tmp_path / "metrics.csv")
    log.log_metrics({"x": value, "epoch": 0}, step=1)
    log.write()
    assert float(rows(tmp_path / "metrics.csv")[0]["x"]) == value


def test_a_resume_goes_on_without_repeating_rows(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsLogger(path)
    for step in range(1, 6):
        log.log_metrics({"x": float(step), "epoch": step - 1}, step=step)
    log.finalize("success")

    again = MetricsLogger(path)  # its checkpoint was taken after step 3
    again.log_metrics({"x": 40.0, "epoch": 3}, step=4)
    again.log_metrics({"y": 1.0, "epoch": 3}, step=4)
    again.log_metrics({"x": 50.0, "epoch": 4}, step=5)
    again.finalize("success")
    found = rows(path)
    assert [float(row["step"]) for row in found] == [1, 2, 3, 4, 5]
    assert [float(row["x"]) for row in found] == [1, 2, 3, 40, 50]
    assert found[3]["y"] == "1.0"
    assert found[0]["y"] == ""


def test_a_log_that_nothing_follows_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,x\n0,1,0.5\n")
    MetricsLogger(path).finalize("success")
    assert path.read_text() == "epoch,step,x\n0,1,0.5\n"


def test_series(tmp_path: Path) -> None:
    log = MetricsLogger(tmp_path / "metrics.csv")
    log.log_metrics({"train/loss": 3.0, "epoch": 0}, step=1)
    log.log_metrics({"train/loss": 2.0, "val/loss": 4.0, "epoch": 1}, step=2)
    assert log.series() == {"train/loss": [(1, 3.0), (2, 2.0)], "val/loss": [(2, 4.0)]}


def test_save_writes_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsLogger(path)
    log.save()
    assert not path.exists()
    log.log_metrics({"x": 1.0, "epoch": 0}, step=1)
    log.save()
    assert len(rows(path)) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figures_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricsLogger(path)
    log.log_metrics({"x": value, "epoch": 0}, step=1)
    log.write()
    assert str(MetricsLogger(path).rows[0]["x"]) == str(value)
