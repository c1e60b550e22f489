from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.runs.conversation import new_id
from tests.server.api.conftest import Served


async def find(served: Served, query: str, **more: Any) -> Any:
    rest = "".join(f"&{name}={value}" for name, value in more.items())
    return await served.call("GET", f"/api/search?q={quote(query)}{rest}")


async def say(served: Served, asked: str, answered: str) -> Any:
    served.chat_id = new_id()
    return await served.exchange(asked, answered)


def texts(found: Any) -> list[str]:
    return ["".join(segment["text"] for segment in message["snippet"]) for message in found["messages"]]


async def test_hits_are_shown_where_they_are_and_lead_to_their_message(served: Served) -> None:
    made = await say(served, "Where does the Danube end?", "In the " + "very " * 60 + "Black Sea,\nnear Sulina <b>.")
    found = await find(served, "danube")
    assert [title["chat"]["id"] for title in found["titles"]] == [made["chat"]["id"]]
    assert found["titles"][0]["snippet"][1] == {"text": "Danube", "hit": True}
    assert [message["message_id"] for message in found["messages"]] == [made["messages"][0]["id"]]
    (hit,) = (await find(served, "sulina BLACK"))["messages"]
    assert (hit["role"], hit["chat"]["id"], hit["message_id"]) == (
        "assistant", made["chat"]["id"], made["messages"][1]["id"],
    )  # fmt: skip
    assert [segment["text"] for segment in hit["snippet"] if segment["hit"]] == ["Black", "Sulina"]
    assert hit["snippet"][0]["text"].startswith("…very")
    assert hit["snippet"][-1]["text"] == " <b>."


async def test_a_phrase_must_be_said_in_its_order(served: Served) -> None:
    await say(served, "the sea is black", "yes")
    await say(served, "black is the sea", "no")
    await say(served, "机器学习", "学习机器")
    assert len((await find(served, "black sea"))["messages"]) == 2
    assert texts(await find(served, '"the sea is"')) == ["the sea is black"]
    assert texts(await find(served, '"sea is the"')) == []
    assert texts(await find(served, "机器学习")) == ["机器学习"]
    assert texts(await find(served, "学习")) == ["学习机器", "机器学习"]


async def test_pages_go_on_where_the_last_one_ended(served: Served) -> None:
    for number in range(5):
        await say(served, f"walnut {number}", "yes")
    first = await find(served, "walnut", limit=2)
    assert texts(first) == ["walnut 4", "walnut 3"]
    second = await find(served, "walnut", limit=2, before=first["next"])
    assert texts(second) == ["walnut 2", "walnut 1"]
    assert second["titles"] == []
    third = await find(served, "walnut", limit=2, before=second["next"])
    assert (texts(third), third["next"]) == (["walnut 0"], None)


async def test_archived_chats_are_found_too_and_deleted_ones_are_not(served: Served) -> None:
    kept = await say(served, "hazel one", "yes")
    await served.call("PATCH", f"/api/chats/{kept['chat']['id']}", {"archived": True})
    gone = await say(served, "hazel two", "yes")
    await served.call("DELETE", f"/api/chats/{gone['chat']['id']}", expect=204)
    found = await find(served, "hazel")
    assert texts(found) == ["hazel one"]
    assert found["messages"][0]["chat"]["archived_at"] is not None


async def test_what_cannot_be_searched_is_refused_or_finds_nothing(served: Served) -> None:
    nothing = {"titles": [], "messages": [], "next": None}
    for query in ("", "!?", '"', "\0"):
        assert await find(served, query) == nothing
    assert await find(served, "x" * 10_000) == nothing
    for query in ("q=" + "x" * 10_001, "q=x&limit=0", "q=x&limit=51", "q=x&before=0", "q=x&before=-1", "q=x&before=y"):
        await served.call("GET", f"/api/search?{query}", expect=400)
