"""What a tab begins with: who is at the browser, signing in and out, and making the first account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import APIRouter, Request, Response

import myna
from myna.errors import Refused, SetUpRequired
from myna.server.accounts import Accounts, second_factor, sign_in, users
from myna.server.api import account_types as types
from myna.server.api.services import Known, Services
from myna.server.auth import COOKIE
from myna.server.identity import Identity, caller_of
from myna.store import changes
from myna.store.scope import Transaction
from myna.store.sessions import Method
from myna.store.users import User

router = APIRouter(prefix="/api")

MARK = "myna_known"
"""Cookie of a browser in which both factors of somebody were right; see `second_factor.marked`."""
COOKIE_SECONDS = 400 * 86_400
"""As long as browsers keep one at most; the session's own end is the server's to say."""


@router.get("/session")
async def session(request: Request, services: Services, accounts: Known) -> types.Session:
    """Version, default model, who is signed in, and the cursor from which list changes are to be followed."""
    return await describe_session(services, accounts, caller_of(request))


@router.post("/setup")
async def set_up(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SetUp
) -> types.Session:
    """Make the first account, an owner's, and sign in to it."""
    user = await users.set_up(accounts, body.name, body.password, token=body.token, address=address_of(request))
    return await begin_session(request, response, services, accounts, user)


@router.post("/session")
async def begin(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SignIn
) -> types.Session:
    """Sign in."""
    if accounts.state != "accounts":
        raise Refused("There are no accounts yet; make the first one.")
    accounts.check_passwords_are_taken()
    user = await sign_in.check(accounts, body.name, body.password, address=address_of(request))
    made = None
    try:
        with_second = await second_factor.check(accounts, user, body.code, mark=request.cookies.get(MARK))
    except SetUpRequired:
        if body.code is None:
            raise
        made, with_second = await second_factor.confirm(accounts, user, body.code), True
    begun = await begin_session(
        request, response, services, accounts, user, with_second=with_second, recovery_codes=made
    )
    if mark := await second_factor.marked(accounts, user, request.cookies.get(MARK)):
        _set_cookie(request, response, MARK, mark, path="/api/session")
    return begun


@router.post("/session/second-factor")
async def set_up_second_factor(request: Request, accounts: Known, body: types.Named) -> types.PendingSecondFactor:
    """Set up a second factor to sign in, where nobody may be without; the code that it shows then signs in."""
    accounts.check_passwords_are_taken()
    user = await sign_in.check(accounts, body.name, body.password, address=address_of(request))
    if not accounts.options.current.require_second_factor:
        raise Refused("Sign in first; a second factor can be set up in the account's settings then.")
    return types.PendingSecondFactor.model_validate(await second_factor.begin(accounts, user))


@router.delete("/session", status_code=204)
async def end(request: Request, response: Response, accounts: Known) -> None:
    """Sign out."""
    caller = caller_of(request)
    if caller is None or caller.session is None:
        raise Refused("Nobody is signed in here.")
    await sign_in.end(accounts, caller, caller.session)
    forget_cookie(response)


def forget_cookie(response: Response) -> None:
    """Let the browser forget its session, which has ended."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def address_of(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client else ""


async def begin_session(
    request: Request,
    response: Response,
    services: Services,
    accounts: Accounts,
    user: User,
    *,
    method: Method = "password",
    with_second: bool = False,
    prove: Callable[[Transaction], Awaitable[None]] | None = None,
    recovery_codes: list[str] | None = None,
) -> types.Session:
    """Sign a user in, whoever has shown that it is he, as `sign_in.begin` has it: the cookie, and what a tab needs."""
    caller, token = await sign_in.begin(
        accounts,
        user,
        address=address_of(request),
        agent=request.headers.get("user-agent"),
        method=method,
        with_second=with_second,
        prove=prove,
    )
    _set_cookie(request, response, COOKIE, token, path="/")
    return await describe_session(services, accounts, caller, recovery_codes)


def _set_cookie(request: Request, response: Response, name: str, value: str, *, path: str) -> None:
    response.set_cookie(
        name,
        value,
        max_age=COOKIE_SECONDS,
        path=path,
        httponly=True,
        samesite="strict",
        secure=is_encrypted(request),
    )


def is_encrypted(request: Request) -> bool:
    """Whether the browser speaks TLS, be it with a proxy before us; its Origin says so."""
    return request.url.scheme == "https" or urlsplit(request.headers.get("origin", "")).scheme == "https"


async def describe_session(
    services: Services, accounts: Accounts, caller: Identity | None, recovery_codes: list[str] | None = None
) -> types.Session:
    """What a tab begins with."""
    cursor = None
    if caller is not None:
        async with services.database.read(caller.user) as scope:
            cursor = await changes.latest(scope)
    return types.Session(
        version=myna.__version__,
        default_model=accounts.options.current.default_model or services.library.default,
        user=None if caller is None else types.Me(id=caller.user, name=caller.name, role=caller.role),
        list_cursor=cursor,
        state="ready" if caller is not None else "sign_in" if accounts.state == "accounts" else "set_up",
        setup=None if accounts.state == "accounts" else "open" if accounts.state == "single" else "token",
        can_sign_out=caller is not None and caller.session is not None,
        sign_up=accounts.options.current.sign_up,
        provider=None if accounts.provider is None else accounts.provider.name,
        password_sign_in=accounts.password_sign_in,
        passkeys=accounts.passkeys and accounts.state == "accounts",
        recovery_codes=recovery_codes,
    )
