"""A file at a web address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from myna.hub.sources.base import Report, SourceError


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A plain download, resumed where the server allows it."""

    url: str
    bytes: int
    sha256: str

    @property
    def label(self) -> str:
        """The server's name."""
        return urlsplit(self.url).hostname or self.url

    @property
    def digest(self) -> str:
        """The file's SHA-256."""
        return self.sha256

    @property
    def disk_bytes(self) -> int:
        """Only the file itself."""
        return self.bytes

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        """See `Source.fetch`."""
        from myna.hub.download import download

        download(self.url, partial, self.bytes, report)

    def check(self) -> None:
        """See `Source.check`."""
        check_url(self.url, {})


def check_url(url: str, headers: dict[str, str]) -> None:
    """Raise SourceError unless a HEAD request succeeds."""
    import httpx2

    from myna.hub.download import describe

    try:
        response = httpx2.head(url, headers=headers, follow_redirects=True, timeout=5.0)
    except httpx2.HTTPError as error:
        raise SourceError(describe(error)) from error
    if response.status_code >= 400:
        raise SourceError(f"it answered {response.status_code} {response.reason_phrase}".rstrip())
