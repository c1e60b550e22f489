"""What one has chosen for oneself, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.people import House, Person

PATH = "/api/account/preferences"


async def test_they_are_there_without_accounts_too_and_become_the_first_ones(home: House) -> None:
    somebody = await home.stranger()
    assert await somebody.call("GET", PATH, expect=200) == {
        "display_name": None,
        "instructions": "",
        "language": None,
        "theme": None,
        "version": 0,
    }
    chosen = await somebody.call("PATCH", PATH, {"instructions": " Be brief. ", "theme": "contrast"}, 200)
    assert (chosen["instructions"], chosen["theme"], chosen["version"]) == ("Be brief.", "contrast", 1)
    ann = await home.first()
    assert await ann.call("GET", PATH, expect=200) == chosen
    ben = await home.invite(ann, "Ben")
    assert (await ben.call("GET", PATH, expect=200))["instructions"] == ""


async def test_a_second_tab_does_not_overwrite_what_it_has_not_seen(ann: Person) -> None:
    await ann.call("PATCH", PATH, {"instructions": "one", "version": 0}, 200)
    refused = await ann.call("PATCH", PATH, {"instructions": "two", "version": 0}, 409)
    assert refused["error"]["param"] == "version"
    assert (await ann.call("PATCH", PATH, {"language": "de"}, 200))["instructions"] == "one"
    assert (await ann.call("PATCH", PATH, {"language": None}, 200))["language"] is None


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"version": 1},
        {"instructions": "x" * 8001},
        {"instructions": None},
        {"instructions": "a\0b"},
        {"language": "xx"},
        {"theme": "pink"},
        {"display_name": ""},
        {"display_name": "An\u200bn"},
        {"display_name": "A\u202enn"},
        {"colour": "teal"},
    ],
)
async def test_what_cannot_be_chosen_is_refused(ann: Person, patch: dict[str, Any]) -> None:
    refused = await ann.call("PATCH", PATH, patch, 400)
    assert refused["error"]["message"]
    assert (await ann.call("GET", PATH))["version"] == 0


async def test_keys_read_them_and_change_nothing(home: House, ann: Person) -> None:
    assert await (await home.key_of(ann, "read")).status("GET", PATH) == 200
    assert await (await home.key_of(ann, "inference")).status("GET", PATH) == 403
    assert await (await home.key_of(ann, "all")).status("PATCH", PATH, {"theme": "dark"}) == 403
