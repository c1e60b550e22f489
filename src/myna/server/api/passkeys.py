"""Signing in with a passkey, and one's own: a browser is asked, and answers with what its authenticator did."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request, Response

from myna.errors import InvalidParameter
from myna.server.accounts import passkeys, sign_in
from myna.server.accounts.authenticators import LIFE_MS, Json, site_of
from myna.server.api import account_types as types
from myna.server.api.services import Known, Services
from myna.server.api.session import address_of, begin_session, is_encrypted
from myna.server.identity import identity_of

router = APIRouter(prefix="/api")

COOKIE = "myna_passkey"
PATH = "/api"


@router.post("/passkeys")
async def begin_sign_in(request: Request, response: Response, accounts: Known) -> types.PasskeyOptions:
    """What a browser's authenticator is to sign, whoever is at it; the cookie knows the browser again."""
    passkeys.check_offered(accounts)
    site = site_of(request.headers.get("origin"))
    token, options = await passkeys.begin_sign_in(accounts, site, address=address_of(request))
    return _asked(request, response, token, options)


@router.post("/passkeys/finish")
async def finish_sign_in(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SignedPasskey
) -> types.Session:
    """Sign in as whose passkey has signed."""
    passkeys.check_offered(accounts)
    site, token = site_of(request.headers.get("origin")), _token(request, response)
    user, passkey, uses = await passkeys.finish_sign_in(
        accounts, site, token, body.credential, address=address_of(request)
    )
    prove = partial(passkeys.use, passkey=passkey, uses=uses)
    return await begin_session(
        request, response, services, accounts, user, method="passkey", with_second=True, prove=prove
    )


@router.get("/account/passkeys")
async def list_passkeys(request: Request, accounts: Known) -> types.PasskeyList:
    """One's own, oldest first."""
    return types.PasskeyList.model_validate({"passkeys": await passkeys.of_user(accounts, identity_of(request))})


@router.post("/account/passkeys")
async def begin_passkey(
    request: Request, response: Response, accounts: Known, body: types.Proof
) -> types.PasskeyOptions:
    """What a browser's authenticator is to make, for who has shown that it is he."""
    passkeys.check_offered(accounts)
    site, by = site_of(request.headers.get("origin")), identity_of(request)
    await sign_in.confirm(accounts, by, body.password, body.code, address=address_of(request))
    return _asked(request, response, *await passkeys.begin(accounts, by, site))


@router.post("/account/passkeys/finish", status_code=201)
async def finish_passkey(
    request: Request, response: Response, accounts: Known, body: types.NewPasskey
) -> types.Passkey:
    """Keep what it has made."""
    passkeys.check_offered(accounts)
    site, token = site_of(request.headers.get("origin")), _token(request, response)
    made = await passkeys.finish(accounts, identity_of(request), site, token, body.credential, body.name)
    return types.Passkey.model_validate(made)


@router.patch("/account/passkeys/{passkey_id}")
async def rename_passkey(request: Request, accounts: Known, passkey_id: str, body: types.PasskeyName) -> types.Passkey:
    """Call one otherwise."""
    return types.Passkey.model_validate(await passkeys.rename(accounts, identity_of(request), passkey_id, body.name))


@router.delete("/account/passkeys/{passkey_id}", status_code=204)
async def remove_passkey(request: Request, accounts: Known, passkey_id: str) -> None:
    """Let nobody in with it any more."""
    await passkeys.remove(accounts, identity_of(request), passkey_id)


@router.delete("/users/{user_id}/passkeys", status_code=204)
async def reset_passkeys(request: Request, accounts: Known, user_id: str) -> None:
    """Take all from a user who has lost one; he is signed out everywhere."""
    await passkeys.reset(accounts, identity_of(request), user_id)


def _asked(request: Request, response: Response, token: str, options: Json) -> types.PasskeyOptions:
    response.set_cookie(
        COOKIE,
        token,
        max_age=LIFE_MS // 1000,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=is_encrypted(request),
    )
    return types.PasskeyOptions(options=options)


def _token(request: Request, response: Response) -> str:
    """What the browser keeps, which is good for one answer."""
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    token = request.cookies.get(COOKIE)
    if token is None:
        raise InvalidParameter(passkeys.UNASKED, param="credential")
    return token
