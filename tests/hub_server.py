"""A model hub on the loopback interface: as much of the Hugging Face Hub's protocol as its own client asks for.

``/api/models/{id}[/revision/{revision}]`` lists a repository; ``/{id}/resolve/{revision}/{file}`` serves a file by HEAD
and GET, with ETag, X-Repo-Commit, X-Linked-Etag, X-Linked-Size and Range. A repository can be told to misbehave.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """Files at one commit, and what goes wrong with them.

    ``status`` answers everything with an error; ``stops_at`` ends the body of a large file after so many bytes, once or
    every time; ``bytes_instead`` sends other bytes than those announced, ``listing`` another answer than the listing.
    """

    files: dict[str, bytes]
    status: int | None = None
    stops_at: int | None = None
    stops_always: bool = False
    bytes_instead: dict[str, bytes] = field(default_factory=dict)
    listing: bytes | None = None

    @property
    def commit(self) -> str:
        return hashlib.sha1(repr(sorted(self.files.items())).encode()).hexdigest()


def is_large(name: str) -> bool:
    """Whether the hub keeps a file in its store for large files (Git LFS)."""
    return name.endswith((".safetensors", ".bin", ".model"))


def git_blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Hub:
    """A running hub: its address, its repositories, and the requests it got, as ``METHOD path``."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def bodies_of(self, name: str) -> int:
        """How often the body of a file was asked for."""
        return sum(request.startswith("GET") and request.endswith(f"/{name}") for request in self.requests)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        listing = path.startswith("/api/models/")
        organisation, name, *rest = path.removeprefix("/api/models").strip("/").split("/", 4)
        repository = self.hub.repositories.get(f"{organisation}/{name}")
        if repository is None:
            return self.refuse(404, "RepoNotFound")
        if repository.status is not None:
            return self.refuse(repository.status, "GatedRepo" if repository.status == 403 else "")
        revision = rest[1] if len(rest) > 1 else "main"
        if revision not in ("main", repository.commit):
            return self.refuse(404, "RevisionNotFound")
        if listing:
            written = json.dumps(self.listing(f"{organisation}/{name}", repository)).encode()
            return self.send(200, written if repository.listing is None else repository.listing, {})
        return self.send_file(repository, rest[2] if len(rest) > 2 else "")

    def listing(self, id: str, repository: Repository) -> dict[str, object]:
        siblings = []
        for name, data in repository.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git_blob_id(data)}
            if is_large(name):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return {"id": id, "sha": repository.commit, "siblings": siblings, "private": False, "gated": False}

    def send_file(self, repository: Repository, name: str) -> None:
        if name not in repository.files:
            return self.refuse(404, "EntryNotFound")
        announced = repository.files[name]
        data = repository.bytes_instead.get(name, announced)
        headers = {"X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes", "ETag": f'"{git_blob_id(announced)}"'}
        if is_large(name):
            headers["X-Linked-Etag"] = f'"{hashlib.sha256(announced).hexdigest()}"'
            headers["X-Linked-Size"] = str(len(announced))
        status, start = 200, 0
        if requested := self.headers.get("Range"):
            start = int(requested.removeprefix("bytes=").split("-")[0])
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return self.send(status, data[start:], headers, self.body_limit(repository, name, start))

    def body_limit(self, repository: Repository, name: str, start: int) -> int | None:
        if self.command == "HEAD" or repository.stops_at is None or not is_large(name):
            return None
        limit = max(repository.stops_at - start, 0)
        if not repository.stops_always:
            repository.stops_at = None
        return limit

    def refuse(self, status: int, code: str) -> None:
        self.send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": f"refused with {status}"})

    def send(self, status: int, body: bytes, headers: dict[str, str], limit: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:limit])


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a hub until the end of the block."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
