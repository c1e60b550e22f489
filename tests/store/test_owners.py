"""Whatever one owner asks for by another's ids is as if it were not there, and changes nothing."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from myna import store
from myna.chat import TextPart
from myna.errors import NotFound, StoreError
from myna.store import (
    acknowledgements,
    batches,
    branches,
    changes,
    chats,
    completions,
    conversations,
    files,
    invitations,
    keys,
    messages,
    passkeys,
    preferences,
    presets,
    projects,
    provider_identities,
    queued,
    responses,
    runs,
    search,
    second_factors,
    sessions,
    steps,
    takeout,
    transcripts,
    uploads,
    usage,
    users,
    webhooks,
)
from myna.store.database import Database
from myna.store.pages import PageRequest
from myna.store.query import parse
from myna.store.records import Acknowledgement, Project
from myna.store.scope import Scope
from myna.store.tables import metadata
from tests.store.rows import add_chat, key, message, new_id, preset, run, session, user

Ids = tuple[str, str, str, str, str]
Ask = Callable[[Scope, Ids], Awaitable[Any]]

CONVERSATION, COMPLETION, RESPONSE = "conv_1", "chatcmpl-1", "resp_1"
BATCH, PROJECT = "batch_1", "00000000-0000-4000-8000-000000000001"
PRESET = "00000000-0000-4000-8000-000000000002"
FILE, UPLOAD, PART, ENDPOINT, DELIVERY = "file-1", "upload_1", "part_1", "we_1", "wh_1"
PASSKEY = "passkey_1"

NOT_FOUND: dict[str, Ask] = {
    "chats.get": lambda scope, ids: chats.get(scope, ids[0]),
    "chats.update": lambda scope, ids: chats.update(scope, ids[0], title="stolen"),
    "chats.delete": lambda scope, ids: chats.delete(scope, ids[0]),
    "projects.get": lambda scope, ids: projects.get(scope, PROJECT),
    "projects.update": lambda scope, ids: projects.update(scope, PROJECT, name="stolen"),
    "projects.delete": lambda scope, ids: projects.delete(scope, PROJECT),
    "messages.get": lambda scope, ids: messages.get(scope, ids[1]),
    "messages.delete": lambda scope, ids: messages.delete(scope, ids[1]),
    "branches.edit": lambda scope, ids: branches.edit(scope, ids[1], "stolen", known=None, overwrite=True),
    "branches.copy": lambda scope, ids: branches.copy(scope, ids[1], new_id(), "stolen"),
    "branches.fork": lambda scope, ids: branches.fork(scope, ids[0], ids[1], new_id()),
    "takeout.conversation": lambda scope, ids: takeout.conversation(scope, ids[0]),
    "runs.get": lambda scope, ids: runs.get(scope, ids[2]),
    "keys.change": lambda scope, ids: keys.change(scope, ids[3], name="stolen"),
    "keys.remove": lambda scope, ids: keys.remove(scope, ids[3]),
    "conversations.get": lambda scope, ids: conversations.get(scope, CONVERSATION),
    "conversations.update": lambda scope, ids: conversations.update(scope, CONVERSATION, {"stolen": "yes"}),
    "conversations.delete": lambda scope, ids: conversations.delete(scope, CONVERSATION),
    "conversations.append": lambda scope, ids: conversations.append(scope, CONVERSATION, [{"id": "forged"}]),
    "conversations.items": lambda scope, ids: conversations.items(scope, CONVERSATION, PageRequest()),
    "conversations.history": lambda scope, ids: conversations.history(scope, CONVERSATION),
    "conversations.item": lambda scope, ids: conversations.item(scope, CONVERSATION, "item"),
    "conversations.delete_item": lambda scope, ids: conversations.delete_item(scope, CONVERSATION, "item"),
    "completions.get": lambda scope, ids: completions.get(scope, COMPLETION),
    "completions.update": lambda scope, ids: completions.update(scope, COMPLETION, {"stolen": "yes"}),
    "completions.delete": lambda scope, ids: completions.delete(scope, COMPLETION),
    "completions.messages": lambda scope, ids: completions.messages(scope, COMPLETION, PageRequest()),
    "responses.get": lambda scope, ids: responses.get(scope, RESPONSE),
    "responses.remove": lambda scope, ids: responses.remove(scope, RESPONSE),
    "batches.get": lambda scope, ids: batches.get(scope, BATCH),
    "batches.change": lambda scope, ids: batches.change(scope, BATCH, status="cancelled"),
    "files.get": lambda scope, ids: files.get(scope, FILE, 0),
    "files.remove": lambda scope, ids: files.remove(scope, FILE, 0),
    "uploads.get": lambda scope, ids: uploads.get(scope, UPLOAD, 0),
    "webhooks.get": lambda scope, ids: webhooks.get(scope, ENDPOINT),
    "webhooks.update": lambda scope, ids: webhooks.update(scope, ENDPOINT, url="https://stolen.example/"),
    "webhooks.remove": lambda scope, ids: webhooks.remove(scope, ENDPOINT),
    "passkeys.rename": lambda scope, ids: passkeys.rename(scope, PASSKEY, "stolen"),
    "passkeys.remove": lambda scope, ids: passkeys.remove(scope, PASSKEY),
    "presets.update": lambda scope, ids: presets.update(scope, PRESET, name="stolen", is_default=True),
    "presets.remove": lambda scope, ids: presets.remove(scope, PRESET),
    "responses.chain": lambda scope, ids: responses.chain(scope, RESPONSE),
}
EMPTY: dict[str, Ask] = {
    "invitations.count": lambda scope, ids: invitations.count(scope),
    "second_factors.find": lambda scope, ids: second_factors.find(scope),
    "second_factors.codes_left": lambda scope, ids: second_factors.codes_left(scope),
    "passkeys.of_owner": lambda scope, ids: passkeys.of_owner(scope),
    "provider_identities.of_owner": lambda scope, ids: provider_identities.of_owner(scope),
    "preferences.get": lambda scope, ids: _preferences(scope),
    "presets.find": lambda scope, ids: presets.find(scope, PRESET),
    "presets.listed": lambda scope, ids: presets.listed(scope),
    "presets.count": lambda scope, ids: presets.count(scope),
    "acknowledgements.has": lambda scope, ids: acknowledgements.has(scope, "gemma"),
    "acknowledgements.listed": lambda scope, ids: acknowledgements.listed(scope),
    "chats.find": lambda scope, ids: chats.find(scope, ids[0]),
    "chats.of_ids": lambda scope, ids: chats.of_ids(scope, [ids[0]]),
    "chats.size": lambda scope, ids: chats.size(scope, ids[0]),
    "chats.page": lambda scope, ids: chats.page(scope, None, 10),
    "projects.find": lambda scope, ids: projects.find(scope, PROJECT),
    "projects.of_ids": lambda scope, ids: projects.of_ids(scope, [PROJECT]),
    "projects.listed": lambda scope, ids: projects.listed(scope),
    "projects.count": lambda scope, ids: projects.count(scope),
    "steps.climb": lambda scope, ids: steps.climb(scope, ids[0], ids[1], 10, "v", 1000),
    "transcripts.tree": lambda scope, ids: transcripts.tree(scope, ids[0]),
    "messages.of_ids": lambda scope, ids: messages.of_ids(scope, [ids[1]]),
    "messages.find": lambda scope, ids: messages.find(scope, ids[1]),
    "messages.context": lambda scope, ids: messages.context(scope, ids[0], ids[1]),
    "queued.count": lambda scope, ids: queued.count(scope, ids[0]),
    "queued.below": lambda scope, ids: queued.below(scope, ids[1]),
    "search.titled": lambda scope, ids: search.titled(scope, parse("secret"), 10),
    "search.candidates": lambda scope, ids: search.candidates(scope, parse("secret"), None, 10),
    "takeout.conversations": lambda scope, ids: _taken(takeout.conversations(scope)),
    "takeout.tables": lambda scope, ids: _taken(takeout.tables(scope)),
    "runs.find": lambda scope, ids: runs.find(scope, ids[2]),
    "runs.of_ids": lambda scope, ids: runs.of_ids(scope, [ids[2]]),
    "runs.open_in_chat": lambda scope, ids: runs.open_in_chat(scope, ids[0]),
    "runs.logged": lambda scope, ids: _text(scope, ids[2]),
    "runs.events_after": lambda scope, ids: runs.events_after(scope, ids[2], 0, 10),
    "usage.of_days": lambda scope, ids: usage.of_days(scope, date.min, date.max),
    "changes.after": lambda scope, ids: changes.after(scope, 0, 100),
    "batches.listed": lambda scope, ids: _batches(scope),
    "batches.count_open": lambda scope, ids: batches.count_open(scope),
    "files.find": lambda scope, ids: files.find(scope, FILE, 0),
    "files.listed": lambda scope, ids: _files(scope),
    "files.stored_bytes": lambda scope, ids: files.stored_bytes(scope),
    "uploads.parts": lambda scope, ids: uploads.parts(scope, UPLOAD),
    "webhooks.listed": lambda scope, ids: _webhooks(scope),
    "webhooks.count": lambda scope, ids: webhooks.count(scope),
    "webhooks.subscribed": lambda scope, ids: webhooks.subscribed(scope, "batch.completed"),
    "completions.listed": lambda scope, ids: _completions(scope),
    "responses.find": lambda scope, ids: responses.find(scope, RESPONSE),
    "responses.given": lambda scope, ids: responses.given(scope, RESPONSE),
    "responses.output": lambda scope, ids: responses.output(scope, RESPONSE),
    "responses.items_of_ids": lambda scope, ids: responses.items_of_ids(scope, ["said", "asked"]),
    "responses.events": lambda scope, ids: responses.events(scope, RESPONSE, responses.NO_EVENTS, 10),
}
HARMLESS: dict[str, Ask] = {
    "chats.mark_all": lambda scope, ids: chats.mark_all(scope, [ids[0]], "archived_at", 1),
    "chats.move_all": lambda scope, ids: chats.move_all(scope, [ids[0]], None),
    "chats.delete_all": lambda scope, ids: chats.delete_all(scope, [ids[0]]),
    "invitations.revoke": lambda scope, ids: invitations.revoke(scope, "invitation_1", 9),
    "invitations.remove": lambda scope, ids: invitations.remove(scope, "invitation_1"),
    "second_factors.use_step": lambda scope, ids: second_factors.use_step(scope, 9),
    "second_factors.use_code": lambda scope, ids: second_factors.use_code(scope, b"code", 9),
    "second_factors.remove": lambda scope, ids: second_factors.remove(scope),
    "passkeys.use": lambda scope, ids: passkeys.use(scope, PASSKEY, 9, 9),
    "passkeys.remove_all": lambda scope, ids: passkeys.remove_all(scope),
    "provider_identities.remove": lambda scope, ids: provider_identities.remove(scope, "https://id.example"),
    "messages.begin": lambda scope, ids: messages.begin(scope, ids[1], run_id=new_id(), model="m"),
    "messages.set_status": lambda scope, ids: messages.set_status(scope, ids[1], "failed"),
    "messages.rewrite": lambda scope, ids: messages.rewrite(scope, ids[1], (), edited_at=9),
    "runs.set_status": lambda scope, ids: runs.set_status(scope, ids[2], "failed"),
    "sessions.remove": lambda scope, ids: sessions.remove(scope, ids[4]),
    "uploads.finish": lambda scope, ids: uploads.finish(scope, UPLOAD, "cancelled"),
    "webhooks.delivered": lambda scope, ids: webhooks.delivered(scope, DELIVERY),
    "webhooks.postpone": lambda scope, ids: webhooks.postpone(scope, DELIVERY, 9, 0),
    "responses.begin": lambda scope, ids: responses.begin(scope, RESPONSE, {"status": "in_progress"}),
    "responses.finish": lambda scope, ids: responses.finish(
        scope, RESPONSE, {"status": "completed"}, [{"id": "forged"}], last_event=9
    ),
}


IMPOSSIBLE: dict[str, Ask] = {
    "messages.add": lambda scope, ids: messages.add(scope, message(ids[0], ids[1])),
    "messages.finish": lambda scope, ids: messages.finish(
        scope, ids[1], parts_now=[TextPart("forged")], status="complete", usage=None, error=None
    ),
    "runs.add": lambda scope, ids: runs.add(scope, run(ids[0], ids[1])),
    "uploads.add_part": lambda scope, ids: uploads.add_part(scope, uploads.Part(UPLOAD, "part_2", 1, "2" * 32, 1)),
    "webhooks.enqueue": lambda scope, ids: webhooks.enqueue(scope, _delivery("wh_2")),
}
OWN_ROWS_ONLY = {
    "chats.create", "projects.create", "changes.record", "changes.record_all", "changes.latest",
    "keys.add", "sessions.add", "conversations.create",
    "files.add", "batches.add", "uploads.add", "webhooks.add", "preferences.change",
    "completions.add", "responses.add", "presets.add", "acknowledgements.add",
    "invitations.add", "second_factors.begin", "second_factors.confirm", "second_factors.replace_codes",
    "provider_identities.add", "passkeys.add",
    # What is found by a statement that is given, the index of what was just written, and a database of one owner alone
    "memory.size", "pages.page", "pages.check_size", "search.index", "search.index_title", "search.copy_messages",
}  # fmt: skip


def test_the_sweep_below_knows_every_query() -> None:
    queries = set()
    for found in pkgutil.iter_modules(store.__path__):
        module = importlib.import_module(f"{store.__name__}.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            asks = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
            is_own = function.__module__ == module.__name__ and not name.startswith("_")
            if asks and is_own and "scope" in inspect.signature(function).parameters:
                queries.add(f"{found.name}.{name}")
    assert queries == {*NOT_FOUND, *EMPTY, *HARMLESS, *IMPOSSIBLE, *OWN_ROWS_ONLY}


async def _taken(pieces: AsyncIterator[Any]) -> object:
    return [piece async for piece in pieces]


async def _text(scope: Scope, run_id: str) -> object:
    return (await runs.logged(scope, run_id))[2]


async def _preferences(scope: Scope) -> object:
    return (await preferences.get(scope)).instructions


async def _completions(scope: Scope) -> object:
    return (await completions.listed(scope, PageRequest(), "m", {"label": "secret"})).items


async def _files(scope: Scope) -> object:
    return (await files.listed(scope, PageRequest(), 0)).items


async def _batches(scope: Scope) -> object:
    return (await batches.listed(scope, PageRequest())).items


async def _webhooks(scope: Scope) -> object:
    return (await webhooks.listed(scope, PageRequest())).items


def _delivery(delivery_id: str) -> webhooks.Delivery:
    return webhooks.Delivery("one", delivery_id, ENDPOINT, "batch.completed", "{}", 0, 1, 1)


async def everything(database: Database, owner: str) -> dict[str, Any]:
    async with database.read(owner) as scope:
        owned = {name: table for name, table in metadata.tables.items() if "owner" in table.c}
        return {name: await scope.all(scope.select(table)) for name, table in owned.items()}


async def test_nobody_reaches_anybody_elses_rows(database: Database) -> None:
    async with database.write("one") as scope:
        made, (asked,) = await add_chat(scope, "secret")
        running = run(made.id, asked.id)
        await runs.add(scope, running)
        following = message(made.id, asked.id, "secret too")
        waiting = message(made.id, following.id, "", role="assistant", status="waiting")
        for each in (following, waiting):
            await messages.add(scope, each)
        await runs.add(scope, run(made.id, waiting.id, status="waiting"))
        await projects.create(scope, Project(PROJECT, "secret", "", 1, 1, 1))
        await chats.update(scope, made.id, project_id=PROJECT, title="secret")
        await users.add(scope.transaction, user("one"))
        await keys.add(scope, key("one"))
        await sessions.add(scope, session("one"))
        await preferences.change(scope, instructions="secret")
        await invitations.add(
            scope, invitations.Invitation("invitation_1", "one", b"secret", "member", None, 1, 0, 1, 2, None)
        )
        await second_factors.begin(scope, "SECRET", 1)
        await second_factors.confirm(scope, 2, [b"code"])
        known = provider_identities.ProviderIdentity("one", "https://id.example", "7", None, 1, None)
        await provider_identities.add(scope, known)
        secret = passkeys.Passkey("one", PASSKEY, "secret", "localhost", b"id", b"key", 1, False, 1, None)
        await passkeys.add(scope, secret)
        await conversations.create(scope, CONVERSATION, {"label": "secret"}, [{"id": "item"}])
        labelled = {"id": COMPLETION, "model": "m", "metadata": {"label": "secret"}}
        await completions.add(scope, labelled, [{"role": "user"}])
        answered = responses.StoredResponse(RESPONSE, None, "completed", True, 0, 1, {"id": RESPONSE})
        await responses.add(scope, answered, [{"id": "asked"}], [{"id": "said"}])
        await files.add(scope, files.StoredFile(FILE, "secret.txt", "user_data", 1, "0" * 64, "0" * 32, 1, None))
        await presets.add(scope, preset(id=PRESET, is_default=True))
        await acknowledgements.add(scope, Acknowledgement("gemma", "m", 1))
        await batches.add(scope, batches.StoredBatch(BATCH, "/v1/embeddings", FILE, "24h", None, None, None, 1, 2))
        await uploads.add(scope, uploads.Upload(UPLOAD, "secret.txt", "user_data", 1, "pending", 1, 2, None))
        await uploads.add_part(scope, uploads.Part(UPLOAD, PART, 1, "1" * 32, 1))
        types = ("batch.completed",)
        endpoint = webhooks.Endpoint(ENDPOINT, "mine", "https://a.example/", types, "whsec_", None, None, False, 1, 1)
        await webhooks.add(scope, endpoint)
        await webhooks.enqueue(scope, _delivery(DELIVERY))
        await responses.append_events(scope.transaction, [("one", RESPONSE, 0, b"zero")])
    before = await everything(database, "one")
    ids = (made.id, asked.id, running.id, "key_1", "session_1")
    for name, ask in NOT_FOUND.items():
        with pytest.raises(NotFound):
            async with database.write("two") as scope:
                await ask(scope, ids)
        assert await everything(database, "one") == before, name
    for name, ask in EMPTY.items():
        async with database.read("two") as scope:
            assert not await ask(scope, ids), name
    for name, ask in HARMLESS.items():
        async with database.write("two") as scope:
            await ask(scope, ids)
        assert await everything(database, "one") == before, name
    for name, ask in IMPOSSIBLE.items():
        with pytest.raises(StoreError, match=r"(?i)foreign key"):
            async with database.write("two") as scope:
                await ask(scope, ids)
        assert await everything(database, "one") == before, name
