"""Reservoirs: states against a loop, readouts against the normal equations, streams, votes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from zoo.plugin import Fold, UsageError
from zoo_sequence.data.laser import Laser
from zoo_sequence.data.series import Series, read_series
from zoo_sequence.echo_state import EchoState
from zoo_sequence.reservoir import Reservoirs, at_support, ridge


def test_states_are_the_loop_of_the_equation() -> None:
    torch.manual_seed(0)
    nets = Reservoirs(2, 5, members=3, spectral_radius=0.7, leak=0.3).double()
    series = torch.randn(2, 6, 2, dtype=torch.float64)
    found = nets(series)
    torch.testing.assert_close(nets(series.clone().requires_grad_()), found)
    one, row = Reservoirs(2, 5, leak=0.3).double(), series[:1]
    torch.testing.assert_close(one(row.clone().requires_grad_()), one(row))
    for member in range(3):
        inner, into = nets.inner[member], nets.into[member]
        assert torch.linalg.eigvals(inner).abs().max() == pytest.approx(0.7, abs=1e-6)
        for row in range(2):
            state = torch.zeros(5, dtype=torch.float64)
            for step in range(6):
                seen = torch.cat([torch.ones(1, dtype=torch.float64), series[row, step]])
                state = 0.7 * state + 0.3 * torch.tanh(into @ seen + inner @ state)
                torch.testing.assert_close(found[member, row, step], state)


def test_the_readout_solves_the_normal_equations() -> None:
    torch.manual_seed(0)
    rows, wanted = torch.randn(2, 30, 4).double(), torch.randn(30, 3).double()
    found = ridge(rows.mT @ rows, rows.mT @ wanted, 0.1)
    for member in range(2):
        padded = torch.cat([rows[member], 0.1**0.5 * torch.eye(4).double()])
        targets = torch.cat([wanted, torch.zeros(4, 3).double()])
        expected = torch.linalg.lstsq(padded, targets).solution
        torch.testing.assert_close(found[member], expected)


def test_support_states_are_interpolated_to_each_series_own_end() -> None:
    states = torch.arange(10.0)[None, None, :, None].expand(1, 2, 10, 1)
    found = at_support(states, torch.tensor([4, 10]), 3)
    torch.testing.assert_close(found[0], torch.tensor([[1.0, 2.0, 3.0], [3.0, 6.0, 9.0]]))
    found = at_support(states, torch.tensor([4, 10]), 2)
    torch.testing.assert_close(found[0], torch.tensor([[1.5, 3.0], [4.5, 9.0]]))
    assert at_support(states, torch.tensor([4, 10]), 1)[0].flatten().tolist() == [3, 9]


def test_a_stream_in_pieces_is_the_series_at_once() -> None:
    series = torch.sin(torch.arange(301).double() * 0.3)[:, None]
    models = []
    for pieces in ([300], [7, 113, 180]):
        torch.manual_seed(1)
        model = EchoState(1, units=20, washout=50, penalty=1e-4, standardize=False)
        model = model.double()
        start = 0
        for length in pieces:
            piece = series[start : start + length + 1]
            model.add_series(piece[None, :-1], piece[None, 1:])
            start += length
        model.solve()
        models.append(model)
    torch.testing.assert_close(models[0].squares, models[1].squares, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(models[0].readout, models[1].readout, rtol=0, atol=1e-8)
    rows = models[0].produce(None, steps=5)
    wanted = torch.sin(torch.arange(301, 306) * 0.3)
    for row, value in zip(rows, wanted.tolist(), strict=True):
        assert row["value"] == pytest.approx(value, abs=0.05)


def test_a_forecast_is_drawn_behind_the_washout() -> None:
    series = torch.sin(torch.arange(121) * 0.3)[:, None]
    model = EchoState(1, units=20, washout=50, penalty=1e-4, standardize=False)
    model.add_series(series[None, :-1], series[None, 1:])
    model.solve()
    drawn = model.draw_plots({"series": series[None, :-1], "targets": series[None, 1:]})
    truth, told = (line.get_ydata() for line in drawn["forecast"].axes[0].lines)
    assert np.isnan(told[:50]).all()
    assert np.allclose(told[50:], truth[50:], atol=0.05)


def test_members_vote_by_their_sum() -> None:
    torch.manual_seed(0)
    model = EchoState(2, num_classes=3, label_names=["a", "b", "c"], units=4, members=5)
    model.readout.normal_()
    series, lengths = torch.randn(3, 9, 2), torch.tensor([9, 5, 7])
    seen, _ = model.features(series)
    rows = at_support(seen, lengths, 3)
    each = [torch.cat([rows[m], torch.ones(3, 1)], 1) @ model.readout[m] for m in range(5)]
    torch.testing.assert_close(model(series, lengths), torch.stack(each).mean(0))
    with pytest.raises(UsageError, match="give it files"):
        model.produce(None)


HEAD = "@problemName x\n@timeStamps false\n@classLabel true a b\n@data\n"


def write(folder: Path, train: str, test: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "X_TRAIN.ts").write_text(HEAD + train)
    (folder / "X_TEST.ts").write_text(HEAD + (test or train))
    return folder


def test_series_of_unequal_lengths_with_missing_values(tmp_path: Path) -> None:
    root = write(tmp_path, "1,?,3:4,5,6:a\n1,2:?,8:b\n")
    with pytest.raises(UsageError, match=r"2 series .* missing values, the first at .*line 5"):
        Series(str(root)).setup()
    data = Series(str(root), missing="interpolate", batch_size=2)
    batch = next(iter(data.test_dataloader()))
    assert batch["lengths"].tolist() == [3, 2]
    assert batch["series"][0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert batch["series"][1, :2].tolist() == [[1, 8], [2, 8]]
    assert batch["labels"].tolist() == [0, 1]


def test_tsv_has_the_class_first_and_short_series_are_not_filled_up(tmp_path: Path) -> None:
    path = tmp_path / "Y_TRAIN.tsv"
    path.write_text("1\t0.5\t0.25\tNaN\n2\t1\t2\t3\n")
    assert [(c.label, c.values[:, 0].tolist()) for c in read_series(path)] == [
        ("1", [0.5, 0.25]),
        ("2", [1, 2, 3]),
    ]


@pytest.mark.parametrize(
    ("train", "test", "says"),
    [
        ("1,2:a\n3,4:a\n", "", "all series of the training part are of the class 'a'"),
        ("1,2:a\n3,4:b\n", "1,2:c\n", "has the class 'c'"),
        ("1,2:a\n3,4:5,6:b\n", "", "line 6 has 2 channels, the first has 1"),
        ("1,x:a\n3,4:b\n", "", "line 5 has 'x', which is not a number"),
        ("1,inf:a\n3,4:b\n", "", "not finite"),
        ("a\n", "", "line 5 has no values"),
    ],
)
def test_wrong_series_are_refused(tmp_path: Path, train: str, test: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Series(str(write(tmp_path, train, test))).setup()


def test_several_problems_need_a_name(tmp_path: Path) -> None:
    for name in "AB":
        for part in ("TRAIN", "TEST"):
            (tmp_path / f"{name}_{part}.ts").write_text(HEAD + "1:a\n2:b\n")
    with pytest.raises(UsageError, match=r"name one by --data\.problem"):
        Series(str(tmp_path)).setup()
    with pytest.raises(UsageError, match="no problem 'C'"):
        Series(str(tmp_path), problem="C").setup()
    assert Series(str(tmp_path), problem="B").facts["num_classes"] == 2


def test_pieces_of_a_series_follow_each_other(tmp_path: Path) -> None:
    np.save(tmp_path / "santafe_laser.npy", np.arange(100))
    data = Laser(str(tmp_path), train_steps=50, val_steps=10, test_steps=40, piece=20)
    train = [b["series"][0, :, 0].tolist() for b in data.train_dataloader()]
    assert [v for piece in train for v in piece] == list(range(49))
    targets = [b["targets"][0, :, 0].tolist() for b in data.test_dataloader()]
    assert [v for piece in targets for v in piece] == list(range(61, 100))
    for arguments, says in (
        ({"train_steps": 90}, "has 100 steps"),
        ({"batch_size": 2}, "follow each other"),
    ):
        with pytest.raises(UsageError, match=says):
            _ = Laser(str(tmp_path), **arguments).facts  # type: ignore[arg-type]


def test_vowels_are_told_apart(real: Any) -> None:
    root = real("series")
    torch.manual_seed(1)
    data = Series(str(root), problem="JapaneseVowels", batch_size=400)
    facts = data.facts
    assert (len(data.samples("train")), len(data.samples("test"))) == (270, 370)
    model = EchoState(
        **{k: facts[k] for k in ("channels", "num_classes", "label_names", "mean", "std")},
        units=4, members=10, spectral_radius=0.2, leak=0.2, input_scale=1.5, penalty=0.01,
        standardize=False,
    )  # fmt: skip
    for batch in data.train_dataloader():
        model.training_step(batch, 0)
    model.solve()
    (batch,) = data.test_dataloader()
    wrong = int((model(batch["series"], batch["lengths"]).argmax(1) != batch["labels"]).sum())
    assert wrong <= 15


def test_series_are_divided_into_folds(tmp_path: Path) -> None:
    """What is held out is validated on, and mean and deviation are of the rest."""
    root = write(tmp_path, "1,1:a\n3,3:b\n5,5:a\n7,7:b\n", "9,9:a\n")
    samples = Series(str(root)).fold_samples()
    assert samples.classes == ["a", "b", "a", "b"]
    assert samples.groups is None
    data = Series(str(root))
    data.use_fold(Fold(1, 2, 4, samples.fingerprint, (0, 3)))
    data.setup()
    first = [
        [float(case["series"][0]) for case in data.samples(part)]
        for part in ("train", "val", "test")
    ]
    assert first == [[3, 5], [1, 7], [9]]
    assert data.facts["mean"] == [4]
    other = write(tmp_path / "other", "1,1:a\n3,3:b\n")
    moved = Series(str(other))
    moved.use_fold(Fold(1, 2, 4, samples.fingerprint, (0, 3)))
    with pytest.raises(UsageError, match="made of 4 samples"):
        moved.setup()


def test_a_validation_measures_the_readout_of_its_epoch(tmp_path: Path) -> None:
    """What is validated on is what is trained on here, so that it has to be told apart."""
    cases = "1,2,3:a\n-1,-2,-3:b\n2,2,4:a\n-2,-2,-4:b\n1,3,3:a\n-1,-3,-3:b\n"
    data = Series(str(write(tmp_path, cases)), val_fraction=0.5)
    facts = data.facts
    model = EchoState(
        units=8, num_classes=2, label_names=facts["label_names"], channels=1,
        mean=facts["mean"], std=facts["std"],
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, data)
    assert trainer.callback_metrics["val/error"] == 0
