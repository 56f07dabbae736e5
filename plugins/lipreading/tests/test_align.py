"""GRID's alignments and names."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from zoo.plugin import UsageError
from zoo_lipreading.data.align import WORDS, Segment, segments, transcript

WORDS_OF_BBAF2N = ["bin", "blue", "at", "f", "two", "now"]


def test_there_are_51_words() -> None:
    assert len(WORDS) == len(set(WORDS)) == 51


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("bbaf2n", "bin blue at f two now"),
        ("lgizzs", "lay green in z zero soon"),
        ("PRWA9P", "place red with a nine please"),
        ("swby1a", "set white by y one again"),
    ],
)
def test_a_name_is_the_transcript(code: str, text: str) -> None:
    assert transcript(code) == text.split()


@pytest.mark.parametrize("code", ["", "bbaf2", "bbaf2nn", "bbaw2n", "bbaf0n", "xbaf2n", "id2vcd"])
def test_other_names_say_nothing(code: str) -> None:
    assert transcript(code) is None


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_end_frame_belongs_to_the_word(tmp_path: Path) -> None:
    path = write(tmp_path / "a.align", "0 23750 sil", "23750 29500 bin", "29500 34000 blue",
                 "34000 34500 sp", "34500 75000 at")  # fmt: skip
    assert segments(path, 75) == [
        Segment("bin", 23, 29),
        Segment("blue", 29, 34),
        Segment("at", 34, 74),  # 75000 is the clip's end, not a frame of its own
    ]


def test_the_whole_sentence_is_checked_against_the_name(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    path = make.align(tmp_path / "bbaf2n.align", WORDS_OF_BBAF2N)
    assert [part.word for part in segments(path, 14, WORDS_OF_BBAF2N)] == WORDS_OF_BBAF2N
    with pytest.raises(UsageError, match=r"align:6: the word is 'two', and the clip's name says"):
        segments(path, 14, ["bin", "blue", "at", "f", "three", "now"])
    with pytest.raises(UsageError, match=r"align:7: the word is 'now'"):
        segments(path, 14, WORDS_OF_BBAF2N[:5])
    with pytest.raises(UsageError, match=r"bbaf2n\.align has 6 words, and the clip's name says"):
        segments(path, 14, [*WORDS_OF_BBAF2N, "soon"])


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["0 1000 bin", "1000 2000"], ":2: '1000 2000' is not 'start end word'"),
        (["0 1000 bin", "x 2000 blue"], ":2: 'x 2000 blue' is not"),
        (["-5 1000 bin"], ":1: '-5 1000 bin' is not"),
        (["0 1000 bin", "2000 2000 blue"], ":2: 'blue' ends at 2000 and starts at 2000"),
        (["0 2000 bin", "1000 3000 blue"], ":2: 'blue' starts at 1000, before the end"),
        (["0 1000 bin", "1000 2000 blau"], ":2: 'blau' is none of the 51 words"),
        (["0 1000 bin", "", "1000 5001 blue"], ":3: 'blue' ends at 5001, and the clip of 5 frames"),
        (["0 1000 sil"], "has no word"),
        ([""], "has no word"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, lines: list[str], words: str) -> None:
    path = write(tmp_path / "a.align", *lines)
    with pytest.raises(UsageError) as caught:
        segments(path, 5)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_words_of_another_corpus_where_they_are_allowed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.align", "0 1000 hello")
    assert segments(path, 5, any_word=True) == [Segment("hello", 0, 1)]


def test_what_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.align cannot be read \(No such file"):
        segments(tmp_path / "none.align", 5)


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf0 1000 sil\n1000 3000 bin\n3000 5000 sil\n",
        b"0 1000 sil\r\n1000 3000 bin\r\n3000 5000 sil\r\n",
        b"0\t1000\tsil\n1000\t3000\tbin\n\n3000\t5000\tsil",
        b"0 1000 SIL\n1000 3000 Bin\n3000 5000 SP\n",
    ],
)
def test_what_other_editors_save(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.align"
    path.write_bytes(content)
    assert segments(path, 5) == [Segment("bin", 1, 3)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0 1000 sil\n".encode("utf-16"), r"a\.align:1: this is UTF-16 text; save the file as UTF"),
        ("0 1000 sil\n".encode("utf-16-le"), r"a\.align:1: this is UTF-16 text"),
        (b"0 1000 sil\n1000 3000 b\xe9n\n", r"a\.align:2: byte 0xe9 is not UTF-8 text"),
    ],
)
def test_other_encodings_are_refused_by_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.align"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        segments(path, 5)
