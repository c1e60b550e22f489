"""What everybody has used, as those see it who run the server."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from myna.store import usage
from myna.store.usage import DayUsage
from tests.server.people import House, Person
from tests.server.scripted import MODEL

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
WEEK = {"from": "2026-11-23", "to": "2026-11-24"}


async def people(home: House) -> tuple[Person, Person]:
    """Ann, who has used a lot, and Ben."""
    ann = await home.first()
    ben = await home.invite(ann, "Ben")
    async with home.app.state.database.transaction() as transaction:
        await usage.add(
            transaction,
            [
                (ann.id, DayUsage(MONDAY, "a", "", 1, 10, 5, 4, 2000)),
                (ann.id, DayUsage(MONDAY, "a", "key_1", 2, 20, 10, 8, 1000)),
                (ann.id, DayUsage(TUESDAY, "=b", "", 1, 100, 0)),
                (ben.id, DayUsage(MONDAY, "a", "", 1, 1, 1)),
            ],
        )
    return ann, ben


async def sums(person: Person, **wanted: Any) -> list[dict[str, Any]]:
    answer = await person.http.get("/api/admin/usage", params=wanted)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["sums"]
    return found


async def test_sums_by_what_is_asked_for(home: House) -> None:
    ann, ben = await people(home)
    (whole,) = await sums(ann, **WEEK)
    counts = ("requests", "prompt_tokens", "completion_tokens", "timed_tokens", "timed_milliseconds")
    assert [whole[name] for name in counts] == [5, 131, 16, 12, 3000]
    assert [whole[name] for name in ("day", "model", "user")] == [None] * 3
    days = await sums(ann, **WEEK, by="day")
    assert [(each["day"], each["requests"]) for each in days] == [("2026-11-23", 4), ("2026-11-24", 1)]
    users = await sums(ann, **WEEK, by="user")
    assert [(each["user"], each["prompt_tokens"]) for each in users] == [
        ({"id": ann.id, "name": "Ann"}, 130),
        ({"id": ben.id, "name": "Ben"}, 1),
    ]
    assert len(await sums(ann, **WEEK, by="user", limit=1)) == 1
    both = await sums(ann, **WEEK, by=["model", "day"], user=ann.id)
    assert [(each["day"], each["model"], each["requests"]) for each in both] == [
        ("2026-11-23", "a", 3),
        ("2026-11-24", "=b", 1),
    ]
    assert await sums(ann, **{"from": "2020-01-01", "to": "2020-01-02"}, model="a") == []


async def test_what_is_used_now_is_counted_with_its_speed(home: House) -> None:
    ann = await home.first()
    home.backend.decode_seconds = 0.25
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}
    await ann.call("POST", "/v1/chat/completions", body, 200)
    await home.app.state.meter.usage.write(home.app.state.database)
    (used,) = await sums(ann, by=["day", "model", "user"])
    assert (used["day"], used["model"]) == (str(datetime.now(UTC).date()), MODEL)
    assert used["requests"] == 1
    assert used["timed_tokens"] == used["completion_tokens"] - 1 > 0
    assert used["timed_milliseconds"] == 250


async def test_a_file_of_it(home: House) -> None:
    ann, _ = await people(home)
    answer = await ann.http.get("/api/admin/usage/export", params=WEEK)
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [(row["day"], row["model"], row["user"], row["requests"], row["tokens_per_second"]) for row in rows] == [
        ("2026-11-23", "a", "Ann", "3", "4.0"),
        ("2026-11-23", "a", "Ben", "1", ""),
        ("2026-11-24", "'=b", "Ann", "1", ""),
    ]


@pytest.mark.parametrize("wanted", [{"from": "2026-11-24", "to": "2026-11-23"}, {"from": "1900-01-01"}, {"by": "hour"}])
async def test_what_is_no_range_is_refused(home: House, wanted: dict[str, str]) -> None:
    ann = await home.first()
    assert (await ann.http.get("/api/admin/usage", params=wanted)).status_code == 400


async def test_the_first_day_that_there_is_is_a_range_too(home: House) -> None:
    ann = await home.first()
    answer = await ann.http.get("/api/admin/usage", params={"to": "0001-01-01"})
    assert (answer.status_code, answer.json()["sums"]) == (200, [])
