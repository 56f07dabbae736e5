import math

import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_vision.augmentation import Deformation, smoothing_factor


def fixed_affine(monkeypatch, deformation: Deformation, draws: list[float]) -> None:
    """Make every image draw rotation, scale x, scale y, shift x, shift y from [-1, 1]."""
    values = torch.tensor(draws).view(5, 1)
    monkeypatch.setattr(
        torch, "rand", lambda *size, **options: ((values + 1) / 2).expand(*size).clone()
    )


def reference(image, source):
    """Bilinear sampling with zeros beyond the image, pixel by pixel."""
    height, width = image.shape
    out = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            x, y = source(column - (width - 1) / 2, row - (height - 1) / 2)
            x, y = x + (width - 1) / 2, y + (height - 1) / 2
            left, top = math.floor(x), math.floor(y)
            for j, i in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
                if 0 <= j < height and 0 <= i < width:
                    out[row, column] += image[j, i] * (1 - abs(y - j)) * (1 - abs(x - i))
    return out


def test_no_strength_is_the_identity():
    images = torch.rand(3, 1, 29, 29)
    assert Deformation()(images) is images
    tiny = Deformation(rotation=1e-6)
    assert torch.allclose(tiny(images), images, atol=1e-4)


@pytest.mark.parametrize("size", [(12, 12), (9, 14)])
def test_an_affine_map_equals_a_slow_reference(monkeypatch, size):
    torch.manual_seed(0)
    images = torch.rand(2, 2, *size)
    deformation = Deformation(rotation=20, scaling=0.25, translation=0.2, border="zeros")
    fixed_affine(monkeypatch, deformation, [0.7, -0.4, 0.8, 0.5, -0.6])
    angle = math.radians(20 * 0.7)

    def source(x, y):
        # The image is turned by the angle, scaled along the axes before, and shifted after; this
        # is its inverse, with the shift taken in source pixels.
        turned_x = math.cos(angle) * x - math.sin(angle) * y
        turned_y = math.sin(angle) * x + math.cos(angle) * y
        return (
            turned_x / (1 - 0.25 * 0.4) - 0.2 * size[1] * 0.5,
            turned_y / (1 + 0.25 * 0.8) + 0.2 * size[0] * 0.6,
        )

    deformed = deformation(images)
    for given, got in zip(images.flatten(0, 1), deformed.flatten(0, 1), strict=True):
        np.testing.assert_allclose(got.numpy(), reference(given.numpy(), source), atol=1e-5)


def test_a_shift_by_whole_pixels_is_exact(monkeypatch):
    images = torch.rand(1, 1, 10, 10)
    deformation = Deformation(translation=0.4, border="zeros")
    fixed_affine(monkeypatch, deformation, [0, 0, 0, 0.5, -0.25])
    shifted = deformation(images)
    # Two pixels to the right and one up.
    assert torch.allclose(shifted[..., :9, 2:], images[..., 1:, :8], atol=1e-6)
    assert not shifted[..., 9, :].any()
    assert not shifted[..., :, :2].any()


def test_a_quarter_turn_is_exact(monkeypatch):
    images = torch.rand(1, 1, 7, 7)
    deformation = Deformation(rotation=90)
    fixed_affine(monkeypatch, deformation, [1, 0, 0, 0, 0])
    assert torch.allclose(deformation(images), images.rot90(1, (2, 3)), atol=1e-5)


def smoothed_uniform_noise(count, length, sigma, taps=None):
    """The papers' field in one dimension, drawn as they describe it, in float64."""
    reach = taps // 2 if taps else math.ceil(4 * sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    noise = np.random.default_rng(0).uniform(-1, 1, (count, length + 2 * reach))
    return np.stack([np.convolve(row, kernel, mode="valid") for row in noise])


@pytest.mark.parametrize(("sigma", "taps"), [(2.0, None), (5.0, None), (6.0, 21)])
def test_factor_has_the_covariance_of_smoothed_noise(sigma, taps):
    factor = smoothing_factor(29, sigma, taps).double().numpy()
    drawn = smoothed_uniform_noise(60_000, 29, sigma, taps) * 3**0.5
    covariance = drawn.T @ drawn / len(drawn)
    variance = covariance.diagonal().mean()
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=0.03 * variance)


