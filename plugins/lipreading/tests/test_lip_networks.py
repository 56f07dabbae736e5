"""The networks against slow references, and what padding must not change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from zoo_lipreading.layers.frames import Deltas
from zoo_lipreading.layers.masking import masked_mean, own_frames, pad_frames
from zoo_lipreading.layers.recurrent import Recurrent
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


def test_initialization_is_a_cut_normal_distribution() -> None:
    network = net(feedforward=[200])
    torch.manual_seed(3)
    initialize(network, 0.1)
    weights = network.encoder.frames.feedforward.layers[0][0].weight  # type: ignore[index]
    assert float(weights.detach().abs().max()) <= 0.2
    assert float(weights.detach().std()) == pytest.approx(0.088, abs=0.003)  # of the cut one
    assert not network.head.bias.any()
