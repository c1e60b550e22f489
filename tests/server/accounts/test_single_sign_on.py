"""Signing in with an identity provider: a real one, and one that lies."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from myna.errors import ConfigurationError, ProviderError
from myna.server.accounts.provider import Provider
from myna.server.app import create_app
from myna.settings import Settings
from myna.store.records import now
from tests.server.accounts.identity_provider import CLIENT, identity_provider, visit
from tests.server.people import PASSWORD, House, Person, ScriptedHub, ScriptedModels, house
from tests.server.scripted import ScriptedBackend

SCOPES = ("openid", "profile", "email", "groups")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with identity_provider(tmp_path_factory.mktemp("identity")) as address:
        yield address


Opened = Callable[..., AbstractAsyncContextManager[House]]


@pytest.fixture
def opened(issuer: str, tmp_path: Path) -> Opened:
    """The application with this provider, and other settings."""
    return lambda **more: house(Settings(data_dir=tmp_path, oidc_issuer=issuer, oidc_scopes=SCOPES, **(CLIENT | more)))


@pytest.fixture
async def home(opened: Opened) -> AsyncIterator[House]:
    async with opened() as running:
        yield running


async def come(home: House, name: str, expect: int = 200, person: Person | None = None, **begin: Any) -> Any:
    """Somebody goes to the provider as ``name``, and comes back; the browser, or the error."""
    person = person or await home.stranger()
    location = (await person.call("POST", "/api/provider", begin, 200))["location"]
    answer = await person.call("POST", "/api/provider/finish", await visit(location, name), expect)
    return person if expect == 200 else answer["error"]


async def test_who_is_invited_comes_in_and_is_known_again(home: House) -> None:
    ann = await home.first()
    assert (await (await home.stranger()).call("GET", "/api/session"))["provider"] == "Home"
    refused = await come(home, "bob", 403)
    assert "invitation" in refused["message"]
    made = await ann.call("POST", "/api/invitations", {"expires_at": now() + 10**6, "role": "admin"}, 201)
    bob = await come(home, "bob", invitation=made["secret"])
    me = (await bob.call("GET", "/api/session", expect=200))["user"]
    assert (me["name"], me["role"]) == ("bob", "admin")
    again = await come(home, "bob")
    assert (await again.call("GET", "/api/session"))["user"] == me
    assert (await again.call("GET", "/api/account/sessions"))["sessions"][0]["method"] == "provider"
    linked = await again.call("GET", "/api/account/provider", expect=200)
    assert (linked["linked"], linked["can_unlink"]) == (True, False)
    await again.call("DELETE", "/api/account/provider", expect=403)
    await (await home.stranger()).call("POST", "/api/session", {"name": "bob", "password": ""}, 400)
    await (await home.stranger()).call("POST", "/api/session", {"name": "bob", "password": PASSWORD}, 401)
    await ann.call("PATCH", f"/api/users/{me['id']}", {"disabled": True}, 200)
    assert (await come(home, "bob", 401))["code"] == "account_disabled"


async def test_an_address_finds_nobodys_account_and_who_is_signed_in_links_his_own(home: House) -> None:
    ann = await home.first()  # who is ann@home.example to the provider, as eve says she is
    for name in ("ann", "eve"):
        await come(home, name, 403)
    await come(home, "ann", person=ann, purpose="link", password=PASSWORD)
    back = await come(home, "ann")
    assert (await back.call("GET", "/api/session"))["user"]["id"] == ann.id
    await come(home, "eve", 403)
    ben = await home.invite(ann, "Ben")
    assert (await come(home, "ann", 409, person=ben, purpose="link", password=PASSWORD))["code"] == "conflict"
    assert await (await home.stranger()).status("POST", "/api/provider", {"purpose": "link"}) == 403
    await ann.call("DELETE", "/api/account/provider", expect=204)
    await come(home, "ann", 403)


async def test_to_link_takes_the_password(home: House) -> None:
    ann = await home.first()
    await ann.call("POST", "/api/provider", {"purpose": "link"}, 400)
    await ann.call("POST", "/api/provider", {"purpose": "link", "password": "not this one"}, 401)
    location = (await ann.call("POST", "/api/provider", {}, 200))["location"]  # an open browser may begin to sign in
    journey = json.loads(base64.urlsafe_b64decode(ann.http.cookies["myna_provider"]))
    came = await visit(location, "eve")
    for proof in ("", "made up"):
        made_up = json.dumps(journey | {"purpose": "link", "user": ann.id, "proof": proof}).encode()
        forged = base64.urlsafe_b64encode(made_up).decode()
        cookie = f"myna_session={ann.http.cookies['myna_session']}; myna_provider={forged}"
        refused = await ann.call("POST", "/api/provider/finish", came, 403, headers={"cookie": cookie})
        assert "password" in refused["error"]["message"]
    assert not (await ann.call("GET", "/api/account/provider", expect=200))["linked"]


async def test_who_has_no_password_leaves_soon_after_signing_in(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(oidc_sign_up=True) as home:
        ann = await home.first()
        assert await ann.call("GET", "/api/account/confirmation", expect=200) == {
            "password": True,
            "code": False,
            "seconds_left": None,
        }
        bob = await come(home, "bob")
        needs = await bob.call("GET", "/api/account/confirmation", expect=200)
        assert not needs["password"]
        assert 0 < needs["seconds_left"] <= 600
        with monkeypatch.context() as patch:
            patch.setattr("myna.server.accounts.sign_in.now", lambda: now() + 601_000)
            assert (await bob.call("GET", "/api/account/confirmation"))["seconds_left"] == 0
            refused = await bob.call("DELETE", "/api/account", {}, 403)
            assert "Sign in again" in refused["error"]["message"]
        await bob.call("DELETE", "/api/account", {}, 204)


async def test_what_was_begun_elsewhere_is_not_finished_here(home: House) -> None:
    await home.first()
    victim, attacker = await home.stranger(), await home.stranger()
    location = (await attacker.call("POST", "/api/provider", {}, 200))["location"]
    came = await visit(location, "bob")
    await victim.call("POST", "/api/provider/finish", came, 400)
    await victim.call("POST", "/api/provider", {}, 200)
    for state in (came["state"], "não"):
        told = await victim.call("POST", "/api/provider/finish", came | {"state": state}, 400)
        assert told["error"]["param"] == "state"
    assert await victim.status("POST", "/api/provider/finish", came, headers={"origin": "https://evil.example"}) == 403
    refused = await attacker.call("POST", "/api/provider/finish", came | {"iss": "https://evil.example"}, 502)
    assert refused["error"]["code"] == "provider_error"
    refused = await attacker.call("POST", "/api/provider/finish", came | {"code": "made up"}, 502)
    assert "invalid_grant" in refused["error"]["message"]


async def test_a_key_cannot_link_the_account_of_its_user_by_a_cookie_made_up(home: House) -> None:
    ann = await home.first()
    key = (await ann.call("POST", "/api/account/keys", {"name": "App", "permission": "inference"}, 201))["secret"]
    thief = await home.stranger()
    location = (await thief.call("POST", "/api/provider", {}, 200))["location"]
    journey = json.loads(base64.urlsafe_b64decode(thief.http.cookies["myna_provider"]))
    forged = base64.urlsafe_b64encode(json.dumps(journey | {"purpose": "link", "user": ann.id}).encode()).decode()
    headers = {"authorization": f"Bearer {key}", "cookie": f"myna_provider={forged}"}
    came = await visit(location, "eve")
    await thief.call("POST", "/api/provider/finish", came, 403, headers=headers)
    await come(home, "eve", 403)


async def test_the_cookie_and_the_address_are_what_they_should_be(home: House, issuer: str) -> None:
    await home.first()
    response = await (await home.stranger()).http.post("/api/provider", json={})
    cookie = response.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/api/provider", "max-age=600"))
    query = parse_qs(urlsplit(response.json()["location"]).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8642/sign-in/provider"]
    assert query["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge"} <= query.keys()


async def test_rules_say_who_may_come_in_and_as_what(opened: Opened) -> None:
    rules = {"oidc_sign_up": True, "oidc_allowed_domains": ("HOME.example",), "oidc_allowed_groups": ("staff",)}
    async with opened(**rules, oidc_role_claim="role") as home:
        owner = await home.first("Olga")
        ann = await come(home, "ann")
        me = (await ann.call("GET", "/api/session"))["user"]
        assert (me["name"], me["role"]) == ("ann", "admin")
        assert "domains" in (await come(home, "eve", 403))["message"], "her address is not verified"
        assert "domains" in (await come(home, "bob", 403))["message"]
        await owner.call("PATCH", f"/api/users/{me['id']}", {"role": "member"}, 200)
        again = await come(home, "ann")
        assert (await again.call("GET", "/api/session"))["user"]["role"] == "admin", "the provider says so each time"
    async with opened(oidc_sign_up=True, oidc_allowed_groups=("board",)) as home:
        assert "groups" in (await come(home, "ann", 403))["message"]


async def test_names_that_are_taken_get_a_number(opened: Opened) -> None:
    async with opened(oidc_sign_up=True) as home:
        await home.first("Eve")
        eve = await come(home, "eve")
        assert (await eve.call("GET", "/api/session"))["user"]["name"] == "eve 2"


async def test_passwords_can_be_switched_off(opened: Opened) -> None:
    async with opened() as home:
        ann = await home.first()
        await come(home, "ann", person=ann, purpose="link", password=PASSWORD)
        made = await ann.call("POST", "/api/invitations", {"expires_at": now() + 10**6}, 201)
    async with opened(password_sign_in=False) as home:
        stranger = await home.stranger()
        assert not (await stranger.call("GET", "/api/session"))["password_sign_in"]
        assert await stranger.status("POST", "/api/session", {"name": "Ann", "password": PASSWORD}) == 403
        guess = {"name": "Ann", "password": "no password is even looked at"}
        assert await stranger.status("POST", "/api/session/second-factor", guess) == 403
        joining = {"name": "Bob", "password": PASSWORD, "invitation": made["secret"]}
        assert await stranger.status("POST", "/api/sign-up", joining) == 403
        await come(home, "ann")
        await come(home, "bob", invitation=made["secret"])


@pytest.mark.parametrize("more", [{"oidc_client_id": None}, {"oidc_issuer": None, "password_sign_in": False}])
def test_settings_that_lock_everybody_out_are_refused(tmp_path: Path, more: dict[str, Any]) -> None:
    settings = Settings(data_dir=tmp_path, **({"oidc_issuer": "https://id.example"} | CLIENT | more))
    with pytest.raises(ConfigurationError):
        create_app(settings, ScriptedModels(ScriptedBackend()), ScriptedHub())  # type: ignore[arg-type]


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ISSUER = "https://id.example"
DAY = 86_400
"""In seconds; what is signed when this file is read is looked at long after."""


class Told(Provider):
    """A provider that says what the test says."""

    def __init__(self, token: str, **about: Any) -> None:
        super().__init__(Settings(oidc_issuer=ISSUER, **CLIENT))
        self.token, self.about, self.fetched = token, about, 0

    async def _ask(self, address: str, **_: Any) -> dict[str, Any]:
        if "well-known" in address:
            ends = {"authorization_endpoint": "https://id.example/a", "token_endpoint": "t", "jwks_uri": "keys"}
            return {"issuer": ISSUER, **ends, **self.about}
        if address == "keys":
            self.fetched += 1
            return {"keys": [{**jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True), "kid": "1"}]}
        return {"id_token": self.token}


def signed(key: Any = KEY, algorithm: str = "RS256", kid: str | None = "1", **claims: Any) -> str:
    at = int(time.time())
    told = {"iss": ISSUER, "aud": "myna", "sub": "7", "iat": at, "exp": at + DAY, "nonce": "n", **claims}
    told = {name: value for name, value in told.items() if value is not None}
    return jwt.encode(told, key, algorithm, headers={} if kid is None else {"kid": kid})


async def claims_of(token: str, **about: Any) -> dict[str, Any]:
    return await Told(token, **about).claims("code", "here", nonce="n", verifier="v", issuer=None)


@pytest.mark.parametrize(
    "token", [signed(), signed(kid=None), signed(aud=["myna"]), signed(aud=["myna", "x"], azp="myna")]
)
async def test_what_is_signed_for_us_is_believed(token: str) -> None:
    assert (await claims_of(token))["sub"] == "7"


@pytest.mark.parametrize(
    "token",
    [
        signed(OTHER),
        signed(kid="2"),
        signed(None, "none"),
        signed("a secret & of myna's, made longer for its algorithm", "HS256"),
        signed(iss="https://evil.example"),
        signed(aud="another"),
        signed(aud=["myna", "another"]),
        signed(exp=int(time.time()) - DAY),
        signed(exp=None),
        signed(iat=int(time.time()) + DAY),
        signed(nonce="of another sign-in"),
        signed(nonce=None),
        signed(sub=None),
        signed(sub=""),
        "",
        "not.a.token",
        signed()[:-8] + "AAAAAAAA",
    ],
)
async def test_what_is_not_is_refused(token: str) -> None:
    with pytest.raises(ProviderError):
        await claims_of(token)


async def test_the_provider_is_asked_once_however_many_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("myna.server.accounts.provider.time.monotonic", lambda: clock[0])

    class Busy(Told):
        asked, is_there = 0, False

        async def _ask(self, address: str, **more: Any) -> dict[str, Any]:
            self.asked += 1
            await asyncio.sleep(0)
            if not self.is_there:
                raise ProviderError("The identity provider does not answer.")
            return await super()._ask(address, **more)

    provider = Busy("")

    def begin() -> Any:
        many = (provider.location("here", state="s", nonce="n", verifier="v") for _ in range(5))
        return asyncio.gather(*many, return_exceptions=True)

    assert {str(one) for one in await begin()} == {"The identity provider does not answer."}
    assert provider.asked == 1
    provider.is_there, clock[0] = True, 11.0
    assert all(str(one).startswith("https://id.example/a?") for one in await begin())
    assert provider.asked == 2


async def test_a_provider_that_is_another_is_refused() -> None:
    with pytest.raises(ProviderError, match="calls itself"):
        await claims_of(signed(), issuer="https://evil.example")


@pytest.mark.parametrize(
    ("issuer", "private"),
    [
        ("http://127.0.0.1:9", False),
        ("http://169.254.169.254/latest", True),
        ("http://[fd00:ec2::254]", True),
        ("https://inside.example", False),
        ("http://outside.example", True),
    ],
)
async def test_the_server_asks_nobody_whom_it_should_not(issuer: str, private: bool) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.7"] if host.startswith("inside") else ["203.0.113.7"] if host == "x" else ["8.8.8.8"]

    provider = Provider(Settings(oidc_issuer=issuer, oidc_private_issuer=private, **CLIENT), resolve)
    with pytest.raises(ProviderError, match="may not be asked"):
        await provider.location("here", state="s", nonce="n", verifier="v")
