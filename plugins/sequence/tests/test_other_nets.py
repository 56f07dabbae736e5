"""Clockwork nets, history compression, meta-learning, music: each against its definition."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat
from torch.nn.utils.rnn import pad_sequence

from zoo.plugin import UsageError
from zoo_sequence.clockwork import ClockworkLearner, ClockworkRNN
from zoo_sequence.data.lag import RepeatedSymbol
from zoo_sequence.data.piano_rolls import JSBChorales
from zoo_sequence.data.quadratics import basis, quadratic
from zoo_sequence.data.waveform import Waveform, synthetic_tone
from zoo_sequence.history_compressor import HistoryCompressor, Predictor
from zoo_sequence.lstm import RecurrentNet
from zoo_sequence.meta_lstm import MetaLSTM
from zoo_sequence.midi import read_midi, roll_to_midi
from zoo_sequence.next_frame import NextFrame
from zoo_sequence.online_learners import online_ridge


@pytest.mark.parametrize("periods", [[1, 2, 4], [1, 3, 4]])
def test_groups_run_at_their_clocks_and_hear_slower_ones(periods: list[int]) -> None:
    torch.manual_seed(0)
    net = ClockworkRNN(2, 7, periods, init_std=0.5).double()
    assert net.sizes == [3, 2, 2]
    clocks = np.repeat(periods, net.sizes)
    inputs = torch.randn(2, 13, 2, dtype=torch.float64)
    found = net(inputs)
    state = torch.zeros(2, 7, dtype=torch.float64)
    for step in range(13):
        new = state.clone()
        for i in range(7):
            if step % clocks[i] == 0:
                heard = sum(
                    net.recurrent[i, j] * state[:, j] for j in range(7) if clocks[j] >= clocks[i]
                )
                new[:, i] = torch.tanh(heard + inputs[:, step] @ net.input[i])
        state = new
        torch.testing.assert_close(found[:, step], state)


def test_clockwork_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="have to ascend"):
        ClockworkRNN(1, 9, [1, 4, 2])
    with pytest.raises(UsageError, match="8 units for 9 groups"):
        ClockworkLearner(units=8)
    wave = synthetic_tone(0)
    assert wave.shape == (320,)
    assert wave.abs().max() == 1
    assert not torch.equal(wave, synthetic_tone(1))
    with pytest.raises(UsageError, match="cannot be read"):
        _ = Waveform(wave=str(tmp_path / "no.wav")).facts


def test_gradients_go_back_as_many_steps_as_said() -> None:
    torch.manual_seed(0)
    net = Predictor(3, 4, 3).double()
    inputs = torch.randn(2, 7, 3, dtype=torch.float64, requires_grad=True)
    states = net.states(inputs, depth=3)
    full, state = [], torch.zeros(2, 4, dtype=torch.float64)
    for step in inputs.unbind(1):
        full.append(state := net.cell(step, state))
    torch.testing.assert_close(states, torch.stack(full, 1))
    for step in range(7):
        (grad,) = torch.autograd.grad(states[:, step].sum(), inputs, retain_graph=True)
        reached = grad.abs().sum((0, 2)).nonzero()[:, 0].tolist()
        assert reached == list(range(max(0, step - 2), step + 1))
        start = max(0, step - 2)
        begin = torch.zeros(2, 4).double() if start == 0 else full[start - 1].detach()
        for each in range(start, step + 1):
            begin = net.cell(inputs[:, each], begin)
        (slow,) = torch.autograd.grad(begin.sum(), inputs)
        torch.testing.assert_close(grad, slow)


def test_the_chunker_sees_the_surprises_alone() -> None:
    torch.manual_seed(0)
    model = HistoryCompressor(6, surprise=0.17)
    sequences = RepeatedSymbol(lag=4, batch_size=8)
    batch = torch.stack([sequences.samples("train")[i] for i in range(8)])
    together, own, _, events = model.tell(batch)
    assert events[:, 0].all()
    assert 0 < events[:, 1:].float().mean() < 1
    chunker = model.chunker
    assert chunker is not None
    for row in range(8):
        state = torch.zeros(1, 8)
        for step in range(5):
            if events[row, step]:
                coded = torch.eye(6)[batch[row, step]]
                seen = torch.cat([coded, torch.tensor([step / 20])])
                state = chunker.cell(seen[None], state)
            told = chunker.output(state).log_softmax(1)[0]
            expected = told if events[row, step + 1] else own[row, step]
            torch.testing.assert_close(together[row, step], expected)
    plain = HistoryCompressor(6, chunker_hidden=0)
    assert torch.equal(*plain.tell(batch)[:2])


def test_biases_are_set_once_and_follow_the_lag() -> None:
    net = RecurrentNet(2, 1, hidden=3, chrono=100)
    forget = net.layer.bias_ih_l0[3:6]
    assert ((forget >= 0) & (forget <= np.log(99))).all()
    torch.testing.assert_close(net.layer.bias_ih_l0[:3], -forget)
    assert (net.layer.bias_hh_l0 == 0).all()


def test_the_meta_learner_never_sees_the_value_it_tells() -> None:
    torch.manual_seed(0)
    model = MetaLSTM(hidden=4)
    sample = quadratic(torch.Generator().manual_seed(1), 8)
    batch = {key: value[None].clone() for key, value in sample.items()}
    before = model.tell(batch)
    batch["values"][0, 5] += 1
    after = model.tell(batch)
    assert torch.equal(before[0, :6], after[0, :6])
    assert not torch.equal(before[0, 6:], after[0, 6:])


def test_the_oracle_is_ridge_regression_on_the_examples_so_far() -> None:
    sample = quadratic(torch.Generator().manual_seed(2), 12)
    points, values = sample["points"].double(), sample["values"].double()
    told = online_ridge(points[None], values[None], penalty=1e-3)[0]
    for step in range(12):
        rows = basis(points[:step])
        padded = torch.cat([rows, 1e-3**0.5 * torch.eye(6).double()])
        wanted = torch.cat([values[:step] - 0.5, torch.zeros(6).double()])
        weights = torch.linalg.lstsq(padded, wanted[:, None]).solution[:, 0]
        expected = basis(points[step]) @ weights + 0.5
        torch.testing.assert_close(told[step], expected, atol=1e-8, rtol=0)


def test_nll_is_per_step_over_all_but_the_first() -> None:
    torch.manual_seed(0)
    model = NextFrame(notes=5, hidden=4, dropout=0)
    rolls = [torch.randint(2, (length, 5)) for length in (6, 4)]
    batch = {"roll": pad_sequence(rolls, batch_first=True), "lengths": torch.tensor([6, 4])}
    losses, counts = model.losses(batch)
    assert counts.tolist() == [5, 3]
    for roll, loss in zip(rolls, losses, strict=True):
        probs = model(roll[None, :-1].float())[0].sigmoid()
        truth = roll[1:].float()
        slow = -(truth * probs.log() + (1 - truth) * (1 - probs).log()).sum()
        torch.testing.assert_close(loss, slow)
    assert (model.network.encoder.layers[0][0].bias_ih_l0[4:8] == 1).all()


def test_music_is_written_and_read_again(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    roll = (random.random((12, 88)) < 0.05).astype(np.uint8)
    roll[-1, 40] = roll[0, 3] = 1
    path = tmp_path / "a.mid"
    path.write_bytes(roll_to_midi(roll))
    np.testing.assert_array_equal(read_midi(path), roll)
    model = NextFrame(88, hidden=4)
    rows = model.produce(tmp_path / "out", count=1, steps=3, start=str(path))
    assert rows[0]["steps"] == 15
    np.testing.assert_array_equal(read_midi(tmp_path / "out" / "piece-1.mid")[:12], roll)
    for content, says in (
        (b"RIFF", "not a MIDI file"),
        (roll_to_midi(roll * 0), "has no note"),
        (roll_to_midi(roll)[:-6], "ends in the middle of an event"),
    ):
        path.write_bytes(content)
        with pytest.raises(UsageError, match=says):
            read_midi(path)


def test_piano_rolls_are_read_and_others_refused(tmp_path: Path) -> None:
    def cells(*rolls: Any) -> np.ndarray:
        found = np.empty((1, len(rolls)), dtype=object)
        found[0] = rolls
        return found

    roll = (np.arange(4 * 88).reshape(4, 88) % 9 == 0).astype(float)
    parts = {"traindata": cells(roll, roll[:3]), "validdata": cells(roll, roll)}
    path = tmp_path / "JSB_Chorales.mat"
    with pytest.raises(UsageError, match="there is no"):
        JSBChorales(str(tmp_path)).setup()
    savemat(path, parts)
    with pytest.raises(UsageError, match="has no testdata"):
        JSBChorales(str(tmp_path)).setup()
    savemat(path, {**parts, "testdata": cells(roll, 2 * roll)})
    with pytest.raises(UsageError, match="piece 2 of testdata is not rows of 88"):
        JSBChorales(str(tmp_path)).setup()
    savemat(path, {**parts, "testdata": cells(roll, roll)})
    data = JSBChorales(str(tmp_path))
    assert [len(data.samples(part)) for part in ("train", "val", "test")] == [2, 2, 2]
    batch = next(iter(data.train_dataloader()))
    assert sorted(batch["lengths"].tolist()) == [3, 4]
