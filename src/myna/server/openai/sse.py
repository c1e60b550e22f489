"""Server-sent events at a few microseconds a token: everything that stays the same in a stream is encoded once."""

from __future__ import annotations

from typing import Any

import msgspec

from myna.errors import MynaError
from myna.server.errors import describe

encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"


class ChunkWriter:
    """Frames of one stream.

    Args:
        common: the fields that every chunk carries: id, object, created, model, system_fingerprint.
        with_usage: the stream ends with a frame of usage, so all other chunks say ``"usage": null``, as OpenAI's do.
    """

    def __init__(self, common: dict[str, Any], *, with_usage: bool) -> None:
        self._head = b"data: " + encode(common)[:-1]
        self._tail = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"

    def choice(self, choice: bytes) -> bytes:
        """A chunk of one choice, given as encoded JSON."""
        return b'%b,"choices":[%b%b' % (self._head, choice, self._tail)

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The chunk without choices that ends a stream for which usage was asked."""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._head, encode(usage))


def error_frame(error: MynaError) -> bytes:
    """What a stream ends with when it fails: an error instead of ``[DONE]``, since the status is long sent."""
    return b"data: " + encode(describe(error)) + b"\n\n"
