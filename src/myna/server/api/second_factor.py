"""One's own second factor. To set it up or to switch it off takes the password, so that no open browser is enough."""

from __future__ import annotations

from fastapi import APIRouter, Request

from myna.server.accounts import second_factor, sign_in
from myna.server.accounts.users import get
from myna.server.api import account_types as types
from myna.server.api.services import Known
from myna.server.api.session import address_of
from myna.server.identity import identity_of

router = APIRouter(prefix="/api/account/second-factor")


@router.get("")
async def get_second_factor(request: Request, accounts: Known) -> types.SecondFactor:
    """Whether there is one, and how many recovery codes are left."""
    return types.SecondFactor.model_validate(await second_factor.state_of(accounts, identity_of(request)))


@router.post("")
async def begin_second_factor(request: Request, accounts: Known, body: types.Password) -> types.PendingSecondFactor:
    """A secret for an app; nothing asks for it before it is confirmed."""
    by = identity_of(request)
    user = await sign_in.confirm(accounts, by, body.password, None, address=address_of(request))
    return types.PendingSecondFactor.model_validate(await second_factor.begin(accounts, user))


@router.post("/confirm")
async def confirm_second_factor(request: Request, accounts: Known, body: types.NewCode) -> types.RecoveryCodes:
    """Ask for it from now on, since the app counts right; all other sessions end."""
    by = identity_of(request)
    made = await second_factor.confirm(accounts, get(accounts, by.user), body.code, by=by)
    return types.RecoveryCodes(recovery_codes=made)


@router.post("/recovery-codes")
async def replace_recovery_codes(request: Request, accounts: Known, body: types.Confirmation) -> types.RecoveryCodes:
    """Other recovery codes, in place of those from before."""
    by = identity_of(request)
    await sign_in.confirm(accounts, by, body.password, body.code, address=address_of(request))
    return types.RecoveryCodes(recovery_codes=await second_factor.replace_codes(accounts, by))


@router.delete("", status_code=204)
async def disable_second_factor(request: Request, accounts: Known, body: types.Confirmation) -> None:
    """Switch it off; all other sessions end."""
    by = identity_of(request)
    await sign_in.confirm(accounts, by, body.password, body.code, address=address_of(request))
    await second_factor.disable(accounts, by)
