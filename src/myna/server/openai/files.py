"""``/v1/files``: upload, list, retrieve, download and delete."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from myna.errors import InvalidParameter, NotFound, UnsupportedParameter
from myna.server.errors import excerpt, from_validation, json_response
from myna.server.files import FileService
from myna.server.identity import owner_of
from myna.server.openai.multipart import Form, form_schema
from myna.server.openai.pages import OrderedPageQuery, list_response, query_schema
from myna.store.files import StoredFile

router = APIRouter(prefix="/v1/files")

PURPOSES = ("assistants", "batch", "user_data")
"""What a file may be uploaded for. Nothing reads ``assistants`` and ``user_data`` but who stored them."""
UNAVAILABLE = {
    "evals": "there are no evaluations yet",
    "fine-tune": "models cannot be trained here yet",
    "vision": "it is for training on images, and models cannot be trained here yet",
}
"""Purposes that OpenAI has beside these, and why they are refused."""

BATCH_KEPT_SECONDS = 30 * 86400
"""How long a file of purpose ``batch`` is kept unless its upload says otherwise, as OpenAI has it."""

_ONE_RANGE = re.compile(r"bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")


class ExpiresAfter(BaseModel):
    """When a file is removed by itself."""

    model_config = ConfigDict(extra="forbid", strict=True)

    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=3600, le=2_592_000)]


EXPIRES_AFTER_SCHEMA = ExpiresAfter.model_json_schema()
ExpiresAfterField = Annotated[ExpiresAfter, WithJsonSchema(EXPIRES_AFTER_SCHEMA)]
"""Spelt out, since a schema inside a route cannot refer to another."""


class FileFields(BaseModel):
    """What a form says of the file in it."""

    model_config = ConfigDict(extra="forbid")

    purpose: str
    expires_after: ExpiresAfter | None = None

    @classmethod
    def parse(cls, fields: dict[str, str]) -> Self:
        """Fields of a form, where ``expires_after[anchor]`` and ``expires_after[seconds]`` make one.

        Raises:
            InvalidParameter: one is missing or out of range.
            UnsupportedParameter: the purpose is not available here.
        """
        expiry = {name[14:-1]: value for name, value in fields.items() if name.startswith("expires_after[")}
        given: dict[str, Any] = {"expires_after": expiry or None}
        if "purpose" in fields:
            given["purpose"] = check_purpose(fields["purpose"])
        try:
            return cls.model_validate(given, strict=False)  # a form has no numbers
        except ValidationError as error:
            raise from_validation(error.errors(include_url=False), cls.model_fields) from None


FORM_FIELDS = frozenset({"purpose", "expires_after[anchor]", "expires_after[seconds]"})


class FileQuery(OrderedPageQuery):
    """Which files to list."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    purpose: Annotated[str, Field(max_length=64)] | None = None


@router.post(
    "",
    openapi_extra=form_schema(
        "file",
        {
            "purpose": {"type": "string", "enum": list(PURPOSES)},
            "expires_after": EXPIRES_AFTER_SCHEMA,
        },
        required=("purpose",),
    ),
)
async def create_file(request: Request) -> Response:
    """Upload a file."""
    files, owner = files_of(request), owner_of(request)
    form = Form(request, file="file", fields=FORM_FIELDS)
    await form.begin()
    if "purpose" in form.fields:  # else it follows the file
        check_purpose(form.fields["purpose"])
    text = TextCheck()
    blob = await files.write(owner, text.over(form.content()))
    try:
        fields = FileFields.parse(form.fields)
        check_content(fields.purpose, text)
    except BaseException:
        await files.discard([(owner, blob.id)])
        raise
    keep_seconds = kept_seconds(fields.purpose, fields.expires_after)
    file = await files.keep(owner, blob, form.filename, fields.purpose, keep_seconds)
    return json_response(file_object(file))


@router.get("", openapi_extra=query_schema(FileQuery))
async def list_files(request: Request) -> Response:
    """List your files."""
    query = FileQuery.parse(request)
    page = await files_of(request).listed(owner_of(request), query.wanted, purpose=query.purpose)
    return list_response(page, file_object)


@router.get("/{file_id}")
async def retrieve_file(request: Request, file_id: str) -> Response:
    """What is known of a file."""
    return json_response(file_object(await files_of(request).get(owner_of(request), file_id)))


