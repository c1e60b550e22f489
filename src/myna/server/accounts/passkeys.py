"""Passkeys: made by who is signed in, and a way to sign in that needs neither name nor password nor code.

What a browser is asked to sign follows from a random token in a cookie that no page can read, so only that browser can
answer; of the token a hash is stored that says what it is for, and is taken away with the first answer, right or wrong.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Literal

from myna.errors import AccountDisabled, Conflict, InvalidParameter, Refused, TooManyAttempts, WrongPasskey
from myna.server.accounts.authenticators import (
    LIFE_MS,
    WRONG,
    Json,
    Site,
    check_made,
    check_signed,
    credential_of,
    to_make,
    to_sign,
)
from myna.server.accounts.directory import digest
from myna.server.accounts.service import Accounts
from myna.server.accounts.throttle import network_of
from myna.server.accounts.users import end_sessions, get, may_touch
from myna.server.identity import Identity
from myna.store import audit, passkeys
from myna.store.pages import new_id
from myna.store.passkeys import Passkey
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.users import User

MAX_PASSKEYS = 20
"""Of one user."""
MAX_ASKED = 1_000
"""Browsers that have not answered yet, whoever's; the oldest is forgotten for a new one."""
UNASKED = "This was not begun in this browser, or too long ago. Begin anew."
COPIED = "This passkey was used as often already: there may be a copy of it. Sign in another way, and remove it."

Purpose = Literal["sign in", "make"]


def check_offered(accounts: Accounts) -> None:
    """Whether there are passkeys here. Raises Refused."""
    if accounts.state != "accounts":
        raise Refused("There are no accounts, and so nobody to sign in with a passkey.")
    if not accounts.password_sign_in:
        raise Refused("Nobody signs in with a passkey here: use the identity provider of this server.")
    if not accounts.passkeys:
        raise Refused("This server cannot check passkeys: pip install 'myna[passkeys]'.")


async def begin_sign_in(accounts: Accounts, site: Site, *, address: str) -> tuple[str, Json]:
    """The token that the browser keeps, and what it is asked to sign.

    Raises:
        TooManyAttempts: the next attempt is taken later.
    """
    if wait := accounts.ceremonies.attempt(network_of(address)):
        raise TooManyAttempts(f"Too many attempts to sign in; try again in {wait} seconds.", retry_after=wait)
    token = await _ask(accounts, "sign in", "")
    return token, to_sign(site, _challenge(token))


async def finish_sign_in(
    accounts: Accounts, site: Site, token: str, credential: Json, *, address: str
) -> tuple[User, Passkey, int]:
    """Whose passkey has signed, which it is, and how often it was used, which `use` is to note.

    Raises:
        InvalidParameter: this browser was not asked, or has answered.
        WrongPasskey: it is not known, or what it signed is not right.
        AccountDisabled: it is, but the account may not be used.
    """
    await _take(accounts, "sign in", "", token)
    async with accounts.database.read("") as scope:
        passkey = await passkeys.find(scope.transaction, credential_of(credential))
    user = None if passkey is None else accounts.directory.users.get(passkey.owner)
    if passkey is None or user is None:
        await accounts.failures.note(accounts.database, None, WrongPasskey.code)
        raise WrongPasskey("This passkey is not known here: it was removed, or belongs to another server.")
    try:
        uses = await check_signed(credential, site, _challenge(token), passkey, user)
    except WrongPasskey:
        await accounts.failures.note(accounts.database, user, WrongPasskey.code)
        raise
    if (uses or passkey.uses) and uses <= passkey.uses:
        await accounts.failures.note(accounts.database, user, "passkey_copied")
        raise WrongPasskey(COPIED)
    if user.disabled:
        await accounts.failures.note(accounts.database, user, AccountDisabled.code)
        raise AccountDisabled("This account is disabled; an owner or admin of this server can enable it.")
    accounts.ceremonies.succeeded(network_of(address))
    return user, passkey, uses


async def use(transaction: Transaction, passkey: Passkey, uses: int) -> None:
    """Note that a passkey was used, in the transaction in which the session begins.

    Raises:
        WrongPasskey: it was removed meanwhile, or used as often.
    """
    if not await passkeys.use(transaction.owned_by(passkey.owner), passkey.id, uses, now()):
        raise WrongPasskey(WRONG)


async def of_user(accounts: Accounts, by: Identity) -> list[Passkey]:
    """One's own."""
    async with accounts.database.read(by.user) as scope:
        return await passkeys.of_owner(scope)


