"""What a bundle does not tell when it is passed on: paths, secrets and settings of one machine."""

from __future__ import annotations

import copy
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

PATH = "PATH"
"""Stands for a folder of the machine."""
_ABSOLUTE = re.compile(r"(?:/(?!/)|~[\w.-]*/|~$|[A-Za-z]:[\\/]|\\\\|file:)")
_INSIDE = re.compile(
    r"(?<![\w.:/~\\-])(?:~[\w.-]*/|/(?!/)|[A-Za-z]:[\\/]|\\\\|file:/+)[^\s'\",;{}\[\]()<>]*"
)
"""A path inside a text such as ``[{init_args: {dirpath: /home/me/kept}}]``."""
_PLACES = re.compile(
    r"(?<![\w.:/-])(?:/(?:home|Users|root|mnt|media|tmp|scratch|private|var|work)/|~[\w.-]*/|"
    r"[A-Za-z]:\\|file:/)[^\s'\"`,;)\]}]*"
)
"""A path that can only be of one machine, in prose."""
_CREDENTIALS = re.compile(r"(\w+://)[^/@\s]+@")
_SECRET = re.compile(
    r"(?:^|[.-])(?:(?:\w*(?:auth|access|api|hf|secret)_)?token|\w*(?:secret|passw|api_?key)\w*|"
    r"\w*credentials?)$",
    re.IGNORECASE,
)
_FILES = re.compile(
    r"\.(?:ckpt|csv|gz|h5|json|nii|npy|npz|onnx|png|pt|pth|py|safetensors|toml|tsv|txt|ya?ml|zip)",
    re.IGNORECASE,
)
"""What a path ends with whose last part is the name of a file, and not of a person."""
_LOCAL_OPTIONS = re.compile(
    r"--(?:out|resume|data\.root|trainer\.(?:logger|default_root_dir)\b.*)$"
)
_LOCAL_SETTINGS = ("logger", "default_root_dir")
"""Settings of the Trainer that say where a run was kept, and often by whom."""
_CORE = ("python", "zoo", "torch", "lightning", "torchmetrics", "numpy")


def public_command(command: str) -> str:
    """A command line without what only one machine has.

    Args:
        command: As ``environment.json`` keeps it. Of one that is not of the zoo, such as a script
            with arguments of its own, the program's name is kept alone.

    Returns:
        The command without ``--out``, ``--resume``, ``--data.root``, loggers and secrets; an
        absolute path is its file's name, or ``PATH`` where it is a folder.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # a quotation without end
        return PATH
    start = next((n for n in (1, 3) if words[:n] in (["zoo"], ["python", "-m", "zoo"])), None)
    if start is None:
        kept = 3 if words[:2] == ["python", "-m"] else 1
        return shlex.join(map(_public_word, words[:kept]))
    return shlex.join([*words[:start], *_public_words(words[start:])])


def public_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``bundle.json`` as it may be passed on; its hash is not renewed.

    The recipe's settings of data and Trainer, where it started from, the command and the versions
    lose what belongs to one machine. What rebuilds the model stays as it is.
    """
    public = copy.deepcopy(dict(content))
    public["metrics"]["command"] = public_command(public["metrics"]["command"])
    recipe = public["recipe"]
    recipe["trainer"] = {
        key: value
        for key, value in recipe["trainer"].items()
        if key not in _LOCAL_SETTINGS or isinstance(value, bool)
    }
    recipe["data"].pop("root", None)
    for section in ("data", "trainer", "init_from"):
        if section in recipe:
            recipe[section] = _public_value(recipe[section])
    public["origin"] = _public_value(public["origin"])
    known = (*_CORE, public["plugin"]["distribution"])
    public["versions"] = {k: v for k, v in public["versions"].items() if k in known}
    return public


def machine_paths(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Paths of one machine in nested plain values: (dotted key, path)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from machine_paths(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from machine_paths(inner, f"{where}[{index}]")
    elif isinstance(value, str):
        yield from ((where, path) for path in paths_in(value))


def paths_in(text: str) -> list[str]:
    """The paths of one machine that a text names: in the usual folders of users, or in this
    user's home folder."""
    found = _PLACES.findall(text)
    home = str(Path.home())
    if home not in ("", "/") and home in text and not any(home in path for path in found):
        found.append(home)
    return found


def _public_words(words: Sequence[str]) -> Iterator[str]:
    """The words of a command after its program, without the options that are left out."""
    left_out = False  # whether the values of such an option follow
    for word in words:
        if word.startswith("--"):
            key, equals, value = word.partition("=")
            left_out = bool(_LOCAL_OPTIONS.match(key) or _SECRET.search(key))
            if not left_out:
                yield f"{key}={_public_word(value)}" if equals else key
            left_out = left_out and not equals
        elif left_out:
            left_out = False
        else:
            yield _public_word(word)


def _public_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _public_value(v) for k, v in value.items() if not _SECRET.search(str(k))}
    if isinstance(value, list | tuple):
        return [_public_value(each) for each in value]
    return _public_word(value) if isinstance(value, str) else value


def _public_word(word: str) -> str:
    if _ABSOLUTE.match(word):
        return _short(word)
    return _CREDENTIALS.sub(r"\1", _INSIDE.sub(lambda found: _short(found[0]), word))


def _short(path: str) -> str:
    """The name of a file; of a folder, whose name is often a user's, nothing."""
    pure = PureWindowsPath(path) if "\\" in path else PurePosixPath(path)
    return pure.name if _FILES.fullmatch(pure.suffix) else PATH