@router.delete("/{file_id}")
async def delete_file(request: Request, file_id: str) -> Response:
    """Delete a file."""
    await files_of(request).delete(owner_of(request), file_id)
    return json_response({"id": file_id, "object": "file", "deleted": True})


@router.head("/{file_id}/content", include_in_schema=False)
@router.get("/{file_id}/content")
async def download_file(request: Request, file_id: str) -> Response:
    """The contents of a file."""
    files, owner = files_of(request), owner_of(request)
    file = await files.get(owner, file_id)
    path = files.path(owner, file)
    try:
        state = await asyncio.to_thread(os.stat, path)
    except FileNotFoundError:
        raise NotFound(f"The content of file {file_id} is gone from the disk.", param="file_id") from None
    return Content(
        path,
        headers={"etag": f'"{file.sha256}"'},
        media_type="application/octet-stream",  # never a page, whatever is in it
        filename=file.filename,
        stat_result=state,
    )


class Content(FileResponse):
    """A file, or one range of it; a range that cannot be given is ignored, which HTTP allows."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, or for HEAD its headers."""
        headers = Headers(scope=scope)
        if "range" in headers and not self._satisfiable(headers["range"]):
            kept = MutableHeaders(raw=list(scope["headers"]))
            del kept["range"]
            scope = {**scope, "headers": kept.raw}
        await super().__call__(scope, receive, send)

    def _satisfiable(self, wanted: str) -> bool:
        if not _ONE_RANGE.fullmatch(wanted):
            return False
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        size = int(self.headers["content-length"])
        if not first:
            return size > 0 and int(last) > 0
        return int(first) < size and (not last or int(first) <= int(last))


class TextCheck:
    """Looks whether bytes are UTF-8 as they pass, and where they cease to be."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.bytes = 0
        self._lines = 0
        self._decode = codecs.getincrementaldecoder("utf-8")().decode

    async def over(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same chunks."""
        async for chunk in chunks:
            self._look(chunk, final=False)
            yield chunk
        self._look(b"", final=True)

    def _look(self, chunk: bytes, *, final: bool) -> None:
        self.bytes += len(chunk)
        if self.problem is not None:
            return
        try:
            self._decode(chunk, final)
        except UnicodeDecodeError as error:
            # The decoder may have begun with bytes of the chunk before, none of which ends a line.
            line = self._lines + error.object[: error.start].count(b"\n") + 1
            self.problem = f"line {line} is not valid UTF-8 ({error.reason})"
        self._lines += chunk.count(b"\n")


def files_of(request: Request) -> FileService:
    """Where files are kept."""
    service: FileService = request.app.state.files
    return service


def check_purpose(purpose: str) -> str:
    """A purpose that a file may be uploaded for.

    Raises:
        UnsupportedParameter: OpenAI has it, but nothing here would use such a file.
        InvalidParameter: nobody has it.
    """
    if purpose in UNAVAILABLE:
        reason = UNAVAILABLE[purpose]
        raise UnsupportedParameter(f"Purpose '{purpose}' is not available here: {reason}.", param="purpose")
    if purpose not in PURPOSES:
        raise InvalidParameter(
            f"Invalid value for 'purpose': must be one of {', '.join(PURPOSES)}; got {excerpt(purpose)}.",
            param="purpose",
        )
    return purpose


def check_content(purpose: str, text: TextCheck) -> None:
    """Whether what was read may be a file of this purpose; the requests in it are checked when the batch is made.

    Raises:
        InvalidParameter: a batch that is empty or not UTF-8.
    """
    if purpose != "batch":
        return
    if not text.bytes:
        raise InvalidParameter("The file is empty; a batch needs a request a line.", param="file")
    if text.problem is not None:
        raise InvalidParameter(f"The file of a batch must be JSON lines: {text.problem}.", param="file")


def kept_seconds(purpose: str, expires_after: ExpiresAfter | None) -> int | None:
    """How long a new file is kept; None: until it is deleted."""
    if expires_after is not None:
        return expires_after.seconds
    return BATCH_KEPT_SECONDS if purpose == "batch" else None


def file_object(file: StoredFile) -> dict[str, Any]:
    """OpenAI's file object."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": file.created_at // 1000,
        "expires_at": None if file.expires_at is None else file.expires_at // 1000,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }
