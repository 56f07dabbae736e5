"""The entries that a plugin registers: frozen dataclasses of plain text, read without importing
the code that they name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(/[A-Za-z0-9*][A-Za-z0-9._*-]*)?")
_CLASS_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_FOLDER = re.compile(r"[A-Za-z_][\w.]*:\w[\w./-]*")
_TASK = re.compile(r"[a-z][a-z0-9-]*")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_REMOTE = re.compile(r"(hf|https)://\S+")


def _require(pattern: re.Pattern[str], value: object, what: str, example: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{what} {value!r} is not of the form {example!r}")


@dataclass(frozen=True, slots=True)
class Model:
    """A LightningModule to be built by name.

    Args:
        name: Lower-case name, optionally in a family: ``mpcnn`` or ``timm/*``. A ``*`` stands
            for any text, which is handed to the constructor argument named by ``wildcard``.
        class_path: The class, as ``"package.module:Class"``; imported only when it is built.
        summary: One line for ``zoo list``.
        paper: Authors, title, venue and year, or an identifier such as ``arXiv:1202.2745``.
        wildcard: The constructor argument that receives what ``*`` stands for.
        task: The task under the name that the Hugging Face Hub has for it, such as
            ``image-classification``; the model card says it.

    Raises:
        ValueError: a field is not of the stated form.
    """

    name: str
    class_path: str
    summary: str
    paper: str = ""
    wildcard: str = ""
    task: str = ""

    def __post_init__(self) -> None:
        _require(_NAME, self.name, "model name", "mpcnn")
        _require(_CLASS_PATH, self.class_path, "class_path", "package.module:Class")
        if self.task != "":
            _require(_TASK, self.task, "task", "image-classification")
        if ("*" in self.name) != bool(self.wildcard):
            raise ValueError(f"model {self.name!r}: a '*' in the name and wildcard= go together")
        if self.name.count("*") > 1:
            raise ValueError(f"model {self.name!r}: there may be one '*' in the name")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A LightningDataModule to be built by name.

    Args:
        name: Lower-case name, such as ``mnist``.
        class_path: The class, as ``"package.module:Class"``.
        summary: One line for ``zoo list``.
        license: The terms of the data, as its publisher states them.
        homepage: Where a user gets the data.
        embedded: True if it needs no files of the user's (generated, or inside a dependency).
        hub_id: Its identifier on the Hugging Face Hub, if it is there, such as ``ylecun/mnist``.

    Raises:
        ValueError: a field is not of the stated form.
    """

    name: str
    class_path: str
    summary: str
    license: str = ""
    homepage: str = ""
    embedded: bool = False
    hub_id: str = ""

    def __post_init__(self) -> None:
        _require(_NAME, self.name, "dataset name", "mnist")
        _require(_CLASS_PATH, self.class_path, "class_path", "package.module:Class")
        if self.hub_id != "":
            _require(_HUB_ID, self.hub_id, "hub_id", "ylecun/mnist")


@dataclass(frozen=True, slots=True)
class Recipes:
    """A folder of recipes: every ``<name>.yaml`` in it becomes the recipe ``<family>/<name>``.

    Args:
        family: The first part of the recipes' names, such as ``vision``.
        folder: A folder inside an installed package, as ``"package:folder"``.

    Raises:
        ValueError: a field is not of the stated form.
    """

    family: str
    folder: str

    def __post_init__(self) -> None:
        _require(_NAME, self.family, "recipe family", "vision")
        _require(_FOLDER, self.folder, "folder", "package:folder")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trained model to start from.

    Args:
        name: Lower-case name, such as ``mpcnn-digits``.
        location: Where its bundle is: ``"package:folder"`` inside an installed package,
            ``hf://owner/repo[@revision]`` or ``https://...#sha256=...``.
        summary: One line for ``zoo list``.

    Raises:
        ValueError: a field is not of the stated form.
    """

    name: str
    location: str
    summary: str

    def __post_init__(self) -> None:
        _require(_NAME, self.name, "checkpoint name", "mpcnn-digits")
        if not isinstance(self.location, str) or not _REMOTE.fullmatch(self.location):
            _require(_FOLDER, self.location, "location", "package:folder")


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format of ``zoo export``.

    Args:
        name: Lower-case name, what ``--format`` takes.
        function_path: A function, as ``"package.module:function"``, that takes the network, an
            ``nn.Module`` whose forward takes one tensor, and a batch of its inputs. It returns
            the bytes of the file, and a function from a batch of any size to the outputs that
            the file gives for it, by which the file is compared with the model.
        summary: One line.

    Raises:
        ValueError: a field is not of the stated form.
    """

    name: str
    function_path: str
    summary: str

    def __post_init__(self) -> None:
        _require(_TASK, self.name, "format name", "core-ml")
        _require(_CLASS_PATH, self.function_path, "function_path", "package.module:function")


@dataclass(frozen=True, slots=True)
class BundleFormat:
    """Bundles of another library, read as checkpoints.

    Args:
        name: Lower-case name, such as ``monai-bundle``.
        marker: The file by which such a folder, or a zip of one, is known, such as
            ``configs/metadata.json``.
        function_path: A function, as ``"package.module:function"``, from the path of a folder or
            zip to a ``ForeignBundle``. It runs no code of the bundle, and raises UsageError where
            the bundle cannot be read.
        summary: One line.

    Raises:
        ValueError: a field is not of the stated form.
    """

    name: str
    marker: str
    function_path: str
    summary: str

    def __post_init__(self) -> None:
        _require(_TASK, self.name, "format name", "monai-bundle")
        _require(_CLASS_PATH, self.function_path, "function_path", "package.module:function")


Entry = Model | Dataset | Recipes | Checkpoint | ExportFormat | BundleFormat
