"""A line of a batch's input: what it must be, and a check of a whole file in one pass."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from myna.errors import InvalidParameter
from myna.server.errors import excerpt

FIELDS = ("custom_id", "method", "url", "body")
WHOLE = ("stream", "background")
"""Ways to take an answer that a batch does not have."""
MAX_CUSTOM_ID = 512
MAX_ERRORS = 100
"""Wrong lines that are told of; the rest is not looked at."""
LINES_AT_A_TIME = 100
"""Then others of the event loop have their turn."""


@dataclass(frozen=True, slots=True)
class Line:
    """A request of a batch; ``body`` as it was sent."""

    custom_id: str
    body: bytes
    model: str | None


class LineError(Exception):
    """Why a line, or a whole file, is no batch: OpenAI's object for it."""

    def __init__(self, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param

    def at(self, line: int | None) -> dict[str, Any]:
        """As it is shown, of the line with this number or of the whole file."""
        return {"code": self.code, "line": line, "message": self.message, "param": self.param}


@dataclass(slots=True)
class Checked:
    """What is known of a file once it is read: its requests, the model of all of them, and what is wrong."""

    total: int
    model: str | None
    errors: list[dict[str, Any]]


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder().decode


def is_blank(raw: bytes) -> bool:
    """Whether there is no request in a line."""
    return not raw or raw.isspace()


def read_line(raw: bytes, endpoint: str) -> Line:
    """The request in a line.

    Raises:
        LineError: it is none for this endpoint.
    """
    fields = _object(raw, "invalid_json_line", "The line")
    for name in FIELDS:
        if name not in fields:
            raise LineError("missing_required_parameter", f"Missing required parameter: '{name}'.", param=name)
    for name in fields.keys() - set(FIELDS):
        raise LineError(
            "unknown_parameter", f"Unknown parameter: {excerpt(name)}; allowed are {', '.join(FIELDS)}.", param=name
        )
    custom_id = _text(fields, "custom_id")
    if not 1 <= len(custom_id) <= MAX_CUSTOM_ID:
        raise LineError(
            "invalid_custom_id",
            f"'custom_id' must have 1 to {MAX_CUSTOM_ID} characters; it has {len(custom_id)}.",
            param="custom_id",
        )
    if (method := _text(fields, "method")) != "POST":
        raise LineError("invalid_method", f"'method' must be 'POST'; got {excerpt(method)}.", param="method")
    if (url := _text(fields, "url")) != endpoint:
        raise LineError(
            "invalid_url",
            f"'url' must be the batch's endpoint, '{endpoint}'; got {excerpt(url)}.",
            param="url",
        )
    body = _object(fields["body"], "invalid_body", "'body'")
    for name in WHOLE:
        if name in body and _value(body[name]) not in (None, False):
            message = f"'{name}' must be false: a batch's answers are waited for, and read whole."
            raise LineError("invalid_body", message, param=f"body.{name}")
    model = _value(body["model"]) if "model" in body else None
    if model is not None and not isinstance(model, str):
        raise LineError("invalid_body", f"'model' must be a name; got {excerpt(model)}.", param="body.model")
    return Line(custom_id, bytes(fields["body"]), model)


async def check_lines(lines: AsyncIterator[bytes], endpoint: str, most: int) -> Checked:
    """Read a whole file; of each request only a hash of its ``custom_id`` is remembered.

    Args:
        lines: of the file.
        endpoint: that all requests must be for.
        most: requests that a batch may have.
    """
    checked = Checked(0, None, [])
    known: set[bytes] = set()
    number = 0
    try:
        async for raw in lines:
            number += 1
            if number % LINES_AT_A_TIME == 0:
                await asyncio.sleep(0)
            if is_blank(raw):
                continue
            checked.total += 1
            if checked.total > most:
                limit = LineError("too_many_requests", f"A batch may have {most} requests; this one has more.")
                return Checked(0, None, [limit.at(number)])
            try:
                _check(read_line(raw, endpoint), checked, known)
            except LineError as error:
                checked.errors.append(error.at(number))
                if len(checked.errors) == MAX_ERRORS:
                    return checked
    except InvalidParameter as error:  # a line that is too long to be read
        checked.errors.append(LineError("line_too_long", error.message).at(number + 1))
        return checked
    if not checked.total:
        checked.errors.append(LineError("empty_file", "The file has no requests.").at(None))
    return checked


def _check(line: Line, checked: Checked, known: set[bytes]) -> None:
    digest = blake2b(line.custom_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if digest in known:
        raise LineError(
            "duplicate_custom_id", f"An earlier line has the custom_id {excerpt(line.custom_id)}.", param="custom_id"
        )
    known.add(digest)
    if len(known) == 1:
        checked.model = line.model
    elif line.model != checked.model:
        raise LineError(
            "mismatched_model",
            f"All requests of a batch must be for one model: {excerpt(checked.model)} before, "
            f"{excerpt(line.model)} here.",
            param="body.model",
        )


def _object(raw: bytes | msgspec.Raw, code: str, what: str) -> dict[str, msgspec.Raw]:
    try:
        return _decode_object(raw)
    except msgspec.ValidationError:
        raise LineError(code, f"{what} must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineError(code, f"{what} is not valid JSON: {error}.") from None


def _text(fields: dict[str, msgspec.Raw], name: str) -> str:
    value = _value(fields[name])
    if not isinstance(value, str):
        raise LineError("invalid_type", f"'{name}' must be a string; got {excerpt(value)}.", param=name)
    return value


def _value(raw: msgspec.Raw) -> Any:
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LineError("invalid_json_line", f"The line is not valid JSON: {error}.") from None
