"""A hub on the loopback address: the few calls of the Hugging Face Hub by which a model is
published and read, its repositories in memory.

    with serving() as hub:
        hub.tokens["hf_alice"] = "alice"
        ...  # HF_ENDPOINT=hub.address

Of the protocols for large files it speaks git-lfs with single parts, and not Xet.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

START = {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}
"""What a repository begins with."""


@dataclass
class Repository:
    """One repository: commits by hash, each all of its files, and branches by name."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, bytes], message: str) -> str:
        """Put files on top of a branch; the hash of the commit."""
        before = self.commits.get(self.branches.get(branch, ""), {})
        text = f"{len(self.messages)} {branch} {message}"
        revision = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        self.commits[revision] = {**before, **files}
        self.branches[branch] = revision
        self.messages.append(message)
        return revision

    def resolve(self, revision: str) -> str | None:
        """The hash of a branch or commit."""
        found = self.branches.get(revision, revision)
        return found if found in self.commits else None


@dataclass
class Hub:
    """The hub, and what a test lets it do.

    Attributes:
        address: Where it answers.
        tokens: Token to account; an account may write to repositories of its own name.
        repositories: ``owner/repo`` to repository.
        stored: Large files by their SHA-256.
        cut: Bytes after which it hangs up on every upload of a large file; None for never.
        before_commit: Called before each commit, such as to let somebody else commit.
        asked: Method and path of every request.
    """

    address: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    cut: int | None = None
    before_commit: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message or code)
        self.status, self.code = status, code


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """A hub while the block runs."""
    hub = Hub()
    handler = type("Bound", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def blob(data: bytes) -> str:
    """The hash that git has for a file."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def _route(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        try:
            for pattern, method in _ROUTES:
                if found := re.fullmatch(pattern, f"{self.command} {path}"):
                    getattr(self, method)(*found.groups())
                    return
            raise Refused(404, "EntryNotFound", f"no such call: {self.command} {path}")
        except Refused as error:
            headers = {"X-Error-Code": error.code, "Connection": "close"}  # its body is not read
            self._answer({"error": str(error)}, error.status, headers)

    do_GET = do_HEAD = do_POST = do_PUT = _route  # noqa: N815

    def _answer(
        self, content: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _account(self) -> str:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            raise Refused(401, "", "Invalid credentials in Authorization header")
        return self.hub.tokens.get(token, "")

    def _repository(self, name: str, write: bool = False) -> Repository:
        account, found = self._account(), self.hub.repositories.get(name)
        own = account == name.split("/")[0]
        if found is None or (found.private and not own):
            raise Refused(404, "RepoNotFound", "Repository not found")
        if write and not own:
            raise Refused(403, "", "You don't have the required permissions")
        return found

    def _files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        found = self._repository(name)
        resolved = found.resolve(revision)
        if resolved is None:
            raise Refused(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return resolved, found.commits[resolved]

    def create(self) -> None:
        """Make a repository."""
        body = json.loads(self._body())
        account = self._account()
        owner = body.get("organization") or account
        if not account:
            raise Refused(401, "", "Invalid username or password.")
        if owner != account:
            raise Refused(403, "", f"You don't have the rights to create a model under {owner}")
        name = f"{owner}/{body['name']}"
        status = 409 if name in self.hub.repositories else 200
        if status == 200:
            made = self.hub.repositories[name] = Repository(_is_private(body))
            made.commit("main", dict(START), "initial commit")
        self._answer({"url": f"{self.hub.address}/{name}", "name": name, "id": name}, status)

    def branch(self, name: str, branch: str) -> None:
        """Make a branch that starts from the main one."""
        found = self._repository(name, write=True)
        self._body()
        status = 409 if branch in found.branches else 200
        found.branches.setdefault(branch, found.branches["main"])
        self._answer({}, status)

    def info(self, name: str, revision: str) -> None:
        """A revision's hash and files."""
        resolved, files = self._files(name, revision)
        siblings = [{"rfilename": path, **_named(path, data)} for path, data in files.items()]
        found = self.hub.repositories[name]
        self._answer({"id": name, "sha": resolved, "private": found.private, "siblings": siblings})

    def tree(self, name: str, revision: str) -> None:
        """The files of a revision."""
        _, files = self._files(name, revision)
        self._answer(
            [
                {"type": "file", "path": path, "oid": blob(data), "size": len(data)}
                | {k: v for k, v in _named(path, data).items() if k == "lfs"}
                for path, data in files.items()
            ]
        )

    def yaml(self) -> None:
        """Find the metadata of a card right."""
        self._body()
        self._answer({"errors": [], "warnings": []})

    def preupload(self, name: str, revision: str) -> None:
        """Say which files go to git-lfs, and what is there."""
        body = json.loads(self._body())
        self._repository(name, write=True)
        _, files = self._files(name, revision)
        self._answer(
            {
                "files": [
                    {
                        "path": each["path"],
                        "uploadMode": "lfs" if _is_large(each["path"]) else "regular",
                        "shouldIgnore": False,
                        **(
                            {"oid": blob(files[each["path"]])}
                            if each["path"] in files and not _is_large(each["path"])
                            else {}
                        ),
                    }
                    for each in body["files"]
                ]
            }
        )

    def batch(self, name: str) -> None:
        """Say where large files go; nowhere if they are there."""
        body = json.loads(self._body())
        self._repository(name, write=True)
        objects = [
            {"oid": each["oid"], "size": each["size"]}
            | (
                {}
                if each["oid"] in self.hub.stored
                else {"actions": {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}"}}}
            )
            for each in body["objects"]
        ]
        self._answer({"transfer": "basic", "objects": objects})

    def store(self, oid: str) -> None:
        """Take a large file, whole and with the right hash."""
        if self.hub.cut is not None:
            self.rfile.read(self.hub.cut)
            self.close_connection = True
            self.connection.close()
            return
        data = self._body()
        if hashlib.sha256(data).hexdigest() != oid:
            raise Refused(400, "", "the content has another hash")
        self.hub.stored[oid] = data
        self._answer({})

    def commit(self, name: str, branch: str) -> None:
        """Commit all files or none."""
        lines = [json.loads(line) for line in self._body().splitlines()]
        found = self._repository(name, write=True)
        self.hub.before_commit()
        header = next(each["value"] for each in lines if each["key"] == "header")
        if header.get("parentCommit") not in (None, found.branches.get(branch)):
            raise Refused(412, "", "A commit has happened since. Please refresh and try again.")
        files = {}
        for each in lines:
            value = each["value"]
            if each["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif each["key"] == "lfsFile":
                if value["oid"] not in self.hub.stored:
                    raise Refused(400, "", "a large file is missing")
                files[value["path"]] = self.hub.stored[value["oid"]]
        revision = found.commit(branch, files, header["summary"])
        url = f"{self.hub.address}/{name}/commit/{revision}"
        self._answer({"commitUrl": url, "commitOid": revision, "pullRequestUrl": None})

    def resolve(self, name: str, rest: str) -> None:
        """One file of a revision."""
        revision, _, path = rest.partition("/")
        resolved, files = self._files(name, revision)
        if path not in files:
            raise Refused(404, "EntryNotFound", "Entry not found")
        data = files[path]
        named = _named(path, data)
        tag = named["lfs"]["sha256"] if "lfs" in named else named["blobId"]
        self._answer(data, headers={"X-Repo-Commit": resolved, "ETag": f'"{tag}"'})

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def _is_private(body: dict[str, Any]) -> bool:
    return bool(body.get("private")) or body.get("visibility") == "private"  # of newer clients


def _is_large(path: str) -> bool:
    return path.endswith(".safetensors")


def _named(path: str, data: bytes) -> dict[str, Any]:
    """Hashes and size as the hub tells them."""
    large = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    large |= {"oid": large["sha256"]}
    return {"blobId": blob(data), "size": len(data), **({"lfs": large} if _is_large(path) else {})}


_NAME = r"([\w.-]+/[\w.-]+)"
_ROUTES = (
    (r"POST /api/repos/create", "create"),
    (r"POST /api/validate-yaml", "yaml"),
    (rf"POST /api/models/{_NAME}/branch/(.+)", "branch"),
    (rf"POST /api/models/{_NAME}/preupload/(.+)", "preupload"),
    (rf"POST /api/models/{_NAME}/commit/(.+)", "commit"),
    (rf"POST /{_NAME}\.git/info/lfs/objects/batch", "batch"),
    (r"PUT /lfs/([0-9a-f]{64})", "store"),
    (rf"GET /api/models/{_NAME}/revision/(.+)", "info"),
    (rf"GET /api/models/{_NAME}/tree/(.+)", "tree"),
    (rf"(?:GET|HEAD) /{_NAME}/resolve/(.+)", "resolve"),
)
