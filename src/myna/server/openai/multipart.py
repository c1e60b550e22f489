"""A form with one file in it, read as it comes: only the block of the file that is being passed on is in memory.

Forms of this kind are ``multipart/form-data`` (RFC 7578). Every field but the file is short, known by name and there
once; whatever else a form may hold is refused before it is gathered.
"""

from __future__ import annotations

import asyncio
import logging
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from myna.errors import InvalidParameter
from myna.server.errors import excerpt, suggestion

MAX_PART_HEADERS = 8
MAX_HEADER_BYTES = 4096
MAX_FIELD_BYTES = 4096
MAX_DELIMITERS = 16
"""More than any form here has. Boundaries that are none cost the parser time, and are forbidden (RFC 2046)."""
SILENT_SECONDS = 120
"""After which a client that sends nothing more is taken for gone, though its connection stands."""
MAX_NAME_LENGTH = 255
"""Characters of a file's name, as file systems have it."""
DEFAULT_NAME = "upload"
"""Of a file that comes without one; as the official client calls it."""

logging.getLogger(MultipartParser.__module__).setLevel(logging.ERROR)  # what it warns of, the caller is told


class Form:
    """A request's body; first `begin`, then all of `content`, then ``fields`` has everything.

    Args:
        request: has the form as its body.
        file: name of the file's field.
        fields: names of all other fields there may be.

    Attributes:
        fields: what has come so far, by name.
        filename: of the file, safe to show and to save as; known from `begin` on.

    Raises:
        InvalidParameter: no boundary is declared. Raised by the methods too, for whatever is wrong with the form.
    """

    def __init__(self, request: Request, *, file: str, fields: frozenset[str] = frozenset()) -> None:
        self.file = file
        self.known = fields
        self.fields: dict[str, str] = {}
        self.filename = DEFAULT_NAME
        self._stream = request.stream()
        self._headers: dict[str, str] = {}
        self._header = bytearray()
        self._header_value = bytearray()
        self._field: str | None = None
        self._value = bytearray()
        self._data: list[bytes] = []
        self._has_file = self._ended = False
        boundary = parse_options_header(request.headers.get("content-type"))[1].get(b"boundary")
        if not boundary:
            raise InvalidParameter(
                "The form's boundary is not declared: send 'Content-Type: multipart/form-data; boundary=…', "
                "or leave the header to your HTTP client."
            )
        self._delimiter = b"\r\n--" + boundary
        self._delimiters = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._read_header,
                    "on_header_value": self._read_header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": self._read_data,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise _malformed(error) from None

    async def begin(self) -> None:
        """Read to the beginning of the file; the fields before it are known then."""
        while not self._has_file:
            if not await self._read():
                raise InvalidParameter(
                    f"Missing required parameter: '{self.file}', a file in the form.", param=self.file
                )

    async def content(self) -> AsyncGenerator[bytes, None]:
        """The file, in pieces; then read the form to its end."""
        while True:
            if self._data:
                data, self._data = self._data, []
                yield b"".join(data)
            elif not await self._read():
                return

    async def _read(self) -> bool:
        """Parse what comes next; False at the end."""
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                chunk = await anext(self._stream, None)
        except TimeoutError:
            raise InvalidParameter(f"Nothing more of the form came for {SILENT_SECONDS} seconds.") from None
        if chunk is None:
            if not self._ended:
                raise InvalidParameter("The form ends before its last boundary; was it cut off?")
            return False
        self._delimiters += chunk.count(self._delimiter)
        if self._delimiters > MAX_DELIMITERS:
            raise InvalidParameter("The form's boundary also stands in what it holds; choose another one.")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(error) from None
        return True

    def _begin_part(self) -> None:
        self._headers = {}

    def _read_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _read_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name = self._header.decode("latin-1").lower()
        if name in self._headers:
            raise InvalidParameter(f"A part of the form has the header {excerpt(name)} twice.")
        self._headers[name] = self._header_value.decode("latin-1")
        self._header.clear()
        self._header_value.clear()

    def _end_headers(self) -> None:
        disposition, options = parse_options_header(self._headers.get("content-disposition"))
        name = _text(options.get(b"name", b""), "the name of a field")
        if disposition != b"form-data" or not name:
            raise InvalidParameter("A part of the form does not say 'Content-Disposition: form-data; name=…'.")
        encoding = self._headers.get("content-transfer-encoding", "binary").strip().lower()
        if encoding not in ("7bit", "8bit", "binary"):
            raise InvalidParameter(f"Field '{name[:60]}' is encoded ({excerpt(encoding)}); send it as it is.")
        if name != self.file and name not in self.known:
            known = sorted({self.file, *self.known})
            raise InvalidParameter(f"Unknown parameter: {excerpt(name)}.{suggestion(name, known)}", param=name[:60])
        if name in self.fields or (name == self.file and self._has_file):
            raise InvalidParameter(f"The form has '{name}' twice; give it once.", param=name)
        if name == self.file:
            self._has_file = True
            self.filename = harmless_name(_text(options.get(b"filename", b""), "the file's name", self.file))
        else:
            self._field = name

    def _read_data(self, data: bytes, start: int, end: int) -> None:
        if self._field is None:
            self._data.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidParameter(f"'{self._field}' is longer than {MAX_FIELD_BYTES} bytes.", param=self._field)

    def _end_part(self) -> None:
        if self._field is not None:
            self.fields[self._field] = _text(bytes(self._value), f"'{self._field}'", self._field)
            self._value.clear()
            self._field = None

    def _end(self) -> None:
        self._ended = True


def harmless_name(name: str) -> str:
    """A file's name as it was given, but for what could mislead whoever saves or shows it.

    That is a directory before it, and characters that steer a terminal or reorder what is read; these become ``_``.
    """
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join("_" if _steers(character) else character for character in last).strip()
    return shown[:MAX_NAME_LENGTH] if shown.strip(".") else DEFAULT_NAME


def form_schema(file: str, fields: Mapping[str, Any], required: tuple[str, ...]) -> dict[str, Any]:
    """What a route adds to the OpenAPI document, as its form is read here and not by the framework.

    Args:
        file: name of the file's field.
        fields: name and schema of every other field.
        required: names of fields that must be there, beside the file.
    """
    properties = {file: {"type": "string", "contentMediaType": "application/octet-stream"}, **fields}
    schema = {"type": "object", "properties": properties, "required": [file, *required], "additionalProperties": False}
    # An object is sent as name[key], a field for each of its keys.
    objects = [name for name, field in fields.items() if field.get("type") == "object"]
    encoding = {name: {"style": "deepObject", "explode": True} for name in objects}
    form = {"schema": schema, "encoding": encoding}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": form}}}


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    # Of the formatting characters, joiners belong to words and emoji; the others reorder or hide text.
    return category in ("Cc", "Cs", "Zl", "Zp") or (category == "Cf" and character not in "\u200c\u200d")


def _text(value: bytes, what: str, param: str | None = None) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidParameter(
            f"{what} is not valid UTF-8: {error.reason} at byte {error.start}.", param=param
        ) from None


def _malformed(error: FormParserError) -> InvalidParameter:
    return InvalidParameter(f"The form is malformed: {str(error).rstrip('.')}.")
