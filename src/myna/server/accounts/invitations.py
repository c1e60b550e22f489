"""Signing up: by an invitation's link, or by oneself where the owner lets everybody."""

from __future__ import annotations

import secrets
from typing import Literal

from myna.errors import Conflict, InvalidParameter, Refused, TooManyAttempts
from myna.server.accounts.directory import digest, identity
from myna.server.accounts.names import clean_name
from myna.server.accounts.passwords import check_password
from myna.server.accounts.service import Accounts
from myna.server.accounts.throttle import network_of
from myna.server.accounts.users import insert, make, may_touch
from myna.server.identity import Identity
from myna.store import audit, invitations
from myna.store.invitations import Invitation
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.users import Role, User

MAX_INVITATIONS = 1_000
"""Of one user, whatever became of them."""
LONGEST_MS = 366 * 86_400_000

State = Literal["open", "used", "expired", "revoked"]

TAKEN = "This name is taken, or looks too much like one that is. Choose another."
OVER: dict[State, str] = {
    "used": "This invitation was used already. Ask for another.",
    "expired": "This invitation has expired. Ask for another.",
    "revoked": "This invitation was withdrawn. Ask for another.",
}


async def create(
    accounts: Accounts, by: Identity, *, role: Role, expires_at: int, uses: int, name: str | None
) -> tuple[Invitation, str]:
    """A new invitation and the secret of its link, which is kept nowhere.

    Raises:
        Refused: whoever asks may not make such users, or there are no accounts yet.
        Conflict: he has too many.
        InvalidParameter: the name will not do, or it would have expired already or never.
    """
    may_touch(by, role)
    if accounts.options.current.sign_up == "closed":
        raise Refused("Nobody may make an account here, not by invitation either: the options of this server say so.")
    if accounts.state != "accounts":
        raise Refused("There are no accounts yet: make the first one, your own, before you invite others.")
    at = now()
    if not at < expires_at <= at + LONGEST_MS:
        raise InvalidParameter("'expires_at' is in the past or more than a year away.", param="expires_at")
    secret = secrets.token_urlsafe(32)
    invitation = Invitation(
        id=new_id("invitation_"),
        owner=by.user,
        digest=digest(secret),
        role=role,
        name=None if name is None else clean_name(name),
        most_uses=uses,
        uses=0,
        created_at=at,
        expires_at=expires_at,
        revoked_at=None,
    )
    async with accounts.database.transaction() as transaction:
        scope = transaction.owned_by(by.user)
        if await invitations.count(scope) >= MAX_INVITATIONS:
            raise Conflict(f"You have made {MAX_INVITATIONS} invitations; delete those that are over.")
        await invitations.add(scope, invitation)
        await audit.record(transaction, by, "invitation.create", "invitation", invitation.id, role=role, uses=uses)
    return invitation, secret


async def listed(accounts: Accounts) -> list[Invitation]:
    """All invitations, the newest first."""
    async with accounts.database.transaction() as transaction:
        return await invitations.all_of_them(transaction)


async def end(accounts: Accounts, by: Identity, invitation_id: str) -> None:
    """Revoke an invitation; one that is over already is deleted.

    Raises:
        NotFound: there is none of this id.
        Refused: whoever asks may not touch users of its role.
    """
    async with accounts.database.transaction() as transaction:
        invitation = await invitations.by_id(transaction, invitation_id)
        may_touch(by, invitation.role)
        scope = transaction.owned_by(invitation.owner)
        if state_of(accounts, invitation) == "open":
            await invitations.revoke(scope, invitation.id, now())
            action = "invitation.revoke"
        else:
            await invitations.remove(scope, invitation.id)
            action = "invitation.delete"
        await audit.record(transaction, by, action, "invitation", invitation.id)


