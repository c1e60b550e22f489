"""Download over HTTP that goes on where it broke off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from myna.hub.sources.base import Report, SourceError

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
ATTEMPTS = 3
"""Tries without a single new byte before giving up."""


def download(url: str, partial: Path, size: int, report: Report, headers: Mapping[str, str] | None = None) -> None:
    """Fetch ``url`` into ``partial`` until it has ``size`` bytes; the caller checks the hash.

    Raises:
        SourceError: the server cannot be reached, refuses, or offers a file of another size.
        OSError: the file cannot be written.
    """
    import httpx2

    if partial.exists() and partial.stat().st_size > size:
        partial.unlink()
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    with httpx2.Client(follow_redirects=True, timeout=timeout, headers=dict(headers or {})) as client:
        tries = ATTEMPTS
        while (before := _length(partial)) < size:
            try:
                _fetch_rest(client, url, partial, size, report)
                reason = f"the connection ended after {_length(partial)} of {size} bytes"
            except httpx2.HTTPError as error:
                reason = describe(error)
            tries = ATTEMPTS if _length(partial) > before else tries - 1
            if tries == 0:
                raise SourceError(reason)


def describe(error: httpx2.HTTPError) -> str:
    """An HTTP library's error as a reason for people."""
    return " ".join(str(error).split()) or type(error).__name__


def _fetch_rest(client: httpx2.Client, url: str, partial: Path, size: int, report: Report) -> None:
    start = _length(partial)
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise SourceError(f"it answered another range than asked for ({response.headers.get('Content-Range')})")
        if response.status_code == 200:
            start = 0  # the server sends everything anew
        elif response.status_code != 206:
            raise SourceError(f"it answered {response.status_code} {response.reason_phrase}".rstrip())
        length = response.headers.get("Content-Length")
        if length is not None and start + int(length) != size:
            raise SourceError(f"it offers a file of {start + int(length)} bytes, not {size}")
        done = start
        report(done, size)
        with partial.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > size:
                    raise SourceError(f"it sends more than {size} bytes")
                file.write(chunk)
                report(done, size)


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
