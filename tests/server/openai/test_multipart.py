"""Forms, in whatever pieces they come and whatever is wrong with them."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from myna.errors import InvalidParameter
from myna.server.openai import multipart
from myna.server.openai.multipart import MAX_FIELD_BYTES, MAX_HEADER_BYTES, MAX_PART_HEADERS, Form, harmless_name

FIELDS = frozenset({"purpose", "colour"})
TYPE = b"multipart/form-data; boundary=b0undary"


def request(pieces: Sequence[bytes], content_type: bytes | None = TYPE, *, gone: bool = False) -> Request:
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b""})
    headers = [] if content_type is None else [(b"content-type", content_type)]

    async def receive() -> Message:
        return messages.pop(0)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)


async def read(
    pieces: Sequence[bytes], content_type: bytes | None = TYPE, *, gone: bool = False
) -> tuple[dict[str, str], str, bytes]:
    """Fields, the file's name and its contents."""
    form = Form(request(pieces, content_type, gone=gone), file="file", fields=FIELDS)
    await form.begin()
    content = b"".join([chunk async for chunk in form.content()])
    return form.fields, form.filename, content


def part(name: str, value: bytes, extra: bytes = b"", filename: bytes | None = None) -> bytes:
    named = b'; filename="' + filename + b'"' if filename is not None else b""
    return (
        b'--b0undary\r\nContent-Disposition: form-data; name="' + name.encode() + b'"' + named + b"\r\n"
        + extra + b"\r\n" + value + b"\r\n"
    )  # fmt: skip


FILE = part("file", b"contents", filename=b"a.txt")
END = b"--b0undary--\r\n"


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    marks = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(marks)]


# Contents that look like the form around them.
contents = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(
            [b"\r\n", b"\r", b"--", b"\r\n--", b"\r\n--b0undar", b"\r\n--b0undaryx", b"b0undary--", b"\r\n\r\n"]
        ),
    ),
    max_size=12,
).map(b"".join)


@given(content=contents, colour=st.text(max_size=20), first=st.booleans(), places=st.lists(st.integers(0, 10_000)))
async def test_it_is_read_the_same_in_any_pieces(content: bytes, colour: str, first: bool, places: list[int]) -> None:
    if b"\r\n--b0undary" in b"\r\n" + content:  # then it would end there
        content = content.replace(b"b0undary", b"b1undary")
    value = colour.encode("utf-8", "replace")
    parts = [part("colour", value), part("file", content, filename="naïve.bin".encode())]
    body = b"".join(parts if first else reversed(parts)) + END
    assert await read(cut(body, places)) == ({"colour": value.decode()}, "naïve.bin", content)


async def test_a_byte_at_a_time() -> None:
    body = part("purpose", b"batch") + FILE + END + b"epilogue"
    assert await read([bytes([byte]) for byte in body]) == ({"purpose": "batch"}, "a.txt", b"contents")


@pytest.mark.parametrize(
    ("body", "reason", "param"),
    [
        (b"", "cut off", None),
        (END, "Missing required parameter: 'file'", "file"),
        (part("purpose", b"batch") + END, "Missing required parameter: 'file'", "file"),
        (FILE, "cut off", None),
        (FILE[:-12], "cut off", None),
        (b"not a form", "malformed", None),
        (FILE + FILE + END, "'file' twice", "file"),
        (part("purpose", b"a") + part("purpose", b"a") + FILE + END, "'purpose' twice", "purpose"),
        (part("purpos", b"a") + FILE + END, "Did you mean 'purpose'", "purpos"),
        (part("purpose", b"x" * (MAX_FIELD_BYTES + 1)) + FILE + END, "longer than", "purpose"),
        (part("purpose", b"\xff\xfe") + FILE + END, "not valid UTF-8", "purpose"),
        (part("file", b"x", filename=b"\xe9t\xe9.txt") + END, "not valid UTF-8", "file"),
        (part("file", b"eHg=", b"Content-Transfer-Encoding: base64\r\n") + END, "encoded", None),
        (part("file", b"x", b"A: b\r\nA: b\r\n") + END, "twice", None),
        (b"--b0undary\r\n\r\nx\r\n" + END, "does not say", None),
        (b'--b0undary\r\nContent-Disposition: attachment; name="file"\r\n\r\nx\r\n' + END, "does not say", None),
        (b"--b0undary\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + END, "does not say", None),
        (part("file", b"x", b"X: " + b"y" * MAX_HEADER_BYTES + b"\r\n") + END, "header size", None),
        (part("file", b"x", b"".join(b"X-%d: y\r\n" % n for n in range(MAX_PART_HEADERS))) + END, "header count", None),
        (part("file", b"x", b"no colon\r\n") + END, "malformed", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False])
async def test_what_is_wrong_is_said(body: bytes, reason: str, param: str | None, whole: bool) -> None:
    with pytest.raises(InvalidParameter, match=reason) as refused:
        await read([body] if whole else [bytes([byte]) for byte in body])
    assert refused.value.param == param


@pytest.mark.parametrize(
    "content_type",
    [None, b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/form-data; boundary=" + b"b" * 300],
)
async def test_a_form_without_usable_boundary(content_type: bytes | None) -> None:
    with pytest.raises(InvalidParameter, match="oundary"):
        await read([FILE + END], content_type)


async def test_a_client_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "SILENT_SECONDS", 0.01)

    async def receive() -> Message:
        if not sent:
            sent.append(True)
            return {"type": "http.request", "body": FILE, "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    sent: list[bool] = []
    headers = [(b"content-type", TYPE)]
    form = Form(Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive), file="file")
    await form.begin()
    with pytest.raises(InvalidParameter, match="came for"):
        _ = [chunk async for chunk in form.content()]


async def test_a_client_that_goes_in_the_middle() -> None:
    with pytest.raises(ClientDisconnect):
        await read([FILE], gone=True)


async def test_boundaries_that_are_none_are_not_searched_through() -> None:
    body = part("file", b"\r\n--b0undary+" * 1000, filename=b"a") + END
    with pytest.raises(InvalidParameter, match="choose another"):
        await read(cut(body, range(0, len(body), 4096)))


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (b"\r\n", "cut off"),  # before the first boundary
        (b"x" * 64, "header size"),
    ],
    ids=["line ends", "a header without end"],
)
async def test_what_never_ends_is_not_gathered(unit: bytes, reason: str) -> None:
    head = b"" if unit == b"\r\n" else b"--b0undary\r\nX: "
    pieces = [head, *[unit * (65536 // len(unit))] * 256]
    tracemalloc.start()
    with pytest.raises(InvalidParameter, match=reason):
        await read(pieces)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("given_name", "shown"),
    [
        ("report.pdf", "report.pdf"),
        ("größe 漢字 👩‍👩‍👧.txt", "größe 漢字 👩‍👩‍👧.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\notes.txt", "notes.txt"),
        ("", "upload"),
        ("..", "upload"),
        ("dir/", "upload"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie: x=1"),
        ("\x1b[2Jcleared", "_[2Jcleared"),
        ("invoice\u202egnp.exe", "invoice_gnp.exe"),
        ("x" * 300, "x" * 255),
    ],
)
def test_names_are_kept_but_harmless(given_name: str, shown: str) -> None:
    assert harmless_name(given_name) == shown