def state_of(accounts: Accounts, invitation: Invitation) -> State:
    """What can be done with it. It ends with the rights of who made it: he must still be able to make such a user."""
    if accounts.options.current.sign_up == "closed":
        return "revoked"
    if invitation.revoked_at is not None or not _may_still(accounts, invitation):
        return "revoked"
    if invitation.uses >= invitation.most_uses:
        return "used"
    return "expired" if invitation.expires_at <= now() else "open"


async def look(accounts: Accounts, secret: str, *, address: str) -> Invitation:
    """The invitation of a link.

    Raises:
        InvalidParameter: there is none.
        TooManyAttempts: who asks has guessed too often.
    """
    source = "invitation", network_of(address)
    if wait := accounts.by_address.attempt(source):
        raise TooManyAttempts(f"Too many attempts; try again in {wait} seconds.", retry_after=wait)
    async with accounts.database.transaction() as transaction:
        invitation = await invitations.by_digest(transaction, digest(secret))
    if invitation is None:
        raise InvalidParameter(
            "This invitation is not known: its link is not whole, or it was deleted.", param="invitation"
        )
    accounts.by_address.succeeded(source)
    return invitation


async def sign_up(accounts: Accounts, name: str, password: str, *, secret: str | None, address: str) -> User:
    """A new user by his own doing: with an invitation of its role, without one a member.

    Raises:
        Refused: nobody may without an invitation, or it is over.
        InvalidParameter: the invitation is not known, or name or password will not do.
        Conflict: the name is taken, or there are too many users.
        TooManyAttempts: too many sign up from one address.
        EngineBusy: too many passwords are being computed.
    """
    if accounts.state != "accounts":
        raise Refused("There are no accounts yet; make the first one.")
    accounts.check_passwords_are_taken()
    if secret is None:
        check_open(accounts)
    else:
        await look(accounts, secret, address=address)
    name = clean_name(name)
    check_password(password, name)
    if wait := accounts.sign_ups.attempt(network_of(address)):
        raise TooManyAttempts(f"Too many accounts are made from here; try again in {wait} seconds.", retry_after=wait)
    hashed = await accounts.passwords.hash(password)
    async with accounts.database.transaction() as transaction:
        if secret is None:
            check_open(accounts)
        invitation = None if secret is None else await accept(transaction, accounts, secret)
        user = make(new_id("user_"), name, hashed, "member" if invitation is None else invitation.role)
        await join(transaction, accounts, user, invitation)
    return user


def check_open(accounts: Accounts) -> None:
    """Whether anybody may sign up. Raises Refused."""
    if accounts.options.current.sign_up != "open":
        raise Refused("Accounts are made by invitation here; ask an owner or admin of this server for one.")


async def accept(transaction: Transaction, accounts: Accounts, secret: str) -> Invitation:
    """Use an invitation once.

    Raises:
        Refused: it is over, be it since a moment ago.
    """
    found = await invitations.by_digest(transaction, digest(secret))
    if found is not None and (state := state_of(accounts, found)) == "open":
        used = await invitations.use(transaction, digest(secret), now())
        if used is not None:
            return used
    raise Refused(OVER["revoked" if found is None else "used" if state == "open" else state])


async def join(transaction: Transaction, accounts: Accounts, user: User, invitation: Invitation | None) -> None:
    """Add a user who came by himself.

    Raises:
        Conflict: the name is taken, or there are too many users. Strangers are not told whose name it is.
    """
    try:
        await insert(transaction, accounts, user)
    except Conflict as error:
        raise error if error.param is None else Conflict(TAKEN, param="name") from None
    by = {} if invitation is None else {"invitation": invitation.id}
    await audit.record(
        transaction, identity(user), "user.sign_up", "user", user.id, name=user.name, role=user.role, **by
    )


def _may_still(accounts: Accounts, invitation: Invitation) -> bool:
    host = accounts.directory.users.get(invitation.owner)
    if host is None or host.disabled or host.role == "member":
        return False
    return host.role == "owner" or invitation.role != "owner"
