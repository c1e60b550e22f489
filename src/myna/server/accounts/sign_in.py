"""Signing in and out, the sessions of a user's browsers, and one's own password."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from myna.errors import (
    AccountDisabled,
    EngineBusy,
    InvalidParameter,
    NotFound,
    Refused,
    TooManyAttempts,
    WrongOwnPassword,
    WrongPassword,
)
from myna.server.accounts import second_factor
from myna.server.accounts.directory import IDLE_MS, digest, identity
from myna.server.accounts.names import name_key
from myna.server.accounts.passwords import check_password
from myna.server.accounts.service import Accounts
from myna.server.accounts.throttle import Throttle, network_of
from myna.server.accounts.users import end_sessions, get
from myna.server.identity import Identity
from myna.store import audit, sessions, users
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.sessions import Method, Session
from myna.store.users import User

FRESH_MS = 10 * 60_000
"""A sign-in counts so long for what only the user himself may do."""
MAX_SESSIONS = 50
"""Of one user; the one that was not used for longest goes for a new one."""
WRONG = "Name and password do not belong together."


@dataclass(frozen=True, slots=True)
class Needs:
    """What a user has to show before what cannot be undone.

    Attributes:
        password: his password; who has none has signed in not long ago.
        code: of his second factor as well.
        seconds_left: of who has no password: how long his sign-in still counts; 0: he has to sign in again.
    """

    password: bool
    code: bool
    seconds_left: int | None


async def check(accounts: Accounts, name: str, password: str, *, address: str) -> User:
    """The user of a name and password.

    Who fails has to wait: for an address, and for a name wherever it is tried from. An address where the user is signed
    in has a count of its own for that user, so that nobody elsewhere keeps a user out by failing in the user's name.

    Raises:
        TooManyAttempts: the next attempt is taken later.
        WrongPassword: there is no such user, or it is not the password.
        AccountDisabled: it is, but the account may not be used.
        EngineBusy: too many passwords are being computed.
    """
    key, network = name_key(name)[:256], network_of(address)
    user = accounts.directory.named(key)
    counts: list[tuple[Throttle, Any]] = [(accounts.by_address, network), (accounts.by_name, key)]
    if user is not None and any(
        network_of(s.address or "") == network for s in accounts.directory.sessions_of(user.id)
    ):
        counts = [(accounts.by_address, (network, key))]
    for position, (throttle, source) in enumerate(counts):
        if wait := throttle.attempt(source):
            _take_back(counts[:position])
            raise TooManyAttempts(f"Too many attempts to sign in; try again in {wait} seconds.", retry_after=wait)
    try:
        is_right = await accounts.passwords.matches(password, None if user is None else user.password or None)
    except EngineBusy:  # nothing was tried
        _take_back(counts)
        raise
    if user is None or not is_right:
        await accounts.failures.note(accounts.database, user, WrongPassword.code)
        raise WrongPassword(WRONG)
    _take_back(counts)
    if user.disabled:
        await accounts.failures.note(accounts.database, user, AccountDisabled.code)
        raise AccountDisabled("This account is disabled; an owner or admin of this server can enable it.")
    return user


async def begin(
    accounts: Accounts,
    user: User,
    *,
    address: str,
    agent: str | None,
    method: Method = "password",
    with_second: bool = False,
    prove: Callable[[Transaction], Awaitable[None]] | None = None,
) -> tuple[Identity, str]:
    """A new session of a user, and its token, which is kept nowhere.

    Args:
        accounts: the accounts.
        user: as he was when it was shown that it is he.
        address: of the browser.
        agent: what it calls itself.
        method: how that was shown.
        with_second: whether his second factor was checked as well.
        prove: does what must be true in the moment that the session begins, or raises.

    Raises:
        WrongPassword: the user was changed or deleted since, or has a second factor by now.
    """
    token, at = secrets.token_urlsafe(32), now()
    session = Session(
        id=new_id("session_"),
        owner=user.id,
        digest=digest(token),
        created_at=at,
        last_used_at=at,
        expires_at=at + IDLE_MS,
        agent=agent[:256] if agent else None,
        address=address[:64],
        method=method,
    )
    async with accounts.database.transaction() as transaction:
        known = accounts.directory.users.get(user.id)
        if known is None or known.disabled or known.password != user.password:
            raise WrongPassword(WRONG)
        if method == "password" and user.id in accounts.directory.second_factors and not with_second:
            raise WrongPassword(WRONG)
        if prove is not None:
            await prove(transaction)
        scope = transaction.owned_by(user.id)
        surplus = accounts.directory.sessions_of(user.id)[MAX_SESSIONS - 1 :]
        await sessions.remove(scope, *(one.id for one in surplus))
        await sessions.add(scope, session)
        await audit.record(
            scope, identity(user), "session.begin", "session", session.id, agent=session.agent, method=method
        )

        def follow() -> None:
            accounts.directory.begin_session(session)
            for one in surplus:
                _forget(accounts, one)

        transaction.after_commit.append(follow)
    known_as = accounts.by_session(token)
    assert isinstance(known_as, Identity), "a session that has just begun"
    return known_as, token


async def end(accounts: Accounts, by: Identity, session_id: str) -> None:
    """End a session, and with it the connections that it has open.

    Raises:
        NotFound: the user has none of this id.
    """
    me = asyncio.current_task()
    async with accounts.database.transaction() as transaction:
        known = next((one for one in accounts.directory.sessions_of(by.user) if one.id == session_id), None)
        if known is None:
            raise NotFound(f"There is no session {session_id}; it may have ended.", param="session")
        await sessions.remove(transaction.owned_by(by.user), session_id)
        await audit.record(transaction, by, "session.end", "session", session_id, agent=known.agent)
        transaction.after_commit.append(lambda: _forget(accounts, known, but=me))


async def end_others(accounts: Accounts, by: Identity) -> None:
    """End all sessions of a user but the one that asks."""
    async with accounts.database.transaction() as transaction:
        await end_sessions(transaction, accounts, by.user, but=by.session)
        await audit.record(transaction, by, "session.end_others", "user", by.user, name=by.name)
        transaction.after_commit.append(lambda: _forget_others(accounts, by))


async def confirm(accounts: Accounts, by: Identity, password: str | None, code: str | None, *, address: str) -> User:
    """Whether it is still the user who asks, before what cannot be undone: his password, and his second factor.

    Who has no password has shown at the provider that it is he, not long ago.

    Raises:
        Refused: there are no accounts, or who has no password has signed in too long ago.
        InvalidParameter: the password is missing.
        WrongOwnPassword: it is not the password.
        CodeRequired, WrongCode: see `myna.server.accounts.second_factor.check`.
        TooManyAttempts, AccountDisabled, EngineBusy: see `check`.
    """
    if accounts.state != "accounts":
        raise Refused("There are no accounts, and so no password to confirm anything with.")
    known = get(accounts, by.user)
    if not known.password:
        check_fresh(accounts, by)
        return known
    if password is None:
        raise InvalidParameter("Send your password, to show that it is still you.", param="password")
    user = await _check_own(accounts, known, password, address=address)
    if user.id in accounts.directory.second_factors:
        await second_factor.check(accounts, user, code, signed_in=True)
    return user


def needs(accounts: Accounts, by: Identity) -> Needs:
    """What `confirm` will ask for.

    Raises:
        Refused: there are no accounts.
    """
    if accounts.state != "accounts":
        raise Refused("There are no accounts, and so no password to confirm anything with.")
    if get(accounts, by.user).password:
        return Needs(password=True, code=by.user in accounts.directory.second_factors, seconds_left=None)
    return Needs(password=False, code=False, seconds_left=max(0, FRESH_MS - _age(accounts, by)) // 1000)


def check_fresh(accounts: Accounts, by: Identity) -> None:
    """Whether somebody without a password has signed in not long ago. Raises Refused."""
    if _age(accounts, by) > FRESH_MS:
        raise Refused("You signed in a while ago. Sign in again, to show that it is still you.")


async def change_password(accounts: Accounts, by: Identity, old: str, new: str, *, address: str) -> None:
    """Give oneself another password; all other sessions end.

    Raises:
        Refused: there are no accounts.
        InvalidParameter: the new one will not do.
        WrongOwnPassword: the old one is not the password.
        TooManyAttempts, AccountDisabled, EngineBusy: see `check`.
    """
    if accounts.state != "accounts":
        raise Refused("There are no accounts, and so no password to change.")
    user = get(accounts, by.user)
    check_password(new, user.name, param="new")
    await _check_own(accounts, user, old, address=address)
    hashed = await accounts.passwords.hash(new)
    async with accounts.database.transaction() as transaction:
        changed = await users.change(transaction, by.user, password=hashed)
        await end_sessions(transaction, accounts, by.user, but=by.session)
        await audit.record(transaction, by, "user.change_password", "user", by.user, name=user.name)

        def follow() -> None:
            accounts.directory.users[by.user] = changed
            _forget_others(accounts, by)

        transaction.after_commit.append(follow)


async def _check_own(accounts: Accounts, user: User, password: str, *, address: str) -> User:
    """As `check`, of who is signed in: that the name is right is no secret then."""
    try:
        return await check(accounts, user.name, password, address=address)
    except WrongPassword:
        raise WrongOwnPassword("The password is wrong.") from None


def _age(accounts: Accounts, by: Identity) -> int:
    """Milliseconds since somebody signed in."""
    return now() - next((one.created_at for one in accounts.directory.sessions_of(by.user) if one.id == by.session), 0)


def _take_back(attempts: list[tuple[Throttle, Any]]) -> None:
    for throttle, source in attempts:
        throttle.succeeded(source)


def _forget_others(accounts: Accounts, by: Identity) -> None:
    accounts.directory.drop_sessions(by.user, but=by.session)
    accounts.connections.end(by.user, which=lambda who: who.session is not None and who.session != by.session)


def _forget(accounts: Accounts, session: Session, but: asyncio.Task[object] | None = None) -> None:
    accounts.directory.drop_session(session)
    accounts.connections.end(session.owner, but=but, which=lambda who: who.session == session.id)
