"""Search over the owner's chats: their titles, and what is said in them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Query

from myna.server.api import project_types as types
from myna.server.api.services import Searching, Services
from myna.store import chats, search
from myna.store.query import Term, parse
from myna.store.records import Chat
from myna.store.scope import Scope
from myna.store.search import Candidate
from myna.store.snippets import has_all, snippet

router = APIRouter(prefix="/api/search")

MAX_QUERY, MAX_PAGE, MAX_TITLES = 10_000, 50, 20
TITLES_RANKED = 200
"""Of the chats with a title that fits, those made last, of which the ones used last are told."""
EXAMINED_AT_ONCE, EXAMINED = 100, 300
"""Messages that have all the words and are read to see whether they have the phrase; in all, for one page."""
CHARACTERS = 1_000_000
"""Of these messages together; so no query keeps the server long, and a page may end before it is full."""
TOGETHER = 50_000
"""Characters of messages that are read in one piece of work beside the event loop; one message may have more."""


@router.get("")
async def find(
    services: Services,
    owner: Searching,
    q: Annotated[str, Query(max_length=MAX_QUERY)] = "",
    before: Annotated[int | None, Query(ge=1, lt=2**40)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
) -> types.Found:
    """Chats by title, on the first page, and a page of messages, the latest first."""
    terms = parse(q)
    if not terms:
        return types.Found(titles=[], messages=[], next=None)
    async with services.database.read(owner) as scope:
        titles = await _titles(scope, terms) if before is None else []
        hits, following = await _messages(scope, terms, before, limit)
        of_hits = await chats.of_ids(scope, {hit.chat_id for hit in hits})
    # Texts are read beside the event loop: what was written to be slow to read stops nobody else.
    snippets = await asyncio.to_thread(lambda: [snippet(hit.text, terms) for hit in hits])
    return types.Found.model_validate({
        "titles": [{"chat": chat, "snippet": snippet(chat.title or "", terms)} for chat in titles],
        "messages": [
            {
                "chat": of_hits[hit.chat_id],
                "message_id": hit.message_id,
                "role": hit.role,
                "created_at": hit.created_at,
                "snippet": shown,
            }
            for hit, shown in zip(hits, snippets, strict=True)
        ],
        "next": following,
    })  # fmt: skip


async def _titles(scope: Scope, terms: list[Term]) -> list[Chat]:
    found = await chats.of_ids(scope, await search.titled(scope, terms, TITLES_RANKED))
    fitting = [chat for chat in found.values() if _fits(chat.title or "", terms)]
    return sorted(fitting, key=lambda chat: chat.updated_at, reverse=True)[:MAX_TITLES]


async def _messages(
    scope: Scope, terms: list[Term], before: int | None, limit: int
) -> tuple[list[Candidate], int | None]:
    """A page of messages, and where the next begins; None if nothing follows."""
    unsure = [term for term in terms if not term.is_sure]
    at_once = EXAMINED_AT_ONCE if unsure else limit + 1
    hits: list[Candidate] = []
    examined = characters = 0
    while True:
        found = await search.candidates(scope, terms, before, at_once)
        for some in _together(found):
            lacking = await asyncio.to_thread(_lacking, some, unsure) if unsure else set()
            for candidate in some:
                if len(hits) == limit or examined == EXAMINED or characters > CHARACTERS:
                    return hits, before
                if candidate.entry not in lacking:
                    hits.append(candidate)
                before = candidate.entry
                examined += 1
                characters += len(candidate.text)
        if len(found) < at_once:
            return hits, None


def _together(found: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """The candidates in their order, in groups that are read together."""
    group: list[Candidate] = []
    characters = 0
    for candidate in found:
        if group and characters + len(candidate.text) > TOGETHER:
            yield group
            group, characters = [], 0
        group.append(candidate)
        characters += len(candidate.text)
    if group:
        yield group


def _lacking(found: Sequence[Candidate], terms: Sequence[Term]) -> set[int]:
    return {candidate.entry for candidate in found if not has_all(candidate.text, terms)}


def _fits(text: str, terms: list[Term]) -> bool:
    """Whether a text that has the words has the terms; one of words alone always does."""
    unsure = [term for term in terms if not term.is_sure]
    return not unsure or has_all(text, unsure)
