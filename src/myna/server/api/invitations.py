"""Invitations: made, listed and withdrawn by who manages users; followed by who gets one."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from myna.server.accounts import Accounts, invitations
from myna.server.api import account_types as types
from myna.server.api.services import Known, Services
from myna.server.api.session import address_of, begin_session, describe_session
from myna.server.identity import identity_of
from myna.store.invitations import Invitation

router = APIRouter(prefix="/api")


@router.get("/invitations")
async def list_invitations(accounts: Known) -> types.InvitationList:
    """All invitations, the newest first."""
    found = await invitations.listed(accounts)
    return types.InvitationList(invitations=[_described(accounts, one) for one in found])


@router.post("/invitations", status_code=201)
async def make_invitation(request: Request, accounts: Known, body: types.NewInvitation) -> types.MadeInvitation:
    """Make an invitation; the secret of its link is in this answer and nowhere else."""
    made, secret = await invitations.create(accounts, identity_of(request), **body.model_dump())
    return types.MadeInvitation(**_described(accounts, made).model_dump(), secret=secret)


@router.delete("/invitations/{invitation_id}", status_code=204)
async def end_invitation(request: Request, accounts: Known, invitation_id: str) -> None:
    """Withdraw an invitation; one that is over already is deleted."""
    await invitations.end(accounts, identity_of(request), invitation_id)


@router.post("/invitations/look")
async def look_at_invitation(request: Request, accounts: Known, body: types.InvitationLook) -> types.InvitationState:
    """What who has a link may do with it."""
    found = await invitations.look(accounts, body.secret, address=address_of(request))
    return types.InvitationState(
        state=invitations.state_of(accounts, found), role=found.role, name=found.name, expires_at=found.expires_at
    )


@router.post("/sign-up")
async def sign_up(
    request: Request, response: Response, services: Services, accounts: Known, body: types.SignUp
) -> types.Session:
    """Make an account for oneself, and sign in to it; where a second factor is needed, that is set up first."""
    user = await invitations.sign_up(
        accounts, body.name, body.password, secret=body.invitation, address=address_of(request)
    )
    if accounts.options.current.require_second_factor:
        return await describe_session(services, accounts, None)
    return await begin_session(request, response, services, accounts, user)


def _described(accounts: Accounts, one: Invitation) -> types.Invitation:
    host = accounts.directory.users.get(one.owner)
    return types.Invitation(
        state=invitations.state_of(accounts, one),
        role=one.role,
        name=one.name,
        expires_at=one.expires_at,
        id=one.id,
        uses=one.uses,
        most_uses=one.most_uses,
        created_at=one.created_at,
        by="" if host is None else host.name,
    )
