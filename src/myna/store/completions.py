"""Chat completions that were asked to be stored, with the messages they answered and the labels they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select

from myna.errors import InvalidParameter, NotFound
from myna.store.pages import Page, PageRequest, page
from myna.store.scope import Scope
from myna.store.tables.conversations import completion_messages, completion_metadata, completions

Completion = dict[str, Any]
"""A completion as the API shows it, with its ``id``, ``model`` and ``metadata``."""


async def add(scope: Scope, completion: Completion, messages: Sequence[dict[str, Any]]) -> None:
    """Store a completion and the messages it answers."""
    shown = dict(completion)
    metadata = shown.pop("metadata")
    completion_id = shown["id"]
    await scope.add(completions, {"id": completion_id, "model": shown["model"], "completion": shown})
    await scope.add(
        completion_messages,
        *(
            {"completion_id": completion_id, "position": position, "message": message}
            for position, message in enumerate(messages)
        ),
    )
    await _label(scope, completion_id, metadata)


async def get(scope: Scope, completion_id: str) -> Completion:
    """A completion.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(scope.select(completions).where(completions.c.id == completion_id))
    if row is None:
        raise _missing(completion_id)
    return (await _labelled(scope, [row.completion]))[0]


async def listed(
    scope: Scope, wanted: PageRequest, model: str | None = None, metadata: Mapping[str, str] | None = None
) -> Page[Completion]:
    """A part of the owner's completions: those of a model, and with all the given labels."""
    statement = scope.select(completions, completions.c.completion)
    if model is not None:
        statement = statement.where(completions.c.model == model)
    for key, value in (metadata or {}).items():
        statement = statement.where(completions.c.id.in_(_with_label(scope, key, value)))
    column = completions.c.completion
    found = await page(scope, statement, completions.c.id, wanted, lambda row: row.completion, holding=column)
    return Page(await _labelled(scope, found.items), found.has_more)


async def update(scope: Scope, completion_id: str, metadata: Mapping[str, str]) -> Completion:
    """Replace a completion's labels.

    Raises:
        NotFound: the owner has none of this id.
    """
    found = await get(scope, completion_id)
    await scope.run(scope.delete(completion_metadata).where(completion_metadata.c.completion_id == completion_id))
    await _label(scope, completion_id, metadata)
    return found | {"metadata": dict(metadata)}


async def delete(scope: Scope, completion_id: str) -> None:
    """Delete a completion with its messages.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(completions).where(completions.c.id == completion_id)):
        raise _missing(completion_id)


async def messages(scope: Scope, completion_id: str, wanted: PageRequest) -> Page[tuple[str, dict[str, Any]]]:
    """A part of the messages that a completion answers, each with its id.

    Raises:
        NotFound: the owner has no completion of this id.
        InvalidParameter: ``wanted.after`` is no id of a message of it.
    """
    await get(scope, completion_id)
    after = None if wanted.after is None else _position(completion_id, wanted.after)

    def read(row: Row[Any]) -> tuple[str, dict[str, Any]]:
        return f"{completion_id}-{row.position}", row.message

    statement = scope.select(completion_messages).where(completion_messages.c.completion_id == completion_id)
    columns = completion_messages.c
    return await page(scope, statement, columns.position, wanted, read, after=after, holding=columns.message)


def _position(completion_id: str, message_id: str) -> int:
    """A message's id is its completion's with its position behind it."""
    owner, _, position = message_id.rpartition("-")
    if owner != completion_id or not (position.isascii() and position.isdecimal()) or len(position) > 9:
        raise InvalidParameter(f"'after' {message_id} is no message of {completion_id}.", param="after")
    return int(position)


async def _label(scope: Scope, completion_id: str, metadata: Mapping[str, str]) -> None:
    await scope.add(
        completion_metadata,
        *({"completion_id": completion_id, "key": key, "value": value} for key, value in metadata.items()),
    )


def _with_label(scope: Scope, key: str, value: str) -> Select[Any]:
    labels = completion_metadata.c
    return scope.select(completion_metadata, labels.completion_id).where(labels.key == key, labels.value == value)


async def _labelled(scope: Scope, found: Sequence[Completion]) -> list[Completion]:
    """The completions with their labels."""
    labels = completion_metadata.c
    ids = [completion["id"] for completion in found]
    by_id: dict[str, dict[str, str]] = {completion_id: {} for completion_id in ids}
    for row in await scope.all(scope.select(completion_metadata).where(labels.completion_id.in_(ids))):
        by_id[row.completion_id][row.key] = row.value
    return [completion | {"metadata": by_id[completion["id"]]} for completion in found]


def _missing(completion_id: str) -> NotFound:
    return NotFound(
        f"There is no stored completion {completion_id}; it was not stored, or was deleted.", param="completion_id"
    )
