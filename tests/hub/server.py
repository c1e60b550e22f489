"""A web server on loopback that behaves, or misbehaves, as a test wants."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from tests.patience import WAIT_SECONDS


@dataclass
class Site:
    """What the server has and does: files by path, and how it breaks."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    """Honour Range."""
    cut: list[int] = field(default_factory=list)
    """Bytes after which the connection ends, one entry a download, then none."""
    status: int = 200
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range of every request."""
    url: str = ""
    gate: threading.Event = field(default_factory=threading.Event)
    """Downloads wait for it in the middle."""

    def add_repository(
        self, name: str, files: dict[str, bytes], revision: str = "c0ffee", small: tuple[str, ...] = ()
    ) -> None:
        """Serve files as the Hugging Face Hub does, with the repository's description; small ones are in Git itself."""
        siblings = []
        for file, content in files.items():
            self.files[f"/{name}/resolve/{revision}/{file}"] = content
            self.files[f"/{name}/resolve/main/{file}"] = content
            digest = hashlib.sha256(content).hexdigest()
            lfs = {"sha256": digest, "size": len(content), "pointerSize": 130}
            blob = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
            entry = {"rfilename": file, "size": len(content), "blobId": blob}
            siblings.append(entry if file in small else entry | {"lfs": lfs})
        description = {"id": name, "modelId": name, "sha": revision, "siblings": siblings, "tags": [], "private": False}
        self.files[f"/api/models/{name}"] = json.dumps(description).encode()


@contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run the server until the block ends."""
    site.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = self.path.partition("?")[0]
            asked = self.headers.get("Range")
            site.requests.append((self.command, path, asked))
            content = site.files.get(unquote(path))
            if content is None or site.status != 200:
                self.send_response(404 if content is None else site.status)
                if path.startswith("/api/models/"):
                    self.send_header("X-Error-Code", "RepoNotFound")  # as the Hub says it
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = 0
            if asked and site.ranges:
                start = int(asked.removeprefix("bytes=").rstrip("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header(
                "Content-Type", "application/json" if path.startswith("/api/") else "application/octet-stream"
            )
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if body:
                self.send_body(content[start:], cuttable=not path.startswith("/api/"))

        def send_body(self, content: bytes, cuttable: bool) -> None:
            half = len(content) // 2
            if cuttable and site.cut:
                self.wfile.write(content[: site.cut.pop(0)])
                self.close_connection = True
                return
            try:
                self.wfile.write(content[:half])
                if cuttable:
                    site.gate.wait(WAIT_SECONDS)
                self.wfile.write(content[half:])
            except OSError:
                self.close_connection = True  # the client went away, as some tests want

        def log_message(self, *arguments: Any) -> None:
            """Tests look at `Site.requests` instead."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


def digest(content: bytes) -> str:
    """SHA-256 as the catalog writes it."""
    return hashlib.sha256(content).hexdigest()


def partials(directory: Path) -> list[Path]:
    """What is left of downloads below a models directory."""
    return sorted((directory / "partial").glob("*")) if (directory / "partial").exists() else []
