"""Stored chat completions: found again by label and model, with the messages they answer."""

from __future__ import annotations

from typing import Any

import pytest

from myna.errors import InvalidParameter, NotFound
from myna.store import completions
from myna.store.database import Database
from myna.store.pages import PageRequest, new_id
from tests.store.rows import OWNER

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


async def stored(database: Database, model: str = "m", **metadata: str) -> str:
    completion_id = new_id("chatcmpl-")
    async with database.write(OWNER) as scope:
        await completions.add(scope, {"id": completion_id, "model": model, "metadata": metadata}, MESSAGES)
    return completion_id


async def found(database: Database, wanted: PageRequest, *more: Any) -> list[str]:
    async with database.read(OWNER) as scope:
        return [completion["id"] for completion in (await completions.listed(scope, wanted, *more)).items]


async def test_a_completion_is_found_by_its_labels_and_its_model(database: Database) -> None:
    a = await stored(database, "m", bird="myna", hue="black")
    b = await stored(database, "m", bird="myna")
    c = await stored(database, "n", bird="myna")
    await stored(database)
    asked = PageRequest(order="asc")
    assert await found(database, asked, None, {"bird": "myna"}) == [a, b, c]
    assert await found(database, asked, "m", {"bird": "myna"}) == [a, b]
    assert await found(database, asked, None, {"bird": "myna", "hue": "black"}) == [a]
    assert await found(database, asked, None, {"bird": "myna", "hue": "blue"}) == []
    assert await found(database, PageRequest(1, a, "asc"), None, {"bird": "myna"}) == [b]
    assert await found(database, PageRequest(), "n", {}) == [c]


@pytest.mark.parametrize("odd", ["", "'", '"', "$.a", "a\"]", "ключ", "%", "\x00", "\\"])  # fmt: skip
async def test_labels_are_text_whatever_they_hold(database: Database, odd: str) -> None:
    labelled = await stored(database, **{odd: odd})
    await stored(database, other=odd)
    assert await found(database, PageRequest(), None, {odd: odd}) == [labelled]
    async with database.read(OWNER) as scope:
        kept = odd if database.place.file else odd.replace("\0", "\ufffd")  # what PostgreSQL cannot hold
        assert (await completions.get(scope, labelled))["metadata"] == {kept: kept}


async def test_labels_are_replaced(database: Database) -> None:
    labelled = await stored(database, a="1", b="2")
    async with database.write(OWNER) as scope:
        assert (await completions.update(scope, labelled, {"b": "3"}))["metadata"] == {"b": "3"}
    async with database.read(OWNER) as scope:
        assert (await completions.get(scope, labelled))["metadata"] == {"b": "3"}
    assert await found(database, PageRequest(), None, {"a": "1"}) == []


async def test_messages_are_listed_in_both_orders(database: Database) -> None:
    completion = await stored(database)
    async with database.read(OWNER) as scope:
        first = await completions.messages(scope, completion, PageRequest(1, order="asc"))
        assert (first.items, first.has_more) == ([(f"{completion}-0", MESSAGES[0])], True)
        rest = await completions.messages(scope, completion, PageRequest(1, f"{completion}-0", "asc"))
        assert (rest.items, rest.has_more) == ([(f"{completion}-1", MESSAGES[1])], False)
        back = await completions.messages(scope, completion, PageRequest())
        assert [message_id for message_id, _ in back.items] == [f"{completion}-1", f"{completion}-0"]


@pytest.mark.parametrize("after", ["x", "{id}", "{id}-", "{id}-x", "{id}--1", "{id}-٣", "other-0", "{id}-9999999999"])
async def test_a_page_of_messages_begins_after_one_of_them(database: Database, after: str) -> None:
    completion = await stored(database)
    async with database.read(OWNER) as scope:
        with pytest.raises(InvalidParameter, match="is no message of"):
            await completions.messages(scope, completion, PageRequest(after=after.format(id=completion)))


async def test_deleting_deletes_messages_and_labels(database: Database) -> None:
    completion = await stored(database, a="1")
    async with database.write(OWNER) as scope:
        await completions.delete(scope, completion)
    for ask in (completions.get, completions.delete):
        with pytest.raises(NotFound, match=completion):
            async with database.write(OWNER) as scope:
                await ask(scope, completion)
    assert await found(database, PageRequest(), None, {"a": "1"}) == []
