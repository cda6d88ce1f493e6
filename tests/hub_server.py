"""A model hub on the loopback interface: as much of the Hugging Face Hub's protocol as its own client asks for.

``/api/models/{id}[/revision/{revision}]`` lists a repository; ``/{id}/resolve/{revision}/{file}`` serves a file by HEAD
and GET, with ETag, X-Repo-Commit, X-Linked-Etag, X-Linked-Size and Range. Who has the token ``TOKEN`` may write:
``/api/repos/create``, ``preupload``, the batch interface of Git LFS and ``commit``. A repository can be told to
misbehave.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "a" * 34


@dataclass
class Repository:
    """Files at one commit, and what goes wrong with them.

    ``status`` answers everything with an error; ``stops_at`` ends the body of a large file after so many bytes, once or
    every time, after a wait of ``stalls`` seconds; ``bytes_instead`` sends other bytes than those announced,
    ``listing`` another answer than the listing, ``headers`` others than those that go with files.
    """

    files: dict[str, bytes]
    status: int | None = None
    stops_at: int | None = None
    stops_always: bool = False
    bytes_instead: dict[str, bytes] = field(default_factory=dict)
    stalls: float = 0
    listing: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    private: bool = False
    messages: list[str] = field(default_factory=list)

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
    large: dict[str, bytes] = field(default_factory=dict)
    damages: bool = False  # what it is sent

    def environment(self, folder: Path, **more: str) -> dict[str, str]:
        """The environment of a process whose hub this is; the Hub client keeps its own things in a folder."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "IVYHUB_"))}
        own = {"HF_ENDPOINT": self.url, "HF_HOME": str(folder / "hf"), "IVYHUB_HOME": os.environ["IVYHUB_HOME"]}
        own |= {"NO_PROXY": "127.0.0.1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
        return {**inherited, **own, **more}

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

    def do_POST(self) -> None:
        self.take()

    def do_PUT(self) -> None:
        self.take()

    def take(self) -> None:
        """Requests that write."""
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        body = self.body()
        if path.startswith("/large/"):
            self.hub.large[path.removeprefix("/large/")] = body
            return self.send(200, b"", {})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.refuse(401, "")
        if path == "/api/validate-yaml":
            return self.send(200, json.dumps({"errors": [], "warnings": []}).encode(), {})
        if path == "/api/repos/create":
            asked = json.loads(body)
            id = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            new = Repository({}, private=bool(asked.get("private") or asked.get("visibility") == "private"))
            known = id in self.hub.repositories
            self.hub.repositories.setdefault(id, new)
            return self.send(409 if known else 200, json.dumps({"url": f"{self.hub.url}/{id}"}).encode(), {})
        if path.endswith(".git/info/lfs/objects/batch"):
            found = [
                {**each, "actions": {"upload": {"href": f"{self.hub.url}/large/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self.send(200, json.dumps({"objects": found}).encode(), {})
        organisation, name, action, *_ = path.removeprefix("/api/models/").split("/")
        repository = self.hub.repositories[f"{organisation}/{name}"]
        if repository.status is not None:
            return self.refuse(repository.status, "")
        if action == "preupload":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self.send(200, json.dumps({"files": files}).encode(), {})
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            match line["key"]:
                case "header":
                    repository.messages.append(value["summary"])
                case "file":
                    repository.files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    repository.files[value["path"]] = self.hub.large[value["oid"]] + b"!" * self.hub.damages
        url = f"{self.hub.url}/{organisation}/{name}/commit/{repository.commit}"
        return self.send(200, json.dumps({"commitUrl": url, "commitOid": repository.commit}).encode(), {})

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if path == "/api/whoami-v2":
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self.refuse(401, "")
            return self.send(
                200, json.dumps({"name": "tester", "type": "user", "orgs": [{"name": "org"}]}).encode(), {}
            )
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
        headers |= repository.headers
        return self.send(status, data[start:], headers, self.body_limit(repository, name, start), repository.stalls)

    def body_limit(self, repository: Repository, name: str, start: int) -> int | None:
        if self.command == "HEAD" or repository.stops_at is None or not is_large(name):
            return None
        limit = max(repository.stops_at - start, 0)
        if not repository.stops_always:
            repository.stops_at = None
        return limit

    def refuse(self, status: int, code: str) -> None:
        self.send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": f"refused with {status}"})

    def send(
        self, status: int, body: bytes, headers: dict[str, str], limit: int | None = None, wait: float = 0
    ) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:limit])
            if limit is not None:
                time.sleep(wait)


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
