"""``/v1/uploads``: a file in parts, which may come in any order, at once and again after a failure."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints, WithJsonSchema
from starlette.responses import Response

from myna.errors import InvalidParameter, RequestError, TooLarge
from myna.server.errors import excerpt, json_response
from myna.server.files import FileService, new_file
from myna.server.identity import owner_of
from myna.server.openai.body import JsonBody
from myna.server.openai.connection import read_json, request_schema
from myna.server.openai.files import (
    PURPOSES,
    ExpiresAfterField,
    TextCheck,
    check_content,
    check_purpose,
    file_object,
    files_of,
    kept_seconds,
)
from myna.server.openai.multipart import Form, form_schema, harmless_name
from myna.store import files, uploads
from myna.store.files import StoredFile
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.scope import Scope
from myna.store.uploads import Part, Status, Upload

router = APIRouter(prefix="/v1/uploads")

OPEN_SECONDS = 3600
"""How long an upload takes parts, as OpenAI has it."""
PART_BYTES = 64 << 20
"""Largest part, as OpenAI has it."""
MAX_PARTS = 10_000

PartId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class NewUpload(JsonBody):
    """What file is to come. Nothing depends on ``mime_type``."""

    bytes: Annotated[int, Field(ge=1)]
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    mime_type: Annotated[str, StringConstraints(max_length=255)]
    purpose: Annotated[str, WithJsonSchema({"type": "string", "enum": list(PURPOSES)})]
    expires_after: ExpiresAfterField | None = None


class Completion(JsonBody):
    """Which parts make the file, in this order."""

    part_ids: Annotated[list[PartId], Field(min_length=1, max_length=MAX_PARTS)]
    md5: Annotated[str, StringConstraints(pattern="^[0-9a-fA-F]{32}$")] | None = None


@router.post("", openapi_extra=request_schema(NewUpload))
async def create_upload(request: Request) -> Response:
    """Begin a file that comes in parts."""
    body = NewUpload.parse(await read_json(request))
    check_purpose(body.purpose)
    service = files_of(request)
    if body.bytes > service.most:
        raise TooLarge(f"A file may have {service.most} bytes; this one is to have {body.bytes}.", param="bytes")
    created = now()
    upload = Upload(
        new_id("upload_"),
        harmless_name(body.filename),
        body.purpose,
        body.bytes,
        "pending",
        created,
        created + OPEN_SECONDS * 1000,
        kept_seconds(body.purpose, body.expires_after),
    )
    async with service.database.write(owner_of(request)) as scope:
        await service.check_room(scope, upload.bytes)
        await uploads.add(scope, upload)
    return json_response(upload_object(upload))


@router.post("/{upload_id}/parts", openapi_extra=form_schema("data", {}, required=()))
async def add_part(request: Request, upload_id: str) -> Response:
    """Add a part; which place it has is said at the end."""
    service, owner = files_of(request), owner_of(request)
    async with service.database.read(owner) as scope:
        room = await part_room(scope, upload_id)
    form = Form(request, file="data")
    await form.begin()
    blob = await service.write(owner, form.content(), room)
    part = Part(upload_id, new_id("part_"), blob.bytes, blob.id, now())
    async with service.placing(owner, blob) as scope:
        if part.bytes > await part_room(scope, upload_id):  # others came meanwhile
            raise TooLarge("The upload's parts have more bytes than they may have together.", param="data")
        await service.check_room(scope, part.bytes)
        await uploads.add_part(scope, part)
    return json_response(
        {"id": part.id, "object": "upload.part", "created_at": part.created_at // 1000, "upload_id": upload_id}
    )


@router.post("/{upload_id}/complete", openapi_extra=request_schema(Completion))
async def complete_upload(request: Request, upload_id: str) -> Response:
    """Make a file of the parts. Asked again in the same way, it answers the same."""
    body = Completion.parse(await read_json(request))
    service, owner = files_of(request), owner_of(request)
    try:
        upload, file = await make_file(service, owner, upload_id, body)
    except RequestError:
        # It may be over, and may have ended only now: by the same request, whose answer was lost or is on its way.
        async with service.database.read(owner) as scope:
            upload = await uploads.get(scope, upload_id, now())
        if upload.status == "completed" and upload.part_ids == body.part_ids:
            return json_response(upload_object(upload))
        check_pending(upload)
        raise
    return json_response(upload_object(upload, "completed", file))


@router.post("/{upload_id}/cancel")
async def cancel_upload(request: Request, upload_id: str) -> Response:
    """Give an upload up; its parts are removed."""
    service, owner = files_of(request), owner_of(request)
    async with service.database.write(owner) as scope:
        upload = await uploads.get(scope, upload_id, now())
        gone: list[str] = []
        if upload.status != "cancelled":
            check_pending(upload)
            gone = await uploads.finish(scope, upload_id, "cancelled")
    await service.discard((owner, each) for each in gone)
    return json_response(upload_object(upload, "cancelled"))


def check_pending(upload: Upload) -> None:
    """Whether an upload still takes parts.

    Raises:
        RequestError: it is over.
    """
    if upload.status != "pending":
        raise RequestError(f"Upload {upload.id} is {upload.status}; begin a new one.")


async def part_room(scope: Scope, upload_id: str) -> int:
    """Bytes that the next part may have. All may have twice those of the file, as some may be sent again.

    Raises:
        NotFound: no such upload.
        RequestError: it is over, or has too many parts.
    """
    upload = await uploads.get(scope, upload_id, now())
    check_pending(upload)
    there = await uploads.parts(scope, upload_id)
    if len(there) >= MAX_PARTS:
        raise RequestError(f"Upload {upload_id} has {MAX_PARTS} parts already.")
    return min(PART_BYTES, upload.bytes, 2 * upload.bytes - sum(part.bytes for part in there.values()))


def chosen_parts(upload: Upload, there: dict[str, Part], part_ids: Sequence[str]) -> list[Part]:
    """The parts of the file, in order.

    Raises:
        InvalidParameter: one is unknown or named twice, or together they are not as long as the file is to be.
    """
    seen: set[str] = set()
    for index, part_id in enumerate(part_ids):
        if part_id not in there:
            reason = f"{excerpt(part_id)} is no part of upload {upload.id}"
            raise InvalidParameter(f"Invalid value for 'part_ids[{index}]': {reason}.", param=f"part_ids[{index}]")
        if part_id in seen:
            raise InvalidParameter(f"Part {part_id} is named twice.", param=f"part_ids[{index}]")
        seen.add(part_id)
    parts = [there[part_id] for part_id in part_ids]
    total = sum(part.bytes for part in parts)
    if total != upload.bytes:
        raise InvalidParameter(
            f"The parts have {total} bytes together, but the upload was begun for {upload.bytes}.", param="part_ids"
        )
    return parts


async def make_file(service: FileService, owner: str, upload_id: str, body: Completion) -> tuple[Upload, StoredFile]:
    """Complete an upload: the upload as it was, and its file.

    Raises:
        NotFound, RequestError: there is none, it is over, or it ends while its parts are joined.
        InvalidParameter: the parts do not make the file that was announced.
    """
    async with service.database.read(owner) as scope:
        upload = await uploads.get(scope, upload_id, now())
        there = await uploads.parts(scope, upload_id)
    check_pending(upload)
    parts = chosen_parts(upload, there, body.part_ids)
    digest, text = hashlib.md5(usedforsecurity=False), TextCheck()
    content = text.over(joined(service, owner, parts, digest))
    blob = await service.blobs.create(owner, content, upload.bytes)
    try:
        if body.md5 is not None and body.md5.lower() != digest.hexdigest():
            raise InvalidParameter(
                f"'md5' is {body.md5}, but that of the parts in this order is {digest.hexdigest()}.", param="md5"
            )
        check_content(upload.purpose, text)
    except BaseException:
        await service.discard([(owner, blob.id)])
        raise
    file = new_file(blob, upload.filename, upload.purpose, upload.keep_seconds)
    async with service.placing(owner, blob) as scope:
        check_pending(await uploads.get(scope, upload_id, now()))
        gone = await uploads.finish(scope, upload_id, "completed", part_ids=body.part_ids, file=asdict(file))
        await service.check_room(scope, file.bytes)
        await files.add(scope, file)
    await service.discard((owner, each) for each in gone)
    return upload, file


async def joined(
    service: FileService, owner: str, parts: Sequence[Part], digest: hashlib._Hash
) -> AsyncGenerator[bytes, None]:
    """The contents of parts one after the other, also fed to a digest."""
    for part in parts:
        async with aclosing(service.blobs.read(owner, part.blob)) as blocks:
            async for block in blocks:
                digest.update(block)
                yield block


def upload_object(upload: Upload, status: Status | None = None, file: StoredFile | None = None) -> dict[str, Any]:
    """OpenAI's upload object, of an upload as it was read or with what it became."""
    if file is None and upload.file is not None:
        file = StoredFile(**upload.file)
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": upload.created_at // 1000,
        "expires_at": upload.expires_at // 1000,
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": status or upload.status,
        "file": None if file is None else file_object(file),
    }
