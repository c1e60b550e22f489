"""Signing in with the identity provider.

The browser goes to the provider by a page's own doing, and comes back to a page, which asks for the rest. So nothing
but a request of this origin's own page begins or ends a session, and every cookie can be ``SameSite=Strict``: what
comes from another site is an address, and no request of ours follows it by itself.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from fastapi import APIRouter, Request, Response

from myna.errors import InvalidParameter, Refused
from myna.server.accounts import Accounts, sign_in, single_sign_on
from myna.server.accounts.provider import Provider
from myna.server.accounts.single_sign_on import Journey
from myna.server.api import account_types as types
from myna.server.api.services import Known, Services
from myna.server.api.session import address_of, begin_session, describe_session, is_encrypted
from myna.server.identity import caller_of, identity_of

router = APIRouter(prefix="/api")

COOKIE = "myna_provider"
PATH = "/api/provider"
JOURNEY_SECONDS = 600


@router.post("/provider")
async def begin(
    request: Request, response: Response, accounts: Known, body: types.ProviderJourney
) -> types.ProviderLocation:
    """Where to sign in at the provider; the cookie knows this browser again when it comes back."""
    provider = _provider(accounts)
    caller = caller_of(request)
    if accounts.state != "accounts":
        raise Refused("There are no accounts yet; make the first one.")
    user = None
    if body.purpose == "link":
        if caller is None or caller.session is None:
            raise Refused("Sign in first; then you can link your account.")
        user = await sign_in.confirm(accounts, caller, body.password, body.code, address=address_of(request))
    origin = request.headers.get("origin") or str(request.base_url).rstrip("/")
    location, journey = await single_sign_on.begin(
        provider,
        origin,
        body.purpose,
        invitation=body.invitation,
        user=user,
    )
    response.set_cookie(
        COOKIE,
        base64.urlsafe_b64encode(msgspec.json.encode(journey)).decode(),
        max_age=JOURNEY_SECONDS,
        path=PATH,
        httponly=True,
        samesite="strict",
        secure=is_encrypted(request),
    )
    return types.ProviderLocation(location=location)


@router.post("/provider/finish")
async def finish(
    request: Request, response: Response, services: Services, accounts: Known, body: types.ProviderReturn
) -> types.Session:
    """Sign in as whom the provider says this is, or link him with who is signed in."""
    provider = _provider(accounts)
    journey = _journey(request)
    user = await single_sign_on.finish(
        accounts,
        provider,
        request.app.state.sign_on_rules,
        journey,
        code=body.code,
        state=body.state,
        issuer=body.iss,
        caller=caller_of(request),
        address=address_of(request),
    )
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    if journey.purpose == "link":
        return await describe_session(services, accounts, caller_of(request))
    return await begin_session(request, response, services, accounts, user, method="provider")


@router.get("/account/provider")
async def get_link(request: Request, accounts: Known) -> types.ProviderLink:
    """Whether one's account is linked with the provider."""
    provider, by = _provider(accounts), identity_of(request)
    known = await single_sign_on.linked(accounts, provider, by)
    user = accounts.directory.users.get(by.user)
    return types.ProviderLink(
        name=provider.name,
        linked=known is not None,
        label=None if known is None else known.label,
        can_unlink=bool(user is not None and user.password),
    )


@router.delete("/account/provider", status_code=204)
async def unlink(request: Request, accounts: Known) -> None:
    """Sign in with the provider no longer."""
    await single_sign_on.unlink(accounts, _provider(accounts), identity_of(request))


def _provider(accounts: Accounts) -> Provider:
    if accounts.provider is None:
        raise Refused("This server has no identity provider.")
    return accounts.provider


def _journey(request: Request) -> Journey:
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")), type=Journey)
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise InvalidParameter(
            "This sign-in was not begun in this browser, or too long ago. Begin anew.", param="state"
        ) from None
