"""The networks against slow references, and what padding must not change."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from zoo_lipreading.layers.frames import Deltas
from zoo_lipreading.layers.masking import masked_mean, own_frames, pad_frames
from zoo_lipreading.layers.recurrent import Recurrent
from zoo_lipreading.lipreader import Lipreader
from zoo_lipreading.networks import Encoder, LipreaderNet, initialize

LENGTHS = torch.tensor([7, 3, 5, 1])


def clips(seed: int = 0, height: int = 6, width: int = 8) -> torch.Tensor:
    """Clips of ``LENGTHS`` frames with rubbish after their ends."""
    return torch.randn(
        4, 7, height, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def net(**changes: object) -> LipreaderNet:
    torch.manual_seed(1)
    arguments: dict[str, object] = {"feedforward": [9, 5], "lstm": [6, 4], **changes}
    return LipreaderNet(Encoder([6, 8], **arguments), 3, [5]).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("front", [{}, {"channels": [3, 4]}, {"deltas": 2}, {"feedforward": []}])
def test_what_follows_a_clips_end_changes_nothing(
    pooling: str, bidirectional: bool, front: dict[str, object]
) -> None:
    network = net(pooling=pooling, bidirectional=bidirectional, **front).eval()
    video = clips()
    together = network(video, LENGTHS)
    for index, length in enumerate(LENGTHS.tolist()):
        alone = network(video[index : index + 1, :length])
        torch.testing.assert_close(together[index : index + 1], alone)


def test_padding_is_not_in_batch_statistics() -> None:
    first, second = (net(channels=[3], dropout=0.0).train() for _ in range(2))
    video = clips()
    longer = torch.cat([video, 100 + clips(1)], dim=1)
    first(video, LENGTHS)
    second(longer, LENGTHS)
    for name, value in first.named_buffers():
        torch.testing.assert_close(value, dict(second.named_buffers())[name])


@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers_do_what_packed_sequences_do(bidirectional: bool) -> None:
    torch.manual_seed(2)
    layers = Recurrent(5, [4], bidirectional, dropout=0.0).double()
    sequence = torch.randn(4, 7, 5, dtype=torch.float64)
    _, last = layers(sequence, LENGTHS)
    packed = pack_padded_sequence(sequence, LENGTHS, batch_first=True, enforce_sorted=False)
    _, (state, _) = layers.layers[0](packed)
    torch.testing.assert_close(last, torch.cat(list(state), dim=1))


def test_deltas_are_half_of_next_minus_previous() -> None:
    video = clips().numpy()
    frames, first, last = own_frames(torch.from_numpy(video), LENGTHS)
    found = Deltas(2)(frames, first, last)
    rows = []
    for clip, length in zip(video, LENGTHS.tolist(), strict=True):
        one = clip[:length]
        for _ in range(2):
            edged = np.concatenate([one[:1], one, one[-1:]])
            one = (edged[2:] - edged[:-2]) / 2
            rows.append(one)
    wanted = np.concatenate(rows[0::2]), np.concatenate(rows[1::2])
    assert found.shape == (16, 3, 6, 8)
    for order, reference in enumerate(wanted, start=1):
        np.testing.assert_allclose(found[:, order].numpy(), reference)


def test_frames_come_back_where_they_were() -> None:
    sequence = torch.randn(4, 7, 3)
    frames, first, last = own_frames(sequence, LENGTHS)
    assert len(frames) == int(LENGTHS.sum())
    assert int(first.sum()) == int(last.sum()) == 4
    padded = pad_frames(frames, LENGTHS, (4, 7))
    for index, length in enumerate(LENGTHS.tolist()):
        assert torch.equal(padded[index, :length], sequence[index, :length])
        assert not padded[index, length:].any()
        mean = sequence[index, :length].mean(dim=0)
        torch.testing.assert_close(masked_mean(sequence, LENGTHS)[index], mean)
    assert torch.equal(pad_frames(own_frames(sequence, None)[0], None, (4, 7)), sequence)


def test_initialization_is_the_labs() -> None:
    network = net(feedforward=[200], channels=[4], lstm=[30])
    norm = copy.deepcopy(network.encoder.frames.front.layers[1])  # type: ignore[union-attr]
    torch.manual_seed(3)
    initialize(network, 0.1)
    linear = network.encoder.frames.feedforward.layers[0][0]  # type: ignore[index]
    for parameter in (linear.weight, linear.bias, network.head.bias):
        assert 0 < float(parameter.detach().abs().max()) <= 0.2
    assert float(linear.weight.detach().std()) == pytest.approx(0.088, abs=0.003)  # of the cut one
    (lstm,) = network.encoder.lstm.layers
    bound = (6 / (200 + 30 + 4 * 30)) ** 0.5  # Glorot's, of inputs and state side by side
    for weight in (lstm.weight_ih_l0, lstm.weight_hh_l0):
        assert 0.95 * bound < float(weight.detach().abs().max()) <= bound
        assert float(weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.03)
    biases = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach().unflatten(0, (4, 30))
    assert torch.equal(biases[1], torch.ones(30, dtype=torch.double))  # the forget gates are open
    assert not biases[[0, 2, 3]].any()
    kept = network.encoder.frames.front.layers[1]  # type: ignore[union-attr]
    assert torch.equal(kept.weight, norm.weight)  # a normalization is no layer of theirs


def test_the_labs_net_layer_by_layer() -> None:
    """As OtherScripts/adv_fc.py builds it: FC128 tanh, dropout, FC128 tanh, dropout, LSTM128, last
    frame; then FC128 tanh and the words, and beside it dropout, FC128 tanh and the speakers."""
    model = Lipreader(
        num_classes=51, num_speakers=9, image_size=[40, 40], preset="lab", adversary_weight=1.0,
        adversary_classes="speaker", adversary_dropout=0.5,
    )  # fmt: skip

    def described(module: nn.Module) -> list[str]:
        found = []
        for layer in module.modules():
            if isinstance(layer, nn.Linear):
                found.append(f"{layer.in_features}-{layer.out_features}")
            elif isinstance(layer, nn.LSTM):
                found.append(f"LSTM {layer.input_size}-{layer.hidden_size}")
            elif isinstance(layer, nn.Dropout) and layer.p:
                found.append(f"dropout {layer.p}")
            elif isinstance(layer, nn.Tanh):
                found.append("tanh")
        return found

    frames, recurrent = model.network.encoder.frames, model.network.encoder.lstm
    assert described(frames) == [
        "1600-128", "tanh", "dropout 0.5", "128-128", "tanh", "dropout 0.5",
    ]  # fmt: skip
    assert recurrent.output_dropout.p == 0  # that between layers has no place in one layer
    assert described(recurrent)[:1] == ["LSTM 128-128"]
    assert described(model.network.classifier) == ["128-128", "tanh"]
    assert described(model.network.head) == ["128-51"]
    assert model.adversary is not None
    assert described(model.adversary) == ["dropout 0.5", "128-128", "tanh", "128-9"]
