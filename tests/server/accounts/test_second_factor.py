"""Second factors: set up, asked for at every sign-in, and how one comes back in without."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pyotp
import pytest

from myna.server.accounts import codes
from myna.store.records import now
from tests.server.people import PASSWORD, House, Person

PATH = "/api/account/second-factor"
CONFIRMED = {"password": PASSWORD}


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()  # RFC 6238, appendix B, the last six digits
    assert codes.step_of(secret, code, seconds * 1000) == seconds // 30


def test_a_clock_may_be_one_step_off_and_no_more() -> None:
    secret = codes.make_secret()
    at = 1_700_000_000
    step = at // 30
    wanted = {n: pyotp.TOTP(secret).generate_otp(step + n) for n in range(-2, 3)}
    found = [codes.step_of(secret, wanted[n], at * 1000) for n in range(-2, 3)]
    assert found[1:4] == [step - 1, step, step + 1]
    assert found[0] is None or wanted[-2] in (wanted[-1], wanted[0], wanted[1])
    assert codes.step_of(secret, "", at * 1000) is None


@pytest.mark.parametrize("zero", [0x0660, 0x06F0, 0xFF10], ids=["Arabic", "Persian", "full width"])
def test_a_code_may_be_typed_in_the_digits_of_another_script(zero: int) -> None:
    secret = codes.make_secret()
    typed = "".join(chr(zero + int(digit)) for digit in pyotp.TOTP(secret).generate_otp(1000))
    assert codes.step_of(secret, codes.plain(typed), 30_000_000) == 1000


class Phone:
    """An app with the secret, whose next code is asked for."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.step = 0

    def code(self) -> str:
        """A code that was not shown yet; the clock is advanced by the test, if it has to be."""
        self.step = max(self.step + 1, NOW // 30_000 - 1)
        return pyotp.TOTP(self.secret).generate_otp(self.step)


NOW = now()
"""The clock of the codes stands still here."""


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Milliseconds that it is advanced."""
    ahead = [0]
    monkeypatch.setattr("myna.server.accounts.second_factor.now", lambda: NOW + ahead[0])
    return ahead


async def set_up(person: Person) -> tuple[Phone, list[str]]:
    pending = await person.call("POST", PATH, CONFIRMED, 200)
    assert pending["address"].startswith("otpauth://totp/Myna:")
    assert pending["picture"].startswith("data:image/svg+xml")
    phone = Phone(pending["secret"])
    made = await person.call("POST", f"{PATH}/confirm", {"code": phone.code()}, 200)
    return phone, made["recovery_codes"]


async def try_in(home: House, expect: int, **body: Any) -> Any:
    person = await home.stranger()
    answer = await person.call("POST", "/api/session", {"name": "Ann", "password": PASSWORD, **body}, expect)
    if expect == 200:
        return person
    assert "set-cookie" not in str(answer)
    assert person.http.cookies.get("myna_session") is None
    return answer["error"]["code"]


async def test_nobody_has_a_session_before_both(home: House, ann: Person) -> None:
    other = await home.sign_in("Ann")
    phone, _ = await set_up(ann)
    assert await other.status("GET", "/api/chats") == 401, "it was begun without"
    assert await ann.status("GET", "/api/chats") == 200
    assert await try_in(home, 401) == "second_factor_required"
    assert await try_in(home, 401, password="wrong one", code="000000") == "wrong_password"
    assert await try_in(home, 401, code="kein Schlüssel") == "wrong_code"
    code = phone.code()
    await try_in(home, 200, code=f"{code[:3]} {code[3:]}")
    assert await try_in(home, 401, code=code) == "wrong_code", "a code is used once"
    state = await ann.call("GET", PATH, expect=200)
    assert (state["enabled"], state["codes_left"], state["required"]) == (True, 10, False)


async def test_one_code_opens_one_door(home: House, ann: Person) -> None:
    phone, recovery = await set_up(ann)
    for code in (phone.code(), recovery[0]):
        people = [await home.stranger() for _ in range(2)]
        body = {"name": "Ann", "password": PASSWORD, "code": code}
        answers = await asyncio.gather(*(person.status("POST", "/api/session", body) for person in people))
        assert sorted(answers) == [200, 401]


async def test_a_lost_phone_is_made_up_for_by_codes_on_paper(home: House, ann: Person, clock: list[int]) -> None:
    phone, recovery = await set_up(ann)
    assert len(set(recovery)) == 10
    back = await try_in(home, 200, code=recovery[3].upper().replace("-", " "))
    assert await try_in(home, 401, code=recovery[3]) == "wrong_code"
    assert (await back.call("GET", PATH))["codes_left"] == 9
    clock[0] = 60_000
    phone.step = (NOW + clock[0]) // 30_000 - 1
    fresh = await back.call("POST", f"{PATH}/recovery-codes", CONFIRMED | {"code": phone.code()}, 200)
    assert await try_in(home, 401, code=recovery[0]) == "wrong_code"
    await try_in(home, 200, code=fresh["recovery_codes"][0])


async def test_the_secret_is_in_nothing_that_is_read_later(home: House, ann: Person) -> None:
    phone, recovery = await set_up(ann)
    for path in (PATH, "/api/session", "/api/account/sessions", "/api/users", "/api/admin/audit"):
        answer = await ann.http.get(path)
        assert phone.secret not in answer.text
        assert not any(code in answer.text for code in recovery)
    stored = home.accounts.directory.users[ann.id]
    assert phone.secret not in str(stored)


async def test_it_takes_the_password_and_a_code_to_switch_off(home: House, ann: Person, clock: list[int]) -> None:
    await ann.call("POST", PATH, {"password": "not this one"}, 401)
    phone, _ = await set_up(ann)
    other = await try_in(home, 200, code=phone.code())
    clock[0] = 60_000
    assert (await ann.call("DELETE", PATH, CONFIRMED, 401))["error"]["code"] == "second_factor_required"
    assert (await ann.call("DELETE", PATH, CONFIRMED | {"code": "1"}, 401))["error"]["code"] == "wrong_code"
    phone.step = (NOW + clock[0]) // 30_000 - 1
    assert await ann.status("DELETE", PATH, {"password": "not this one", "code": phone.code()}) == 401
    await ann.call("DELETE", PATH, CONFIRMED | {"code": phone.code()}, 204)
    assert await other.status("GET", "/api/chats") == 401
    assert await ann.status("GET", "/api/chats") == 200
    await try_in(home, 200)


async def test_codes_are_guessed_slowly(home: House, ann: Person) -> None:
    phone, recovery = await set_up(ann)
    own = await try_in(home, 200, code=recovery[0])
    await own.call("DELETE", "/api/session", expect=204)
    answers = [await try_in(home, 401, code="000000") for _ in range(5)]
    assert answers == ["wrong_code"] * 5
    assert await try_in(home, 429, code="000000") == "too_many_attempts"
    assert await try_in(home, 429, code=phone.code()) == "too_many_attempts", "from wherever they are tried"

    body = {"name": "Ann", "password": PASSWORD, "code": phone.code()}
    other = await home.stranger(cookie="myna_known=made.up")
    assert await other.status("POST", "/api/session", body) == 429
    await own.call("POST", "/api/session", body, 200)  # her own browser is known, and not held up
    await ann.call("POST", f"{PATH}/recovery-codes", CONFIRMED | {"code": recovery[1]}, 200)


async def test_a_known_browser_is_not_known_for_another_nor_after_a_reset(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    _, recovery = await set_up(ann)
    _, his = await set_up(ben)
    known = await try_in(home, 200, code=recovery[0])
    marks = [known.http.cookies["myna_known"]]
    assert ann.id not in marks[0]
    await known.call("POST", "/api/session", {"name": "Ann", "password": PASSWORD, "code": recovery[1]}, 200)
    assert known.http.cookies["myna_known"] == marks[0]
    await known.call("POST", "/api/session", {"name": "Ben", "password": PASSWORD, "code": his[0]}, 200)
    marks.append(known.http.cookies["myna_known"])
    assert marks[0] != marks[1]
    await ann.call("DELETE", f"/api/users/{ben.id}/second-factor", expect=204)
    ben = await home.sign_in("Ben")
    _, his = await set_up(ben)
    await known.call("POST", "/api/session", {"name": "Ben", "password": PASSWORD, "code": his[0]}, 200)
    assert known.http.cookies["myna_known"] not in marks


async def test_a_set_up_that_is_not_confirmed_asks_for_nothing(home: House, ann: Person) -> None:
    first = await ann.call("POST", PATH, CONFIRMED, 200)
    await try_in(home, 200)
    second = await ann.call("POST", PATH, CONFIRMED, 200)
    assert first["secret"] != second["secret"]
    assert await ann.status("POST", f"{PATH}/confirm", {"code": "000000"}) == 401
    await ann.call("POST", f"{PATH}/confirm", {"code": Phone(second["secret"]).code()}, 200)
    assert await ann.status("POST", f"{PATH}/confirm", {"code": "000000"}) == 409
    assert await ann.status("POST", PATH, CONFIRMED) in (401, 409)


async def test_who_manages_users_resets_one_within_his_rights(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben", "admin")
    await set_up(ann)
    await set_up(ben)
    listed = (await ann.call("GET", "/api/users"))["users"]
    assert [user["second_factor"] for user in listed] == [True, True]
    assert await ben.status("DELETE", f"/api/users/{ann.id}/second-factor") == 403
    assert await ann.status("DELETE", f"/api/users/{ann.id}/second-factor") == 403, "not without password and code"
    await ann.call("DELETE", f"/api/users/{ben.id}/second-factor", expect=204)
    assert await ben.status("GET", "/api/chats") == 401
    assert await ann.status("DELETE", f"/api/users/{ben.id}/second-factor") == 409
    await home.sign_in("Ben")


async def test_where_everybody_needs_one_it_is_set_up_to_sign_in(home: House, ann: Person) -> None:
    ben = await home.invite(ann, "Ben")
    phone, _ = await set_up(ann)
    stranger = await home.stranger()
    named = {"name": "Ben", "password": PASSWORD}
    assert await stranger.status("POST", "/api/session/second-factor", named) == 403, "nobody needs one"
    await ann.call("PATCH", "/api/admin/options", {"require_second_factor": True}, 200)
    assert await ben.status("GET", "/api/chats") == 401, "he signed in with a password alone"
    assert await ann.status("GET", "/api/chats") == 200
    await home.accounts.end_expired()
    assert {one.owner for one in home.accounts.directory.sessions.values()} == {ann.id}
    refused = await stranger.call("POST", "/api/session", named, 401)
    assert refused["error"]["code"] == "second_factor_setup_required"
    assert await stranger.status("POST", "/api/session/second-factor", named | {"password": "wrong one"}) == 401
    pending = await stranger.call("POST", "/api/session/second-factor", named, 200)
    assert await stranger.status("POST", "/api/session", named) == 401
    in_ = await stranger.call("POST", "/api/session", named | {"code": Phone(pending["secret"]).code()}, 200)
    assert len(in_["recovery_codes"]) == 10
    assert await stranger.status("GET", "/api/chats") == 200
    assert await stranger.status("POST", "/api/session/second-factor", named) == 409
    assert await ann.status("DELETE", PATH, CONFIRMED | {"code": phone.code()}) == 403
    assert (await ann.call("GET", PATH))["required"]


async def test_no_key_touches_it(home: House, ann: Person) -> None:
    program = await home.key_of(ann)
    for method, path in (("GET", PATH), ("POST", PATH), ("DELETE", PATH), ("POST", f"{PATH}/confirm")):
        assert await program.status(method, path, CONFIRMED) == 403
