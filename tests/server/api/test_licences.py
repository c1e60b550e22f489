"""A model whose licence forbids something is not used in the application before its user has acknowledged it."""

from __future__ import annotations

from typing import Any

from myna.server.identity import LOCAL
from myna.store import audit
from myna.store.tables.models import acknowledgements
from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


def message(model: str, parent_id: str | None = None) -> dict[str, Any]:
    return {
        "message": {"id": new_id(), "parent_id": parent_id, "text": "hello"},
        "run": {"id": new_id(), "message_id": new_id(), "model": model},
    }


async def test_no_way_leads_to_an_answer_before_the_licence_is_acknowledged(served: Served) -> None:
    chat = f"/api/chats/{served.chat_id}"
    refused = await served.call("POST", f"{chat}/messages", message("restricted"), expect=403)
    assert refused["error"]["code"] == "licence_not_acknowledged"
    assert "Gemma Terms of Use" in refused["error"]["message"]
    await served.call("GET", chat, expect=404)  # nothing was made
    created = await served.exchange("one", "uno")
    asked = created["messages"][0]["id"]
    run = {"id": new_id(), "message_id": new_id(), "parent_id": asked, "model": "restricted"}
    await served.call("POST", f"{chat}/runs", run, expect=403)
    await served.call("PATCH", chat, {"model": "restricted"})  # choosing it is no use of it
    await served.call("POST", f"{chat}/runs", {**run, "model": None}, expect=403)
    assert len((await served.call("GET", chat))["messages"]) == 2
    assert all(reply.request.id == created["run"]["id"] for reply in served.backend.replies.values())

    terms = {"licence": "gemma", "model": "restricted"}
    await served.call("POST", "/api/licences", {**terms, "licence": "mit"}, expect=400)
    await served.call("POST", "/api/licences", {"licence": "gemma", "model": "scripted"}, expect=400)
    made = await served.call("POST", "/api/licences", terms, expect=201)
    await served.call("POST", "/api/licences", terms, expect=200)
    assert (await served.call("GET", "/api/licences"))["acknowledged"] == [made]
    await served.call("POST", f"{chat}/runs", run, expect=201)
    async with served.services.database.transaction() as transaction:
        entries = await audit.entries(transaction, audit.Filter())
    assert [(each.action, each.object_id, each.actor_id) for each in entries] == [
        ("licence.acknowledge", "gemma", LOCAL.user)
    ]


async def test_carrying_on_an_answer_is_a_use_too(served: Served) -> None:
    terms = {"licence": "gemma", "model": "restricted"}
    await served.call("POST", "/api/licences", terms, expect=201)
    body = message("restricted")
    await served.call("POST", f"/api/chats/{served.chat_id}/messages", body, expect=201)
    await served.call("POST", f"/api/runs/{body['run']['id']}/stop")
    async with served.services.database.write("local") as scope:
        await scope.run(scope.delete(acknowledgements))
    request = {"id": new_id(), "continue": body["run"]["message_id"]}
    await served.call("POST", f"/api/chats/{served.chat_id}/runs", request, expect=403)


async def test_models_say_what_their_licence_is(served: Served) -> None:
    models = {model["name"]: model for model in (await served.call("GET", "/api/models"))["models"]}
    assert not models["bigger"]["forbids"]
    assert models["restricted"]["forbids"]
    assert models["restricted"]["licence_class"] == "use-restricted"
    assert models["restricted"]["licence_title"] == "Gemma Terms of Use"
    assert models["restricted"]["licence_url"] == "https://ai.google.dev/gemma/terms"