async def begin(accounts: Accounts, by: Identity, site: Site) -> tuple[str, Json]:
    """The token that the browser keeps, and what it is asked to make, when who asks has shown that it is he.

    Raises:
        Conflict: he has too many.
    """
    user, known = get(accounts, by.user), await of_user(accounts, by)
    _check_room(known)
    token = await _ask(accounts, "make", user.id)
    return token, to_make(site, user, _challenge(token), known)


async def finish(accounts: Accounts, by: Identity, site: Site, token: str, credential: Json, name: str) -> Passkey:
    """The passkey that a browser has made.

    Raises:
        InvalidParameter: this browser was not asked by this user, or has answered.
        WrongPasskey: what it made is not right.
        Conflict: the user has too many, or it is one that is known.
        RateLimited: the user makes one after the other.
    """
    await _take(accounts, "make", by.user, token)
    accounts.admit_deed(by)
    made = await check_made(credential, site, _challenge(token))
    passkey = Passkey(
        owner=by.user,
        id=new_id("passkey_"),
        name=name,
        site=site.name,
        credential=made.credential,
        public_key=made.public_key,
        uses=made.uses,
        synced=made.synced,
        created_at=now(),
        last_used_at=None,
    )
    async with accounts.database.transaction() as transaction:
        get(accounts, by.user)
        scope = transaction.owned_by(by.user)
        _check_room(await passkeys.of_owner(scope))
        if await passkeys.find(transaction, passkey.credential) is not None:
            raise Conflict("This passkey is known here already.")
        await passkeys.add(scope, passkey)
        await audit.record(transaction, by, "passkey.add", "passkey", passkey.id, name=name, site=site.name)
    return passkey


async def rename(accounts: Accounts, by: Identity, passkey_id: str, name: str) -> Passkey:
    """Call one's own otherwise.

    Raises:
        NotFound: one has none of this id.
        RateLimited: one does so again and again.
    """
    accounts.admit_deed(by)
    async with accounts.database.transaction() as transaction:
        passkey = await passkeys.rename(transaction.owned_by(by.user), passkey_id, name)
        await audit.record(transaction, by, "passkey.rename", "passkey", passkey_id, name=name)
    return passkey


async def remove(accounts: Accounts, by: Identity, passkey_id: str) -> None:
    """Let nobody in with one of one's own any more.

    Raises:
        NotFound: one has none of this id.
    """
    async with accounts.database.transaction() as transaction:
        name = await passkeys.remove(transaction.owned_by(by.user), passkey_id)
        await audit.record(transaction, by, "passkey.remove", "passkey", passkey_id, name=name)


async def reset(accounts: Accounts, by: Identity, user_id: str) -> None:
    """Take all passkeys from a user; he is signed out everywhere.

    Raises:
        NotFound: no such user.
        Refused: whoever asks may not do that to this user, or it is himself.
        Conflict: he has none.
    """
    if user_id == by.user:
        raise Refused("Remove your own passkeys in your account.")
    async with accounts.database.transaction() as transaction:
        user = get(accounts, user_id)
        may_touch(by, user.role)
        if not await passkeys.remove_all(transaction.owned_by(user_id)):
            raise Conflict(f"{user.name} has no passkeys.")
        await end_sessions(transaction, accounts, user_id)
        await audit.record(transaction, by, "passkey.reset", "user", user_id, name=user.name)
        transaction.after_commit.append(lambda: accounts.drop_sessions(user_id, but=None, task=None))


async def counts(accounts: Accounts, user_ids: list[str]) -> dict[str, int]:
    """How many of these users have how many."""
    async with accounts.database.read("") as scope:
        return await passkeys.counts(scope.transaction, user_ids)


def _check_room(known: list[Passkey]) -> None:
    if len(known) >= MAX_PASSKEYS:
        raise Conflict(f"You have {MAX_PASSKEYS} passkeys; remove those that you do not use.")


async def _ask(accounts: Accounts, purpose: Purpose, user_id: str) -> str:
    token, at = secrets.token_urlsafe(32), now()
    async with accounts.database.transaction() as transaction:
        await passkeys.ask(transaction, _digest(purpose, user_id, token), at, at + LIFE_MS, MAX_ASKED)
    return token


async def _take(accounts: Accounts, purpose: Purpose, user_id: str, token: str) -> None:
    async with accounts.database.transaction() as transaction:
        was_asked = await passkeys.take(transaction, _digest(purpose, user_id, token), now())
    if not was_asked:
        raise InvalidParameter(UNASKED, param="credential")


def _digest(purpose: Purpose, user_id: str, token: str) -> bytes:
    return digest(f"{purpose}\n{user_id}\n{token}")


def _challenge(token: str) -> bytes:
    """What the browser with this token is asked to sign."""
    return hashlib.sha256(f"challenge\n{token}".encode("utf-8", "surrogateescape")).digest()
