"""Server-sent events at a few microseconds a token: everything that stays the same in a stream is encoded once."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec

from myna.errors import MynaError
from myna.server.errors import describe

encode = msgspec.json.Encoder().encode

DONE = b"data: [DONE]\n\n"
PADDED_BYTES = 128

_FILLING = secrets.token_hex(PADDED_BYTES // 2).encode()


class ChunkWriter:
    """Frames of one stream.

    Args:
        common: the fields that every chunk carries: id, object, created, model, system_fingerprint.
        with_usage: the stream ends with a frame of usage, so all other chunks say ``"usage": null``, as OpenAI's do.
        padded: chunks have a field ``obfuscation`` that brings each to a multiple of `PADDED_BYTES`.
    """

    def __init__(self, common: dict[str, Any], *, with_usage: bool, padded: bool = False) -> None:
        self._head = b"data: " + encode(common)[:-1]
        self._tail = b'],"usage":null}\n\n' if with_usage else b"]}\n\n"
        self._padded = padded

    def choice(self, choice: bytes) -> bytes:
        """A chunk of one choice, given as encoded JSON."""
        chunk = b'%b,"choices":[%b%b' % (self._head, choice, self._tail)
        return pad(chunk) if self._padded else chunk

    def usage(self, usage: dict[str, Any]) -> bytes:
        """The chunk without choices that ends a stream for which usage was asked."""
        return b'%b,"choices":[],"usage":%b}\n\n' % (self._head, encode(usage))


def pad(chunk: bytes) -> bytes:
    """A frame of an object with a field ``obfuscation``, to a multiple of `PADDED_BYTES`."""
    begun = chunk[:-3] + b',"obfuscation":"'
    return b'%b%b"}\n\n' % (begun, _FILLING[: -(len(begun) + 4) % PADDED_BYTES])


def error_frame(error: MynaError) -> bytes:
    """What a stream ends with when it fails: an error instead of ``[DONE]``, since the status is long sent."""
    return b"data: " + encode(describe(error)) + b"\n\n"
