"""What an owner decides for everybody: it holds at once, is written down, and stays."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from myna.server.api import admin_types
from myna.server.identity import Limits
from myna.settings import Settings
from myna.store import audit
from myna.store.audit import Filter
from myna.store.options import Options
from tests.server.people import House, house
from tests.server.scripted import MODEL


async def test_an_owner_decides_at_once_and_for_good(tmp_path: Path, quick: None) -> None:
    settings = Settings(data_dir=tmp_path, tokens_per_minute=9)
    told: list[Options] = []
    async with house(settings) as home:
        ann = await home.first()
        home.app.state.options.on_change(told.append)
        assert (await ann.call("GET", "/api/admin/options", expect=200))["sign_up"] == "invitation"
        patch = {"sign_up": "open", "requests_per_minute": 3, "default_model": MODEL}
        changed = await ann.call("PATCH", "/api/admin/options", patch, 200)
        assert changed == await ann.call("GET", "/api/admin/options", expect=200)
        assert {name: changed[name] for name in patch} == patch
        await ann.call("PATCH", "/api/admin/options", patch, 200)  # nothing differs
        assert [each.requests_per_minute for each in told] == [3]
        assert home.app.state.meter.limits_of(Limits(tokens_per_day=5)) == Limits(3, 9, 5)
        async with home.app.state.database.transaction() as transaction:
            (entry,) = await audit.entries(transaction, Filter(action="options.change"))
        assert entry.actor_id == ann.id
        assert entry.address is not None
        assert entry.details["changes"]["sign_up"] == ["invitation", "open"]
    async with house(settings) as home:
        assert home.app.state.options.current.sign_up == "open"


@pytest.mark.parametrize(
    ("patch", "param"),
    [
        ({}, None),
        ({"sign_up": "sometimes"}, "sign_up"),
        ({"tokens_per_day": -1}, "tokens_per_day"),
        ({"titles": None}, "titles"),
        ({"default_model": "nothing-like-it"}, "model"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, patch: dict[str, Any], param: str | None) -> None:
    async with house(Settings(data_dir=tmp_path)) as home:
        person = await home.stranger()
        answer = await person.http.patch("/api/admin/options", json=patch)
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["error"]["param"] == param
        assert home.app.state.options.current == Options()


async def test_new_chats_begin_with_the_model_that_was_chosen(tmp_path: Path) -> None:
    async with house(Settings(data_dir=tmp_path)) as home:
        person = await home.stranger()
        for chosen, default in ((None, MODEL), ("other:1b", "other:1b")):
            home.app.state.options.current = Options(default_model=chosen)
            assert (await person.call("GET", "/api/session", expect=200))["default_model"] == default
            assert (await person.call("GET", "/api/models", expect=200))["default"] == default


async def test_only_owners_decide(home: House) -> None:
    ann = await home.first()
    ben, cat = await home.invite(ann, "Ben", "admin"), await home.invite(ann, "Cat")
    program = await home.key_of(ann, "all")
    for person, reads, writes in ((ben, 200, 403), (cat, 403, 403), (program, 403, 403)):
        assert await person.status("GET", "/api/admin/options") == reads
        assert await person.status("PATCH", "/api/admin/options", {"titles": False}) == writes
    assert home.app.state.options.current.titles


def test_the_wire_knows_every_option() -> None:
    names = {field.name for field in fields(Options)}
    assert set(admin_types.OptionsPatch.model_fields) == set(admin_types.Options.model_fields) == names
