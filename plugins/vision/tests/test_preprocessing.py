import math

import numpy as np
import pytest
import torch
from skimage import color, exposure

from zoo.plugin import UsageError
from zoo_vision.color import lab_to_rgb, rgb_to_lab
from zoo_vision.preprocessing import (
    CONTRASTS,
    adapthisteq,
    conorm,
    histeq,
    imadjust,
    normalize_width,
    on_lightness,
    preprocessing,
)


def pictures(count=3, channels=1, height=48, width=48) -> torch.Tensor:
    """Smooth random pictures, each of its own narrow range of values."""
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(count, channels, 7, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, (height, width), mode="bicubic").clamp(0, 1)
    scale = torch.linspace(0.3, 0.9, count).view(-1, 1, 1, 1)
    return 0.05 + scale * smooth + 0.02 * torch.rand(smooth.shape, generator=generator)


def channels_last(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).double().numpy()


# Color


def test_lab_is_scikit_images():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images[0, :, 0, :4] = torch.tensor([[0, 1, 0.01, 0.04]] * 3)
    np.testing.assert_allclose(
        channels_last(rgb_to_lab(images)), color.rgb2lab(channels_last(images)), atol=2e-3
    )


def test_lab_goes_back_to_the_same_colors():
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(lab_to_rgb(rgb_to_lab(images)), images, atol=2e-5)


# Contrast


def test_imadjust_saturates_one_per_cent_at_each_end():
    images = pictures()
    adjusted = imadjust(images)
    for given, got in zip(images[:, 0].numpy(), adjusted[:, 0].numpy(), strict=True):
        low, high = np.percentile(given, [1, 99])
        expected = exposure.rescale_intensity(given, in_range=(low, high), out_range=(0.0, 1.0))
        np.testing.assert_allclose(got, expected, atol=1e-5)
        assert (got == 0).mean() == pytest.approx(0.01, abs=0.002)
        assert (got == 1).mean() == pytest.approx(0.01, abs=0.002)


def test_histeq_is_scikit_images():
    images = pictures()
    for given, got in zip(images[:, 0], histeq(images)[:, 0], strict=True):
        expected = exposure.equalize_hist(given.numpy(), nbins=256)
        # A value at a bin's edge may fall on its other side in float32.
        difference = np.abs(got.numpy() - expected)
        assert np.mean(difference < 1e-3) > 0.99
        assert difference.max() < 0.01


