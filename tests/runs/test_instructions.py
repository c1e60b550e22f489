from __future__ import annotations

import pytest

from myna.hub import recommended_sampling
from myna.runs import instructions
from myna.runs.service import RunService
from myna.store import chats, preferences, projects
from myna.store.database import Database
from myna.store.records import Project
from tests.runs.conversation import OWNER, Talk, new_id
from tests.runs.scripted import ScriptedBackend

ADVISED = "SmolLM2-135M-Instruct"


@pytest.mark.parametrize(
    ("user", "chat", "told"),
    [
        ("I am a nurse.", "Be brief.", "I am a nurse.\n\nBe brief."),
        ("I am a nurse.\n", None, "I am a nurse."),
        ("", "Be brief.", "Be brief."),
        (" \n", "", recommended_sampling(ADVISED).system_prompt),
    ],
    ids=["both", "the user's", "the chat's", "the model's where there are none"],
)
async def test_what_a_model_is_told(database: Database, user: str, chat: str | None, told: str) -> None:
    async with database.write(OWNER) as scope:
        await preferences.change(scope, instructions=user)
        assert await instructions.system(scope, ADVISED, chat) == told
        assert await instructions.system(scope, "a model without advice", "") == (user.strip() or None)


async def test_the_instructions_come_before_the_branch_of_each_answer(
    service: RunService, backend: ScriptedBackend, database: Database
) -> None:
    talk = Talk(service, backend)
    first = await talk.exchange("one", "uno")
    async with database.write(OWNER) as scope:
        await preferences.change(scope, instructions="Answer in Italian.")
    _, reply = await talk.ask("two", first.messages[1].id)
    turns = reply.request.messages
    assert turns is not None
    assert [(turn.role, turn.text) for turn in turns] == [
        ("system", "Answer in Italian."),
        ("user", "one"),
        ("assistant", "uno"),
        ("user", "two"),
    ]
    async with database.write(OWNER) as scope:
        project = Project(new_id(), "Italy", "Speak as a guide.", 1, 1, 1)
        await projects.create(scope, project)
        await chats.update(scope, talk.chat_id, project_id=project.id, system_prompt="Be brief.")
    _, reply = await talk.ask("three", first.messages[1].id)
    assert reply.request.messages is not None
    assert reply.request.messages[0].text == "Answer in Italian.\n\nSpeak as a guide.\n\nBe brief."
    stranger = Talk(service, backend, owner="somebody else")
    _, reply = await stranger.ask("one")
    assert reply.request.messages is not None
    assert [turn.role for turn in reply.request.messages] == ["user"]
