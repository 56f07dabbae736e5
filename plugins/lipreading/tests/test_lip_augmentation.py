"""Random changes of clips."""

from __future__ import annotations

import pytest
import torch

from zoo_lipreading.augmentation import Augmentation
from zoo_lipreading.layers.masking import valid_frames

LENGTHS = torch.tensor([8, 5, 3])
EVERYTHING = {
    "shift": 0.1, "scaling": 0.1, "rotation": 5.0, "flip": 0.5, "intensity": 0.2, "tempo": 0.3,
    "frame_mask": 2,
}  # fmt: skip


def clips() -> torch.Tensor:
    video = torch.randn(3, 8, 6, 10, generator=torch.Generator().manual_seed(0))
    return video * valid_frames(LENGTHS, 8)[..., None, None]


def test_nothing_changes_in_evaluation() -> None:
    video, lengths = Augmentation(**EVERYTHING).eval()(clips(), LENGTHS)
    assert torch.equal(video, clips())
    assert torch.equal(lengths, LENGTHS)


@pytest.mark.parametrize("name", sorted(EVERYTHING))
def test_each_change_changes_clips_and_keeps_the_padding(name: str) -> None:
    torch.manual_seed(1)
    augmentation = Augmentation(**{name: EVERYTHING[name]}).train()
    video, lengths = augmentation(clips(), LENGTHS)
    assert video.shape[1] == int(lengths.max()) or name != "tempo"
    assert video.shape != clips().shape or not torch.equal(video, clips())
    assert not video[~valid_frames(lengths, video.shape[1])].any()
    assert video.isfinite().all()


def test_a_mirror_image_is_exact() -> None:
    video, _ = Augmentation(flip=1.0).train()(clips(), LENGTHS)
    torch.testing.assert_close(video, clips().flip(3))


def test_all_frames_of_a_clip_move_alike() -> None:
    still = clips()[:, :1].expand(-1, 8, -1, -1)
    video, _ = Augmentation(shift=0.2, scaling=0.2, rotation=10.0).train()(
        still, torch.tensor([8, 8, 8])
    )
    torch.testing.assert_close(video, video[:, :1].expand_as(video))


def test_tempo_resamples_between_the_first_and_the_last_frame() -> None:
    ramp = torch.arange(8.0).view(1, 8, 1, 1).expand(3, 8, 2, 2)
    torch.manual_seed(2)
    video, lengths = Augmentation(tempo=0.4).train()(ramp, LENGTHS)
    assert not torch.equal(lengths, LENGTHS)
    for clip, old, new in zip(video, LENGTHS.tolist(), lengths.tolist(), strict=True):
        values = clip[:new, 0, 0]
        assert float(values.min()) >= 0
        assert float(values.max()) <= old - 1
        place = ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)
        torch.testing.assert_close(values, place)


def test_a_run_of_frames_is_blanked() -> None:
    torch.manual_seed(0)
    ones = torch.ones(200, 8, 1, 1)
    video, _ = Augmentation(frame_mask=3).train()(ones, torch.full((200,), 8))
    blank = (video[:, :, 0, 0] == 0).sum(dim=1)
    assert set(blank.tolist()) == {0, 1, 2, 3}
