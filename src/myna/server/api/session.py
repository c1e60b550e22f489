"""What a tab begins with: who is at the browser, signing in and out, and making the first account."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

import myna
from myna.errors import Refused
from myna.server.accounts import Accounts, sign_in, users
from myna.server.api import account_types as types
from myna.server.api.services import Known, Services
from myna.server.auth import COOKIE
from myna.server.identity import Identity, caller_of
from myna.store import changes
from myna.store.users import User

router = APIRouter(prefix="/api")

COOKIE_SECONDS = 400 * 86_400
"""As long as browsers keep one at most; the session's own end is the server's to say."""


@router.get("/session")
async def session(request: Request, services: Services, accounts: Known) -> types.Session:
    """Version, default model, who is signed in, and the cursor from which list changes are to be followed."""
    return await _session(services, accounts, caller_of(request))


@router.post("/setup")
async def set_up(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SetUp
) -> types.Session:
    """Make the first account, an owner's, and sign in to it."""
    user = await users.set_up(accounts, body.name, body.password, token=body.token, address=address_of(request))
    return await _begin(request, response, services, accounts, user)


@router.post("/session")
async def begin(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SignIn
) -> types.Session:
    """Sign in."""
    if accounts.state != "accounts":
        raise Refused("There are no accounts yet; make the first one.")
    user = await sign_in.check(accounts, body.name, body.password, address=address_of(request))
    return await _begin(request, response, services, accounts, user)


@router.delete("/session", status_code=204)
async def end(request: Request, response: Response, accounts: Known) -> None:
    """Sign out."""
    caller = caller_of(request)
    if caller is None or caller.session is None:
        raise Refused("Nobody is signed in here.")
    await sign_in.end(accounts, caller, caller.session)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def address_of(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client else ""


async def _begin(
    request: Request, response: Response, services: Services, accounts: Accounts, user: User
) -> types.Session:
    agent = request.headers.get("user-agent")
    caller, token = await sign_in.begin(accounts, user, address=address_of(request), agent=agent)
    response.set_cookie(
        COOKIE,
        token,
        max_age=COOKIE_SECONDS,
        path="/",
        httponly=True,
        samesite="strict",
        secure=_is_encrypted(request),
    )
    return await _session(services, accounts, caller)


def _is_encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, be it with a proxy before us; its Origin says so."""
    return request.url.scheme == "https" or urlsplit(request.headers.get("origin", "")).scheme == "https"


async def _session(services: Services, accounts: Accounts, caller: Identity | None) -> types.Session:
    cursor = None
    if caller is not None:
        async with services.database.read(caller.user) as scope:
            cursor = await changes.latest(scope)
    return types.Session(
        version=myna.__version__,
        default_model=services.library.default,
        user=None if caller is None else types.Me(id=caller.user, name=caller.name, role=caller.role),
        list_cursor=cursor,
        state="ready" if caller is not None else "sign_in" if accounts.state == "accounts" else "set_up",
        setup=None if accounts.state == "accounts" else "open" if accounts.state == "single" else "token",
        can_sign_out=caller is not None and caller.session is not None,
    )
