"""A repository of models on the Hugging Face Hub, or a server that speaks as it does (HF_ENDPOINT):
what is there, and one commit to it."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, ZooError
from zoo.io.cache_folder import cache_folder
from zoo.io.failures import one_line
from zoo.io.hub_reach import is_reachable

_LOG_IN = (
    "make a token that may write at https://huggingface.co/settings/tokens and set HF_TOKEN to it, "
    "or run `hf auth login`"
)
_AGAIN = "run the same command again: what has arrived is not sent twice"


@dataclass(frozen=True)
class Head:
    """The newest commit of a branch.

    Attributes:
        revision: Its hash.
        private: Whether only members see the repository.
        files: Of every file, its hash as git or git-lfs has it.
        fresh: Whether nothing but the repository's or branch's own beginning is there.
    """

    revision: str
    private: bool
    files: Mapping[str, str]
    fresh: bool = field(default=False)

    def holds(self, name: str, content: bytes | Path) -> bool:
        """Whether the file is there with this content."""
        return self.files.get(name) in _hashes(content)


class HubRepository:
    """One repository and branch.

    Args:
        repository: ``owner/repo``.
        branch: The branch.

    Raises:
        UsageError: nobody is logged in.
        ZooError: the hub does not answer.
    """

    def __init__(self, repository: str, branch: str) -> None:
        from huggingface_hub import HfApi, constants, get_token

        self.repository, self.branch = repository, branch
        self.address = f"hf://{repository}" + ("" if branch == "main" else f"@{branch}")
        if get_token() is None:
            raise UsageError(f"nobody is logged in to {constants.ENDPOINT}: {_LOG_IN}")
        if constants.HF_HUB_OFFLINE:
            raise UsageError("HF_HUB_OFFLINE is set, so nothing can be uploaded: unset it")
        if not is_reachable(constants.ENDPOINT):
            raise ZooError(
                f"{constants.ENDPOINT} does not answer, nothing was uploaded: check the network, "
                "and HF_ENDPOINT if you set it"
            )
        self._api = HfApi(library_name="zoo")

    def head(self) -> Head | None:
        """What is there now; None without repository or branch.

        Raises:
            ZooError: the hub refuses, or does not answer.
        """
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        with self._sentences("be looked at"):
            try:
                info = self._api.model_info(
                    self.repository, revision=self.branch, files_metadata=True
                )
            except (RepositoryNotFoundError, RevisionNotFoundError):
                return None
        return Head(str(info.sha), bool(info.private), _files(info.siblings or []))

    def create(self, private: bool) -> Head:
        """Make the repository and the branch where they are missing.

        Args:
            private: Let only members see a repository that is made.

        Raises:
            ZooError: the account may not, or the hub does not answer.
        """
        with self._sentences("be made"):
            self._api.create_repo(self.repository, private=private, exist_ok=True)
            if self.branch != "main":
                self._api.create_branch(self.repository, branch=self.branch, exist_ok=True)
        head = self.head()
        if head is None:
            raise ZooError(f"{self.address} was made but cannot be seen: {_AGAIN}")
        return Head(head.revision, head.private, head.files, fresh=True)

    def starts_from_main(self, head: Head) -> bool:
        """Whether nothing was committed to a branch since it was made."""
        if self.branch == "main":
            return False
        main = HubRepository(self.repository, "main").head()
        return main is not None and main.revision == head.revision

    def read(self, name: str, revision: str) -> Path:
        """One file of a commit, from the cache if it is there.

        Raises:
            ZooError: it cannot be fetched.
        """
        with self._sentences("be looked at"):
            return Path(
                self._api.hf_hub_download(
                    self.repository, name, revision=revision, cache_dir=cache_folder() / "hf"
                )
            )

    def commit(self, files: Mapping[str, bytes | Path], parent: str, message: str) -> str:
        """Upload files and commit them in one step: either all are there, or none.

        Args:
            files: Name to content, or to where that lies.
            parent: The newest commit, as it was looked at; nothing is committed on another.
            message: Of the commit.

        Returns:
            The hash of the commit.

        Raises:
            ZooError: somebody committed meanwhile, the account may not, or the upload was cut.
        """
        from huggingface_hub import CommitOperationAdd

        with self._sentences("be written to"):
            operations = [
                CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
                for name, content in files.items()
            ]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the client's own calls
                done = self._api.create_commit(
                    self.repository,
                    operations,
                    commit_message=message,
                    revision=self.branch,
                    parent_commit=parent,
                )
        return str(done.oid)

    @contextlib.contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Errors of the hub and its client, which are of many kinds, as sentences."""
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            yield
        except HFValidationError as error:
            raise UsageError(
                f"{self.address} is not an address that the hub takes: {one_line(error)}"
            ) from error
        except HfHubHTTPError as error:
            raise self._refused(what, error) from error
        except ZooError:
            raise
        except Exception as error:  # of its client, of the transfer, or of what lies between
            cause = error.__cause__
            if isinstance(cause, HfHubHTTPError):
                raise self._refused(what, cause) from error
            reason = one_line(cause or error)[:200] or type(error).__name__
            raise ZooError(
                f"{self.address} cannot {what} ({reason}), nothing was committed: {_AGAIN}"
            ) from error

    def _refused(self, what: str, error: Any) -> ZooError:
        status = getattr(error.response, "status_code", 0)
        if status == 401:
            return UsageError(
                f"{self.address} cannot {what}: the hub does not accept your token (401); {_LOG_IN}"
            )
        if status in (403, 404):
            return UsageError(
                f"{self.address} cannot {what}: your account has no right to write there "
                f"({status}); ask its owner, or use a token that may write, or another owner's name"
            )
        if status in (409, 412):
            return ZooError(
                f"somebody else committed to {self.address} meanwhile ({status}), nothing was "
                "committed: look at what is there, then run the same command again"
            )
        said = " ".join(str(getattr(error, "server_message", None) or one_line(error)).split())
        return ZooError(
            f"{self.address} cannot {what} ({status}: {said[:200]}), nothing was committed: "
            f"{_AGAIN}"
        )


def _files(siblings: Sequence[Any]) -> dict[str, str]:
    return {
        each.rfilename: each.lfs.sha256 if each.lfs is not None else str(each.blob_id)
        for each in siblings
    }


def _hashes(content: bytes | Path) -> tuple[str, str]:
    """As git-lfs and as git name a file's content."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    lfs, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    if isinstance(content, bytes):
        pieces: Iterator[bytes] = iter((content,))
    else:
        pieces = _pieces(content)
    for piece in pieces:
        lfs.update(piece)
        git.update(piece)
    return lfs.hexdigest(), git.hexdigest()


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece
