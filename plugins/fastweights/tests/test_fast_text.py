"""Texts of one's own: parts, unknown symbols, generated text."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from zoo.plugin import UsageError
from zoo_fastweights.data.text_folder import TextFolder
from zoo_fastweights.text_lm import TextLM


def folder(tmp_path: Path, **texts: str) -> str:
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return str(tmp_path)


def test_windows_cover_each_part_once_and_never_two_texts(tmp_path: Path) -> None:
    root = folder(tmp_path, a="abcde" * 40, b="vwxyz" * 40)
    data = TextFolder(root, context=9, val_fraction=0.2, test_fraction=0.2)
    vocabulary = data.facts["vocabulary"]
    assert vocabulary == "abcdevwxyz"
    for part in ("val", "test"):
        windows = data.samples(part)
        assert len(windows) == 2 * (39 // 9)
        for symbols, following in (windows[n] for n in range(len(windows))):
            assert torch.equal(symbols[1:], following[:-1])
            assert len({int(symbol) // 5 for symbol in [*symbols, following[-1]]}) == 1
    starts = {int(symbols[0]) for symbols, _ in (data.samples("train")[n] for n in range(80))}
    assert len(starts) == 10
    whole = TextFolder(root, context=9, split="all")
    assert len(whole.samples("test")) == 2 * (199 // 9)


def test_bytes_know_every_symbol(tmp_path: Path) -> None:
    data = TextFolder(folder(tmp_path, a="aäß€" * 30), level="bytes", context=8)
    assert data.facts == {"vocabulary": "", "vocab_size": 256, "context": 8}
    assert len(data.describe_found()) == 2


def test_symbols_never_seen_are_named(tmp_path: Path) -> None:
    root = folder(tmp_path, a="ab" * 100 + "é#")
    with pytest.raises(UsageError, match=r"2 characters .*'é' \(1\).*--data.level bytes"):
        TextFolder(root, context=8).setup()
    with pytest.raises(UsageError, match="does not have"):
        TextFolder(root, context=8, vocabulary="ab", split="all").setup()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "no .txt file"),
        (b"\xff\xfe\xff", "not a text in UTF-8"),
        (b"abc" * 9, "smaller --data.context"),
    ],
)
def test_texts_that_cannot_be_read_are_refused(
    tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        TextFolder(str(tmp_path), context=60).samples("train")
    with pytest.raises(UsageError, match="no folder or file"):
        TextFolder(str(tmp_path / "none")).setup()


def test_text_is_made_and_measured(tmp_path: Path) -> None:
    model = TextLM("abc\n", 4, context=8, dim=16, heads=2, layers=1).eval()
    with torch.inference_mode():
        rows = model.produce(tmp_path, count=2, seed=3, start="ab", length=12)
        assert rows == model.produce(None, count=2, seed=3, start="ab", length=12)
        assert all(len(row["text"]) == 14 for row in rows)
        assert (tmp_path / "text-2.txt").read_text(encoding="utf-8") == rows[1]["text"]
        likeliest = model.produce(None, count=2, start="ab", length=5, temperature=0)
        assert likeliest[0] == likeliest[1]
        with pytest.raises(UsageError, match="'z'"):
            model.produce(None, start="z")
        symbols = torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3]])
        surprise = model.predict_step(symbols, 0)  # in windows of 8
        logits = model(symbols[:, :-1])
        whole = torch.nn.functional.cross_entropy(logits.mT, symbols[:, 1:], reduction="none")
    torch.testing.assert_close(surprise, whole)
    (tmp_path / "short.txt").write_text("a", encoding="utf-8")
    with pytest.raises(UsageError, match="fewer than two"):
        model.read_file(tmp_path / "short.txt")
