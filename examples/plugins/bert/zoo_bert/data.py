"""A folder of text files for each class, as bytes: ByT5's tokenizer needs no vocabulary file."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import ByT5Tokenizer

from zoo.plugin import BaseDataModule, Part, ResumableLoader, UsageError

TOKENIZER = ByT5Tokenizer()
TENTHS = {"train": (1, 2, 3, 4, 6, 7, 8), "val": (9,), "test": (0, 5)}


def encode(path: Path, length: int) -> Tensor:
    """Token ids (length,) of a file, cut off or padded."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a text file in UTF-8: {error}") from error
    ids = TOKENIZER(text, padding="max_length", truncation=True, max_length=length)
    return torch.tensor(ids["input_ids"])


class TextFolder(BaseDataModule[list[Path]]):
    """Text files ``CLASS/NAME.txt`` in UTF-8.

    Args:
        length: Bytes of a text that are read.
    """

    def __init__(self, length: int = 64, **options: Any) -> None:
        super().__init__(**options)
        self.length = length

    @property
    def facts(self) -> dict[str, Any]:
        names = sorted({path.parent.name for path in Path(self.root).glob("*/*.txt")})
        if len(names) < 2:
            raise UsageError(
                f"{self.root} has to hold a folder of .txt files for each of two or more classes: "
                "give --data.root"
            )
        return {"num_classes": len(names), "label_names": names, "length": self.length}

    def samples(self, part: Part) -> list[Path]:
        tenths = TENTHS[part] if self.split == "standard" else range(10 * (part == "test"))
        files = sorted(Path(self.root).glob("*/*.txt"))
        return [path for index, path in enumerate(files) if index % 10 in tenths]

    def loader(self, *args: Any, **options: Any) -> ResumableLoader:
        return super().loader(*args, collate_fn=self.read, **options)

    def read(self, paths: list[Path]) -> dict[str, Tensor]:
        """Token ids (N, length) under ``input_ids``, classes (N,) under ``labels``."""
        names = self.facts["label_names"]
        labels = torch.tensor([names.index(path.parent.name) for path in paths])
        return {"input_ids": torch.stack([encode(p, self.length) for p in paths]), "labels": labels}
