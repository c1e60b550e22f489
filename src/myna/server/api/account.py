"""One's own account: its password, the browsers that are signed in, what it has used, taking it along, deleting it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from myna.server.accounts import sign_in, users
from myna.server.api import account_types as types
from myna.server.api.downloads import Download, check_begun_here
from myna.server.api.services import Known, Owner, Services
from myna.server.api.session import address_of, forget_cookie
from myna.server.identity import identity_of
from myna.server.takeout import Takeouts
from myna.store import audit, usage

router = APIRouter(prefix="/api/account")

MAX_DAYS = 366


@router.post("/password", status_code=204)
async def change_password(request: Request, accounts: Known, body: types.PasswordChange) -> None:
    """Choose another password; every other session ends."""
    await sign_in.change_password(accounts, identity_of(request), body.old, body.new, address=address_of(request))


@router.get("/confirmation")
async def get_needs(request: Request, accounts: Known) -> types.Needs:
    """What is asked for before what cannot be undone."""
    return types.Needs.model_validate(sign_in.needs(accounts, identity_of(request)))


@router.get("/export")
async def export_account(request: Request, accounts: Known, services: Services) -> StreamingResponse:
    """All that is one's own as a ZIP archive, made while it is sent."""
    check_begun_here(request)
    by = identity_of(request)
    accounts.admit_deed(by)
    user = accounts.directory.users.get(by.user)
    about = {"id": by.user, "name": by.name, "role": by.role}
    if user is not None:
        about |= types.User.model_validate(user).model_dump()
    takeouts: Takeouts = request.app.state.takeouts
    archive = await takeouts.begin(by.user, about, str(request.base_url).rstrip("/"))
    try:
        async with services.database.transaction() as transaction:
            await audit.record(transaction, by, "account.export", "user", by.user, name=by.name)
    except BaseException:
        await archive.aclose()
        raise
    return Download(archive, f"myna-{datetime.now(UTC).date().isoformat()}.zip", "application/zip")


@router.delete("", status_code=204)
async def delete_account(request: Request, response: Response, accounts: Known, body: types.Proof) -> None:
    """Delete oneself with everything of one's own; the last owner cannot."""
    by = identity_of(request)
    await sign_in.confirm(accounts, by, body.password, body.code, address=address_of(request))
    await users.delete(accounts, by, by.user)
    forget_cookie(response)


@router.get("/sessions")
async def list_sessions(request: Request, accounts: Known) -> types.BrowserList:
    """The browsers that are signed in, the one used last first."""
    caller = identity_of(request)
    return types.BrowserList(
        sessions=[
            types.Browser(
                id=one.id,
                created_at=one.created_at,
                last_used_at=one.last_used_at,
                expires_at=one.expires_at,
                method=one.method,
                agent=one.agent,
                address=one.address,
                current=one.id == caller.session,
            )
            for one in accounts.directory.sessions_of(caller.user)
        ]
    )


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(request: Request, accounts: Known, session_id: str) -> None:
    """Sign a browser out."""
    await sign_in.end(accounts, identity_of(request), session_id)


@router.delete("/sessions", status_code=204)
async def end_other_sessions(request: Request, accounts: Known) -> None:
    """Sign all other browsers out."""
    await sign_in.end_others(accounts, identity_of(request))


@router.get("/usage")
async def list_usage(
    services: Services, owner: Owner, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 30
) -> types.UsageList:
    """What was used on the last days, by day, model and key."""
    today = datetime.now(UTC).date()
    async with services.database.read(owner) as scope:
        used = await usage.of_days(scope, today - timedelta(days=days - 1), today)
    return types.UsageList.model_validate({"usage": used})
