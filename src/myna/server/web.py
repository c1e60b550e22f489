"""The browser application's files: what may be cached, and how they travel.

Vite names everything under ``assets/`` by its content, so that never changes and is cached for good; the page and its
few companions are asked for again each time, and answered with 304 while they are the same.
"""

from __future__ import annotations

import asyncio
import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from myna.server.errors import plain_error

STATIC = Path(__file__).parent.parent / "web" / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/manifest+json", "image/svg+xml")
SMALLEST_COMPRESSED = 1024
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}
"""Named here because a machine's own table can be wrong, and browsers refuse scripts of another type."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent: its bytes, compressed where that helps; who cannot read that waits a little."""

    kind: str
    etag: str
    body: bytes
    is_compressed: bool


@functools.lru_cache(maxsize=256)
def load(path: Path, modified: int) -> Asset:
    """Read and compress a file once; ``modified`` (nanoseconds) makes a changed file a new one."""
    plain = path.read_bytes()
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_compressed = kind.startswith(COMPRESSIBLE) and len(plain) >= SMALLEST_COMPRESSED
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    body = gzip.compress(plain, 9, mtime=0) if is_compressed else plain
    return Asset(kind, hashlib.sha256(plain).hexdigest()[:32], body, is_compressed)


class WebApplication:
    """ASGI application for all paths that no route takes: files, and the page for the application's own paths."""

    def __init__(self, directory: Path = STATIC) -> None:
        self.directory = directory.resolve()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer GET and HEAD with a file; anything else is refused as the routes do."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": "No WebSocket here."})
            return
        response = await asyncio.to_thread(self._answer, scope["path"], scope["method"], Headers(scope=scope))
        await response(scope, receive, send)

    def _answer(self, path: str, method: str, headers: Headers) -> Response:
        file = self._find(path, headers)
        if file is None:
            raise HTTPException(404)
        if method not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"allow": "GET, HEAD"})
        if not file.is_file():
            return plain_error(
                503,
                "The web application was not built with this installation; run 'pip install .' again.",
                code="web_not_built",
            )
        asset = load(file, file.stat().st_mtime_ns)
        immutable = file.parent == self.directory / "assets"
        answer = {
            "etag": f'"{asset.etag}"',
            "cache-control": IMMUTABLE if immutable else REVALIDATE,
            "content-type": asset.kind,
            "vary": "accept-encoding",
        }
        if asset.etag in headers.get("if-none-match", ""):
            return Response(status_code=304, headers=answer)
        if not asset.is_compressed:
            return Response(asset.body, headers=answer)
        if "gzip" not in headers.get("accept-encoding", ""):
            return Response(gzip.decompress(asset.body), headers=answer)
        return Response(asset.body, headers={**answer, "content-encoding": "gzip"})

    def _find(self, path: str, headers: Headers) -> Path | None:
        """The file for a path; the page (built or not) for a path of the application; None for what is neither.

        A path of the application is one that a browser opens as a page and that does not look like a file.
        """
        name = PurePosixPath(path)
        try:
            file = self.directory.joinpath(*name.parts[1:]).resolve()
            if file.is_relative_to(self.directory) and file.is_file():
                return file
        except (OSError, ValueError):  # a null byte, a name too long
            return None
        if name.parts[1:2] in (("v1",), ("api",)):
            return None
        if path == "/" or (not name.suffix and "text/html" in headers.get("accept", "")):
            return self.directory / "index.html"
        return None