def test_elastic_field_has_the_papers_strength_everywhere():
    torch.manual_seed(0)
    deformation = Deformation(elastic_sigma=4.0, elastic_alpha=34.0)
    field = deformation.field(4000, (29, 24), "cpu")
    assert field.shape == (4000, 2, 29, 24)
    # Uniform noise of variance 1/3; a Gaussian keeps 1 / (4 pi sigma^2) of it in two dimensions.
    expected = 34 / (3 * 4 * math.pi * 4**2) ** 0.5
    strength = field.std(dim=0)
    assert strength.mean().item() == pytest.approx(expected, rel=0.02)
    assert strength.min() > 0.93 * expected
    assert strength.max() < 1.07 * expected
    assert field.mean(dim=0).abs().max() < 0.1 * expected
    # x and y are independent, and so are two images.
    assert (field[:, 0] * field[:, 1]).mean().abs() < 0.05 * expected**2
    assert (field[1:] * field[:-1]).mean().abs() < 0.05 * expected**2


@pytest.mark.parametrize(("taps", "strength"), [(None, 0.976), (21, 1.119)])
def test_the_papers_filter_moves_more(taps, strength):
    torch.manual_seed(0)
    deformation = Deformation(elastic_sigma=6.0, elastic_alpha=36.0, elastic_filter=taps)
    # Of a direct simulation: uniform noise, convolved in float64.
    assert deformation.field(2000, (29, 29), "cpu").std().item() == pytest.approx(
        strength, rel=0.015
    )


def test_elastic_displacement_moves_pixels_by_the_field(monkeypatch):
    deformation = Deformation(elastic_alpha=1.0, border="zeros")
    field = torch.zeros(2, 2, 8, 10)
    field[0, 0], field[1, 1] = 2.0, -1.0
    monkeypatch.setattr(deformation, "field", lambda *_: field)
    images = torch.rand(2, 3, 8, 10)
    deformed = deformation(images)
    # Every pixel is fetched from where its displacement points.
    assert torch.allclose(deformed[0, :, :, :8], images[0, :, :, 2:], atol=1e-5)
    assert torch.allclose(deformed[1, :, 1:], images[1, :, :-1], atol=1e-5)


def everything() -> Deformation:
    return Deformation(15, 0.15, 0.1, elastic_sigma=5.0, elastic_alpha=36.0)


def test_same_seed_same_deformation_and_each_image_its_own():
    images = torch.rand(1, 1, 29, 29).expand(4, -1, -1, -1)
    torch.manual_seed(3)
    first = everything()(images)
    torch.manual_seed(3)
    again = everything()(images)
    assert torch.equal(first, again)
    assert not torch.equal(everything()(images), first)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shape_dtype_and_input_are_kept(dtype):
    images = torch.rand(3, 2, 11, 17).to(dtype)
    before = images.clone()
    deformed = everything()(images)
    assert deformed.shape == images.shape
    assert deformed.dtype == dtype
    assert torch.equal(images, before)
    assert not torch.equal(deformed, images)


def test_works_on_the_images_device():
    images = torch.rand(2, 1, 29, 29, device="meta")
    deformation = everything()
    deformation(torch.rand(2, 1, 29, 29))
    assert deformation(images).device.type == "meta"


def test_an_empty_batch_stays_empty():
    assert everything()(torch.zeros(0, 1, 29, 29)).shape == (0, 1, 29, 29)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"rotation": -1}, "rotation"),
        ({"scaling": 1.0}, "scaling"),
        ({"translation": 2}, "translation"),
        ({"elastic_alpha": -3}, "elastic_alpha"),
        ({"elastic_sigma": 0}, "elastic_sigma"),
        ({"border": "wrap"}, "'wrap'"),
        ({"elastic_filter": 20}, "elastic_filter is 20"),
    ],
)
def test_values_out_of_range_are_refused(arguments, word):
    with pytest.raises(UsageError, match=word):
        Deformation(**arguments)
