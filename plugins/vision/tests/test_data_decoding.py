"""Image files of every kind become uint8 pixels of one shape."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.decoding import attempt_all, decode, inspect, read_image
from zoo_vision.data.opening import suffixes


def saved(path, image: Image.Image, **options):
    image.save(path, **options)
    return path


def test_pixels_of_the_wanted_size_are_kept_exactly(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    image = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)), 3, (6, 9))
    assert image.dtype == torch.uint8
    assert np.array_equal(image.numpy(), pixels.transpose(2, 0, 1))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "I;16", "F"])
def test_every_mode_gives_the_wanted_channels_and_size(tmp_path, mode, channels):
    image = Image.new(mode, (40, 20), 1 if mode in ("1", "F") else 0)
    read = read_image(saved(tmp_path / "a.tif", image), channels, (8, 12))
    assert read.shape == (channels, 8, 12)


def test_a_tall_image_is_scaled_and_cropped_at_the_center(tmp_path):
    pixels = np.zeros((90, 30), dtype=np.uint8)
    pixels[30:60] = 200
    read = read_image(saved(tmp_path / "a.png", Image.fromarray(pixels)), 1, (10, 10))
    assert (read == 200).float().mean() >= 0.8


def test_orientation_is_honoured(tmp_path):
    pixels = np.zeros((8, 8), dtype=np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    path = saved(tmp_path / "a.png", Image.fromarray(pixels), exif=exif)
    read = read_image(path, 1, (8, 8))[0]
    assert (read[:4] == 255).all()
    assert (read[4:] == 0).all()


def test_transparency_is_laid_on_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 4, 2))
    read = read_image(saved(tmp_path / "a.png", image), 3, (4, 4))
    assert read[:, 0, 0].tolist() == [0, 0, 255]
    assert read[:, 3, 0].tolist() == [255, 255, 255]


def test_a_palette_is_resolved_with_its_transparent_color(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 10, 200, 30])
    path = saved(tmp_path / "a.png", image)
    assert read_image(path, 3, (4, 4))[:, 0, 0].tolist() == [10, 200, 30]
    path = saved(tmp_path / "b.png", image, transparency=1)
    assert read_image(path, 3, (4, 4))[:, 0, 0].tolist() == [255, 255, 255]


def test_sixteen_bits_become_eight(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    read = read_image(saved(tmp_path / "a.png", Image.fromarray(values)), 1, (1, 4))
    assert read[0, 0].tolist() == [0, 1, 128, 255]


def test_fractions_become_eight_bits(tmp_path):
    values = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    read = read_image(saved(tmp_path / "a.tif", Image.fromarray(values)), 1, (1, 3))
    assert read[0, 0].tolist() == [0, 128, 255]
    values[0, 0] = np.nan
    with pytest.raises(UsageError, match="no known range"):
        read_image(saved(tmp_path / "b.tif", Image.fromarray(values)), 1, (1, 3))


def test_a_box_is_cut_out():
    pixels = np.zeros((10, 10), dtype=np.uint8)
    pixels[2:5, 3:7] = 99
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "png")
    stream.seek(0)
    assert (decode(stream, 1, (3, 4), box=(3, 2, 7, 5)) == 99).all()


def test_a_large_jpeg_is_read_at_reduced_size_with_the_same_picture(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 512).astype(np.uint8), (512, 1))
    read = read_image(saved(tmp_path / "a.jpg", Image.fromarray(ramp)), 1, (16, 16))[0].float()
    expected = torch.linspace(8, 247, 16).expand(16, -1)
    assert (read - expected).abs().max() < 6


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(UsageError, match=r"a\.png does not decode as an image \(no known image"):
        read_image(tmp_path / "a.png", 3, (4, 4))
    with pytest.raises(UsageError, match=r"b\.png: no such file"):
        read_image(tmp_path / "b.png", 3, (4, 4))


def test_a_file_cut_short_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("a.jpg", "a.png"):
        path = saved(tmp_path / name, Image.fromarray(noise))
        inspect(path, whole=True)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(UsageError, match="does not decode"):
            read_image(path, 3, (64, 64))
        with pytest.raises(OSError, match=r"truncated|broken"):
            inspect(path, whole=True)


def test_failures_are_counted_and_the_first_are_named(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.png").write_text("no image")
    files = {str(path): path for path in sorted(tmp_path.iterdir())}
    with pytest.raises(UsageError, match="9 of 9 image files do not decode") as caught:
        attempt_all(partial(inspect, whole=True), files)
    assert "4.png" in str(caught.value)
    assert "5.png" not in str(caught.value)
    assert "and 4 more" in str(caught.value)


def test_formats_left_to_other_programs_are_not_opened(tmp_path):
    assert {".png", ".jpg", ".ppm", ".tif", ".webp"} <= suffixes()
    assert not {".eps", ".ps", ".h5", ".mpg"} & suffixes()
    script = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(script, format="EPS")
    with pytest.raises(UsageError, match="no known image format"):
        read_image(script, 3, (4, 4))
