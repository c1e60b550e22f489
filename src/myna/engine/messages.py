"""What a client and an engine process say to each other: tagged plain data, never code.

A frame is the length of its payload (4 bytes, little endian) and the payload, one message in MessagePack. A client
says `Hello` first. The engine answers with `Ready` or `LoadFailed` once it knows, then with one `Events` a step that
concerns this client, and with a `Reply` or `CallFailed` to each call.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from typing import Any

import msgspec

from myna import chat
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Event, Failed, Finished, GenerationRequest, Started

MAX_FRAME = 64 << 20
"""Bytes of the largest payload that is accepted."""

HEADER = 4


class Message(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """Base of all messages: the tag is the class's name."""


class Start(Message, frozen=True):
    """From the parent, on standard input: what to load, and the secret that clients have to know."""

    options: EngineOptions
    secret: bytes
    transport: str


class Listening(Message, frozen=True):
    """To the parent, on standard output: where clients connect. A path, or a port of the loopback interface."""

    address: str | int


class Hello(Message, frozen=True):
    """First message of every client."""

    secret: bytes


class Submit(Message, frozen=True):
    """Generate; `Events` follow until the request's `Finished` or `Failed`."""

    request: GenerationRequest


class Embed(Message, frozen=True):
    """Make vectors; one `Events` with the request's `Embedded` or `Failed` follows."""

    request: EmbeddingRequest


class Cancel(Message, frozen=True):
    """End a request of this client as cancelled."""

    request_id: str


class Tokenize(Message, frozen=True):
    """A call: the tokens of plain text."""

    call: int
    text: str


class Detokenize(Message, frozen=True):
    """A call: the text of tokens."""

    call: int
    token_ids: Items[int]


class EncodePrompt(Message, frozen=True):
    """A call: the tokens that a request's prompt is for the model. Nothing is generated."""

    call: int
    request: GenerationRequest


class SpellTokens(Message, frozen=True):
    """A call: each token by itself, as text; half a character is U+FFFD, a control token its name."""

    call: int
    token_ids: Items[int]


class GetStatistics(Message, frozen=True):
    """A call: counters and gauges."""

    call: int


class LoadAdapter(Message, frozen=True):
    """A call: read an adapter from a directory, to be asked for by its name. Its result is the name."""

    call: int
    name: str
    path: str


class UnloadAdapter(Message, frozen=True):
    """A call: refuse an adapter from now on. Its result is the name."""

    call: int
    name: str


class Ready(Message, frozen=True):
    """The model is loaded; the fields of `myna.backends.base.ModelDescription`."""

    description: dict[str, Any]


class LoadFailed(Message, frozen=True):
    """The model cannot be loaded: the error, as `myna.engine.failures` describes it."""

    error: str
    message: str
    param: str | None
    details: dict[str, Any]


class Events(Message, frozen=True):
    """All that a step brought to one client. A request's own events are in the order of the fields."""

    started: list[Started] = []
    deltas: list[Delta] = []
    finished: list[Finished] = []
    failed: list[Failed] = []
    embedded: list[Embedded] = []


class Reply(Message, frozen=True):
    """A call's result."""

    call: int
    value: Items[int | str] | str | dict[str, float]


class CallFailed(Message, frozen=True):
    """A call's error."""

    call: int
    error: str
    message: str
    param: str | None
    details: dict[str, Any]


TextCall = Tokenize | Detokenize | EncodePrompt | SpellTokens
ClientMessage = Hello | Submit | Embed | Cancel | TextCall | GetStatistics | LoadAdapter | UnloadAdapter
EngineMessage = Ready | LoadFailed | Events | Reply | CallFailed


def decode_part(kind: type, data: Any) -> Any:
    """A part of a conversation from plain data; msgspec asks for what it cannot tell apart itself.

    Raises:
        ValueError: it is no part.
    """
    name = data.get("type") if isinstance(data, dict) else None
    if kind is not chat.Part or not isinstance(name, str) or name not in chat.PARTS:
        raise ValueError("a part of a conversation has one of its types")
    return msgspec.convert(data, chat.PARTS[name])


_encoder = msgspec.msgpack.Encoder()


def frame(message: Message) -> bytes:
    """A message as it travels."""
    buffer = bytearray(HEADER)
    _encoder.encode_into(message, buffer, HEADER)
    buffer[:HEADER] = (len(buffer) - HEADER).to_bytes(HEADER, "little")
    return bytes(buffer)


def group(events: Items[Event | Embedded]) -> Events:
    """The events of one step for one client as a message."""
    grouped = Events([], [], [], [], [])
    for event in events:
        match event:
            case Delta():
                grouped.deltas.append(event)
            case Started():
                grouped.started.append(event)
            case Finished():
                grouped.finished.append(event)
            case Failed():
                grouped.failed.append(event)
            case Embedded():
                grouped.embedded.append(event)
    return grouped


class FrameReader:
    """Puts the payloads of frames together from what arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that are complete now.

        Raises:
            ValueError: a frame is larger than any of ours.
        """
        buffer = self._buffer
        buffer += data
        payloads = []
        start = 0
        while len(buffer) - start >= HEADER:
            length = int.from_bytes(buffer[start : start + HEADER], "little")
            if length > MAX_FRAME:
                raise ValueError(f"a frame of {length} bytes; at most {MAX_FRAME} are accepted")
            end = start + HEADER + length
            if len(buffer) < end:
                break
            payloads.append(bytes(buffer[start + HEADER : end]))
            start = end
        del buffer[:start]
        return payloads