def clahe(image: np.ndarray, tile: int, clip: float) -> np.ndarray:
    """Contrast-limited adaptive equalization, pixel by pixel; the image divides into tiles."""
    height, width = image.shape
    rows, columns = height // tile, width // tile
    tables = np.zeros((rows, columns, 256))
    limit = 1 + round(clip * (tile * tile - 1))
    for row in range(rows):
        for column in range(columns):
            cell = image[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
            counts, _ = np.histogram(cell, bins=256, range=(0, 1))
            kept = np.minimum(counts, limit).astype(float)
            kept += (tile * tile - kept.sum()) / 256
            tables[row, column] = np.cumsum(kept) / (tile * tile)
    out = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            place_y, place_x = (y + 0.5) / tile - 0.5, (x + 0.5) / tile - 0.5
            top, left = math.floor(place_y), math.floor(place_x)
            level = min(int(image[y, x] * 256), 255)
            for row, share_y in ((top, 1 - (place_y - top)), (top + 1, place_y - top)):
                for column, share_x in ((left, 1 - (place_x - left)), (left + 1, place_x - left)):
                    near = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
                    out[y, x] += share_y * share_x * tables[near][level]
    return out


@pytest.mark.parametrize("clip", [0.01, 0.1])
def test_adapthisteq_equals_a_slow_reference(clip):
    # Multiples of 1/256 and a half, so that float32 and float64 agree on every bin.
    images = ((pictures(2, 1, 24, 30) * 255).floor() + 0.5) / 256
    equalized = adapthisteq(images, tile=6, clip=clip)
    for given, got in zip(images[:, 0].double().numpy(), equalized[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(got, clahe(given, 6, clip), atol=1e-5)


def test_adapthisteq_spreads_local_contrast_as_scikit_image_does():
    images = pictures(1)
    ours = adapthisteq(images, clip=0.3)[0, 0].numpy()
    theirs = exposure.equalize_adapthist(images[0, 0].numpy(), kernel_size=6, clip_limit=0.3)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.85


@pytest.mark.parametrize("size", [(47, 50), (5, 4), (1, 7)])
def test_adapthisteq_takes_sizes_that_tiles_do_not_divide(size):
    equalized = adapthisteq(pictures(2, 1, *size))
    assert equalized.shape == (2, 1, *size)
    assert 0 <= equalized.min() <= equalized.max() <= 1 + 1e-6


def test_conorm_equals_a_slow_reference():
    image = pictures(1, 1, 9, 8)
    offsets = np.arange(-2, 3)
    kernel = np.zeros((5, 5))
    for sigma, sign in ((1.0, 1), (2.0, -1)):
        weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * sigma**2))
        kernel += sign * weights / weights.sum()
    padded = np.pad(image[0, 0].double().numpy(), 2, mode="edge")
    response = np.array(
        [[(padded[y : y + 5, x : x + 5] * kernel).sum() for x in range(8)] for y in range(9)]
    )
    expected = 0.5 + 0.5 * response / np.abs(response).max()
    np.testing.assert_allclose(conorm(image)[0, 0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("name", CONTRASTS)
def test_contrasts_keep_color_and_treat_each_image_alone(name):
    images = pictures(3, 3)
    changed = preprocessing(name)(images)
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.allclose(preprocessing(name)(images[1:2]), changed[1:2], atol=1e-4)
    inside = ((changed > 0.01) & (changed < 0.99)).all(dim=1)
    before, after = rgb_to_lab(images)[:, 1:], rgb_to_lab(changed)[:, 1:]
    # Where nothing was cut off at the gamut's edge, a* and b* are what they were.
    assert inside.any()
    assert (before - after).abs().amax(dim=1)[inside].max() < 0.1
    assert not torch.allclose(images, changed, atol=0.02)


@pytest.mark.parametrize("name", CONTRASTS)
def test_an_image_of_one_value_stays_finite(name):
    for value in (0.0, 0.4, 1.0):
        assert preprocessing(name)(torch.full((2, 1, 12, 12), value)).isfinite().all()


def test_lightness_alone_is_handed_on():
    seen = []
    images = pictures(1, 3)
    unchanged = on_lightness(images, lambda values: seen.append(values) or values)
    assert torch.allclose(unchanged, images.clamp(0, 1), atol=1e-4)
    expected = color.rgb2lab(channels_last(images))[..., 0] / 100
    np.testing.assert_allclose(seen[0][:, 0].numpy(), expected, atol=1e-4)


# Width


def digit(rows: slice, columns: slice, size=(28, 28)) -> torch.Tensor:
    image = torch.zeros(1, 1, *size)
    image[..., rows, columns] = 1.0
    return image


@pytest.mark.parametrize("width", [10, 12, 14, 16, 18, 20])
def test_a_box_gets_its_width_keeps_its_height_and_is_centred(width):
    image = digit(slice(2, 22), slice(3, 15))
    normalized = normalize_width(image, width)[0, 0]
    row = torch.zeros(28)
    row[14 - width // 2 : 14 + width // 2] = 1
    assert torch.allclose(normalized[4:24], row.expand(20, 28), atol=0.51)
    # Ink that a half-covered edge pixel shares out is still there.
    assert normalized.sum().item() == pytest.approx(width * 20, rel=0.07)
    assert normalized[:4].max() < 1e-5
    assert normalized[24:].max() < 1e-5
    assert torch.allclose(normalized[4:24, 15 - width // 2 : 13 + width // 2], torch.ones(()))


def test_width_is_normalized_image_by_image():
    images = torch.cat([digit(slice(2, 22), slice(3, 15)), digit(slice(5, 9), slice(0, 28))])
    both = normalize_width(images, 14)
    for index in range(2):
        assert torch.allclose(both[index], normalize_width(images[index : index + 1], 14)[0])


def test_stretching_interpolates_between_columns():
    image = torch.zeros(1, 1, 4, 12)
    image[0, 0, 1:3, 2:6] = torch.tensor([0.2, 0.4, 0.6, 0.8])
    stretched = normalize_width(image, 8)[0, 0, 1]
    # Twice as wide: centers lie a quarter of a column on either side of the old ones.
    expected = torch.tensor([0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.6])
    assert torch.allclose(stretched[2:10], expected, atol=1e-5)


def test_a_blank_image_stays_blank_among_others():
    images = torch.cat([torch.zeros(1, 1, 28, 28), digit(slice(4, 24), slice(4, 10))])
    normalized = normalize_width(images, 10)
    assert not normalized[0].any()
    assert normalized[1].any()


# Names


def test_names_find_their_preprocessing():
    image = digit(slice(2, 22), slice(3, 15))
    assert preprocessing("none")(image) is image
    assert torch.equal(preprocessing("width12")(image), normalize_width(image, 12))


@pytest.mark.parametrize("name", ["width", "width0", "widths10", "sharpen", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(UsageError, match=r"width10 to width20.*imadjust, histeq"):
        preprocessing(name)
