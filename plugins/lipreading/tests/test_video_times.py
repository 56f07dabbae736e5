"""Timestamps, turns and pixels of a container, on small clips that are written here."""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from zoo.plugin import MissingDependencyError, UsageError
from zoo_lipreading.data.grid import Grid
from zoo_lipreading.video.decode import Video, read_video
from zoo_lipreading.video.sound import RATE, read_sound

TICKS = 1000
"""A second, in the clips of this file."""


def numbered(count: int, height: int = 16, width: int = 16) -> np.ndarray:
    """Frames whose gray value is ten times their number."""
    values = 10 * np.arange(1, count + 1, dtype=np.uint8)
    return np.broadcast_to(values[:, None, None], (count, height, width))


def save(
    path: Path,
    frames: np.ndarray,
    milliseconds: Sequence[int],
    sound: Sequence[tuple[float, np.ndarray]] = (),
) -> Path:
    """Gray frames without loss, each with its time; and stretches of sound at theirs."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "gray"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        if sound:
            voice = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        for frame, time in zip(frames, milliseconds, strict=True):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "gray")
            picture.pts, picture.time_base = time, Fraction(1, TICKS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        for start, samples in sound:
            piece = av.AudioFrame.from_ndarray(
                (samples * 32_000).astype(np.int16)[None], "s16", "mono"
            )
            piece.sample_rate, piece.time_base = RATE, Fraction(1, RATE)
            piece.pts = round(start * RATE)
            container.mux(voice.encode(piece))
        if sound:
            container.mux(voice.encode())
    return path


def click(seconds: float, at: float) -> np.ndarray:
    """Silence with one burst of 20 ms."""
    samples = np.zeros(round(seconds * RATE))
    samples[round(at * RATE) : round((at + 0.02) * RATE)] = 0.9
    return samples


def heard(path: Path) -> list[float]:
    """When the bursts begin, in seconds from the first frame."""
    loud = np.abs(read_sound(path)) > 0.4
    starts = np.flatnonzero(loud[1:] & ~loud[:-1]) + 1
    return [float(start) for start in (starts / RATE).round(3)]


EVEN = [40 * number for number in range(10)]


@pytest.mark.parametrize(
    ("video", "audio", "expected"),
    [
        (0, 0.0, 0.1),
        (0, 0.6, 0.7),  # the sound begins later
        (400, 0.4, 0.1),  # both do
        (200, 0.15, 0.05),  # the frames begin later: of the sound a part is left out
    ],
)
def test_sound_is_heard_when_its_timestamps_say(
    tmp_path: Path, video: int, audio: float, expected: float
) -> None:
    times = [video + time for time in EVEN]
    path = save(tmp_path / "a.mkv", numbered(10), times, [(audio, click(0.4, 0.1))])
    assert heard(path) == [pytest.approx(expected, abs=0.002)]
    assert len(read_video(path).at(25)) == 10


def test_sound_that_pauses_is_silent_meanwhile(tmp_path: Path) -> None:
    sound = [(0.0, click(0.2, 0.1)), (0.5, click(0.2, 0.1))]
    path = save(tmp_path / "a.mkv", numbered(10), EVEN, sound)
    assert heard(path) == [pytest.approx(0.1, abs=0.002), pytest.approx(0.6, abs=0.002)]
    assert len(read_sound(path)) == pytest.approx(0.7 * RATE, abs=2)


@pytest.mark.parametrize(
    ("start", "words"),
    [(500.0, r"begins 500 s after its first frame"), (-1.0, "ends before its first frame")],
)
def test_sound_of_another_time_is_refused(tmp_path: Path, start: float, words: str) -> None:
    times = EVEN if start > 0 else [2000 + time for time in EVEN]
    path = save(tmp_path / "a.mkv", numbered(10), times, [(max(start, 0.0), click(0.4, 0.1))])
    with pytest.raises(UsageError, match=rf"the sound of .*a\.mkv {words}"):
        read_sound(path)


def test_frames_at_a_changing_rate_are_taken_by_their_times(tmp_path: Path) -> None:
    # 50 a second, then 12.5: at 25 a second every other one, then each twice.
    times = [0, 20, 40, 60, 80, 160, 240]
    video = read_video(save(tmp_path / "a.mkv", numbered(7), times))
    assert video.times.tolist() == pytest.approx([time / 1000 for time in times])
    assert (video.at(25)[:7, 0, 0] // 10).tolist() == [1, 3, 5, 5, 6, 6, 7]


def test_frames_that_begin_late_count_from_the_first(tmp_path: Path) -> None:
    video = read_video(save(tmp_path / "a.mkv", numbered(5), [700 + time for time in EVEN[:5]]))
    assert video.times.tolist() == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert (video.at(25)[:, 0, 0] // 10).tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [(25, [1, 2, 3, 4]), (50, [1, 1, 2, 2, 3, 3, 4, 4]), (12.5, [1, 3])],
)
def test_another_rate(rate: float, expected: list[int]) -> None:
    video = Video(numbered(4, 1, 1), np.arange(4) / 25, 4 / 25)
    assert (video.at(rate).ravel() // 10).tolist() == expected


def test_a_rate_a_little_off_keeps_pace(tmp_path: Path) -> None:
    # Of 24.5 frames a second every fiftieth is shown twice at 25: 500 frames last 20.4 s.
    video = Video(np.zeros((500, 1, 1), np.uint8), np.arange(500) / 24.5, 500 / 24.5)
    assert len(video.at(25)) == 510
    steady = Video(np.zeros((75, 1, 1), np.uint8), np.arange(75) / 24.999, 75 / 24.999)
    assert steady.at(25) is steady.frames


def test_a_gap_in_the_frames_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mkv", numbered(3), [0, 40, 100_000])
    with pytest.raises(UsageError, match=r"a\.mkv has no frame between 0\.04 s and 100\.00 s"):
        read_video(path)


PICTURE = np.array([[40, 80], [120, 160], [200, 240]], np.uint8)
TURNS = {
    # a, b, c, d of the matrix, and what is shown
    (1, 0, 0, 1): PICTURE,
    (0, 1, -1, 0): np.rot90(PICTURE, -1),
    (-1, 0, 0, -1): np.rot90(PICTURE, 2),
    (0, -1, 1, 0): np.rot90(PICTURE, 1),
    (-1, 0, 0, 1): PICTURE[:, ::-1],
    (1, 0, 0, -1): PICTURE[::-1],
    (0, 1, 1, 0): PICTURE.T,
    (0, -1, -1, 0): np.rot90(PICTURE, 2).T,
}


def turned(path: Path, matrix: tuple[float, ...], aspect: Fraction | None = None) -> Path:
    """A picture of six squares in an MP4 file, whose header has that matrix and whose pixels have
    that shape."""
    large = PICTURE.repeat(16, 0).repeat(16, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = large.shape
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.sample_aspect_ratio = aspect or Fraction(1)
        for _ in range(3):
            color = np.repeat(large[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(color, "rgb24")))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4 + 40  # 40 bytes of the header lie before the matrix
    a, b, c, d = (round(value * 65536) for value in matrix)
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("matrix", TURNS)
def test_frames_are_turned_and_mirrored_as_the_container_says(
    tmp_path: Path, matrix: tuple[int, ...]
) -> None:
    frames = read_video(turned(tmp_path / "a.mp4", matrix)).frames
    expected = TURNS[matrix].astype(int)
    assert frames.shape[1:] == tuple(16 * length for length in expected.shape)
    assert np.abs(frames[0][8::16, 8::16] - expected).max() < 8


def test_an_odd_angle_is_refused(tmp_path: Path) -> None:
    path = turned(tmp_path / "a.mp4", (0.87, 0.5, -0.5, 0.87))
    with pytest.raises(UsageError, match=r"a\.mp4 is to be shown turned by 30 degrees; only quart"):
        read_video(path)


def test_pixels_that_are_not_square_are_shown_so(tmp_path: Path) -> None:
    wide = read_video(turned(tmp_path / "a.mp4", (1, 0, 0, 1), Fraction(3, 2)))
    assert wide.frames.shape == (3, 48, 48)
    # The pixels' shape is that before the turn.
    tall = read_video(turned(tmp_path / "b.mp4", (0, 1, -1, 0), Fraction(3, 2)))
    assert tall.frames.shape == (3, 48, 48)
    assert np.abs(wide.frames[0].astype(int) - np.rot90(tall.frames[0])).max() < 8
    square = read_video(turned(tmp_path / "c.mp4", (1, 0, 0, 1)))
    assert square.frames.shape == (3, 48, 32)


def test_without_pyav_the_package_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for code in ("bbaf2n", "lgiz3p"):
        folder = tmp_path / "s1"
        folder.mkdir(exist_ok=True)
        (folder / f"{code}.mpg").write_bytes(b"of a video")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r'needs PyAV: pip install "av>=14"'):
        read_video(tmp_path / "s1" / "bbaf2n.mpg")
    data = Grid(str(tmp_path), skip_faulty=True, cache=str(tmp_path / "cache"))
    with pytest.raises(MissingDependencyError, match="needs PyAV"):
        data.setup()


def test_what_an_edit_list_leaves_out_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 16, "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in numbered(10):
            color = np.repeat(frame[..., None], 3, axis=2)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(color, "rgb24")))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 4 + 8 + 4  # after version, count and the edit's duration
    (scale,) = struct.unpack_from(">I", content, content.index(b"mdhd") + 4 + 12)
    assert struct.unpack_from(">I", content, at) == (0,)
    struct.pack_into(">I", content, at, scale * 4 // 25)  # begins with the fifth frame
    struct.pack_into(">I", content, at - 4, 240)  # and lasts six, in milliseconds
    path.write_bytes(content)
    video = read_video(path)
    assert (video.frames[:, 8, 8] / 10).round().tolist() == [5, 6, 7, 8, 9, 10]
    assert video.times[0] == 0
