"""HTTP/1.1 as uvicorn speaks it, with a bound on a request's head: how large it grows and how long it takes.

The parser itself has neither, and keeps all that it is sent before a request begins to exist for the application.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from myna.server.limits import HEAD_SECONDS, MAX_HEADER_BYTES
from myna.server.shapes import refusal

_TOO_LARGE = f"The request's head is larger than {MAX_HEADER_BYTES >> 10} KiB."


class BoundedHttp(HttpToolsProtocol):
    """One connection. A head is counted from its second piece on: the first is bounded by the size of a read."""

    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None
    """There while a head is awaited; another one for each head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Await nothing more."""
        self._stop_awaiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Await the rest of a head that has begun."""
        super().on_message_begin()
        self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; leave out what comes after a body, which would join the headers that were checked."""
        if self._deadline is not None:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._stop_awaiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; refuse with 431 when a head has grown too large."""
        deadline = self._deadline
        super().data_received(data)
        if deadline is None or self._deadline is not deadline:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEADER_BYTES and not self.transport.is_closing():
            path = getattr(self, "url", b"").partition(b"?")[0].decode("latin-1")  # as much of it as there is
            response = refusal(path, 431, _TOO_LARGE, code="head_too_large")
            self.transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
                + b"".join(b"%s: %s\r\n" % header for header in response.raw_headers)
                + b"\r\n"
                + bytes(response.body)
            )
            self.transport.close()

    def _await_head(self) -> None:
        self._stop_awaiting()
        self._head_bytes = 0
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_awaiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
