"""The second factor beside a password: set up, asked for, switched off, and reset by who manages users.

Nobody has a session before both are right. A right password without a code says so, and the browser asks once more
with both; so nothing has to be kept between the two steps. docs/decisions tells more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass

from myna.errors import CodeRequired, Conflict, Refused, SetUpRequired, TooManyAttempts, WrongCode
from myna.server.accounts import codes
from myna.server.accounts.directory import identity
from myna.server.accounts.service import Accounts
from myna.server.accounts.users import end_sessions, get, may_touch
from myna.server.identity import Identity
from myna.store import audit, second_factors
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.users import User

WRONG = "This code is not right, or was used already. Wait for your app's next one, or use a recovery code."


@dataclass(frozen=True, slots=True)
class Pending:
    """What an app is to learn: by its camera, by an address, or typed."""

    secret: str
    address: str
    picture: str


@dataclass(frozen=True, slots=True)
class State:
    """How a user's second factor stands. ``required``: nobody may be without one."""

    enabled: bool
    since: int | None
    codes_left: int
    required: bool


async def state_of(accounts: Accounts, by: Identity) -> State:
    """How one's own second factor stands."""
    required = accounts.options.current.require_second_factor
    async with accounts.database.read(by.user) as scope:
        factor = await second_factors.find(scope)
        if factor is None or factor.confirmed_at is None:
            return State(False, None, 0, required)
        return State(True, factor.confirmed_at, await second_factors.codes_left(scope), required)


async def begin(accounts: Accounts, user: User) -> Pending:
    """A new secret for a user who has none; nobody asks for it before `confirm`.

    Raises:
        Conflict: there is one already.
        Refused: he has no password that it could stand beside.
    """
    if not user.password:
        raise Refused("You sign in without a password, so there is nothing that a second factor would be added to.")
    secret = codes.make_secret()
    async with accounts.database.transaction() as transaction:
        if user.id in accounts.directory.second_factors:
            raise Conflict("There is a second factor already; switch it off before you set up another.")
        get(accounts, user.id)
        await second_factors.begin(transaction.owned_by(user.id), secret, now())
    address = codes.address_of(secret, user.name, "Myna")
    return Pending(secret, address, await asyncio.to_thread(codes.picture_of, address))


async def confirm(accounts: Accounts, user: User, code: str, *, by: Identity | None = None) -> list[str]:
    """Ask for the second factor from now on; its recovery codes, which are shown this once.

    Sessions from before end, but for that of who asks.

    Raises:
        Conflict: none was set up, or it is asked for already.
        WrongCode: the app does not count as it should.
        TooManyAttempts: see `myna.server.accounts.throttle`.
    """
    _count(accounts, user.id)
    made = codes.make_recovery_codes()
    me = asyncio.current_task()
    async with accounts.database.transaction() as transaction:
        scope = transaction.owned_by(user.id)
        factor = await second_factors.find(scope)
        if factor is None or factor.confirmed_at is not None:
            raise Conflict("Nothing waits to be confirmed: set a second factor up first.")
        step = codes.step_of(factor.secret, codes.plain(code), now())
        if step is None:
            raise WrongCode("This code is not right. Check that the clock of your phone is, and try the next one.")
        await second_factors.use_step(scope, step)
        await second_factors.confirm(scope, now(), [codes.recovery_digest(one) for one in made])
        session = None if by is None else by.session
        await end_sessions(transaction, accounts, user.id, but=session)
        await audit.record(transaction, by or identity(user), "second_factor.enable", "user", user.id, name=user.name)

        def follow() -> None:
            accounts.directory.second_factors.add(user.id)
            accounts.drop_sessions(user.id, but=session, task=me)

        transaction.after_commit.append(follow)
    accounts.by_code.succeeded(user.id)
    return made


async def check(
    accounts: Accounts, user: User, code: str | None, *, mark: str | None = None, signed_in: bool = False
) -> bool:
    """Whether who knows a user's password has his second factor too, where there is one. A code is taken once.

    Who fails has to wait, wherever he tries; but a browser that the user has been in before, and all those in which he
    is signed in, have counts of their own, so that nobody who knows the password keeps him out by failing.

    Args:
        accounts: the accounts.
        user: whose password was right.
        code: of his app, or a recovery code; None if none was sent.
        mark: what the browser has kept from an earlier sign-in, see `marked`.
        signed_in: whether the user is, in the browser that asks.

    Returns:
        Whether there is one, and it was checked.

    Raises:
        CodeRequired: there is one, and no code came.
        SetUpRequired: there is none, and nobody may be without.
        WrongCode: it is not right, or was taken already.
        TooManyAttempts: the next attempt is taken later.
    """
    if user.id not in accounts.directory.second_factors:
        if accounts.options.current.require_second_factor:
            raise SetUpRequired("Everybody here needs a second factor: set yours up to sign in.")
        return False
    if code is None:
        raise CodeRequired("Send the code that your app shows now, or a recovery code.")
    source = await _source(accounts, user, mark, signed_in=signed_in)
    _count(accounts, source)
    async with accounts.database.transaction() as transaction:
        scope = transaction.owned_by(user.id)
        factor = await second_factors.find(scope)
        step = None if factor is None else codes.step_of(factor.secret, codes.plain(code), now())
        if step is not None:
            is_right = await second_factors.use_step(scope, step)
        else:
            is_right = await second_factors.use_code(scope, codes.recovery_digest(code), now())
            if is_right:
                await audit.record(transaction, identity(user), "recovery_code.use", "user", user.id, name=user.name)
    if not is_right:
        await accounts.failures.note(accounts.database, user, WrongCode.code)
        raise WrongCode(WRONG)
    accounts.by_code.succeeded(source)
    return True


async def marked(accounts: Accounts, user: User, mark: str | None) -> str | None:
    """What a browser is to keep in which both factors of a user were right; None where he has no second one.

    Args:
        accounts: the accounts.
        user: who has just signed in.
        mark: what it has kept so far; if that is the user's, it stays.
    """
    if user.id not in accounts.directory.second_factors:
        return None
    async with accounts.database.read(user.id) as scope:
        factor = await second_factors.find(scope)
    if factor is None:
        return None
    return mark if mark and codes.is_mark(factor.secret, user.id, mark) else codes.mark_of(factor.secret, user.id)


async def replace_codes(accounts: Accounts, by: Identity) -> list[str]:
    """Other recovery codes; those from before are worth nothing any more.

    Raises:
        Conflict: there is no second factor that they could stand in for.
    """
    made = codes.make_recovery_codes()
    async with accounts.database.transaction() as transaction:
        if by.user not in accounts.directory.second_factors:
            raise Conflict("There is no second factor, and so nothing to recover.")
        digests = [codes.recovery_digest(one) for one in made]
        await second_factors.replace_codes(transaction.owned_by(by.user), digests)
        await audit.record(transaction, by, "recovery_codes.replace", "user", by.user, name=by.name)
    return made


async def disable(accounts: Accounts, by: Identity) -> None:
    """Switch one's own off, when password and code were checked. All other sessions end.

    Raises:
        Refused: nobody may be without one.
    """
    if accounts.options.current.require_second_factor:
        raise Refused("Everybody here needs a second factor, so yours cannot be switched off.")
    async with accounts.database.transaction() as transaction:
        await _remove(transaction, accounts, by, get(accounts, by.user), "second_factor.disable")


async def reset(accounts: Accounts, by: Identity, user_id: str) -> None:
    """Take a user's second factor from him, who has lost it; he is signed out everywhere.

    Raises:
        NotFound: no such user.
        Refused: whoever asks may not do that to this user, or it is himself: that takes password and code.
        Conflict: he has none.
    """
    if user_id == by.user:
        raise Refused("Switch your own second factor off in your account, with your password and a code.")
    async with accounts.database.transaction() as transaction:
        user = get(accounts, user_id)
        may_touch(by, user.role)
        if user_id not in accounts.directory.second_factors:
            raise Conflict(f"{user.name} has no second factor.")
        await _remove(transaction, accounts, by, user, "second_factor.reset")


async def _remove(transaction: Transaction, accounts: Accounts, by: Identity, user: User, action: str) -> None:
    session = by.session if by.user == user.id else None
    me = asyncio.current_task()
    await second_factors.remove(transaction.owned_by(user.id))
    await end_sessions(transaction, accounts, user.id, but=session)
    await audit.record(transaction, by, action, "user", user.id, name=user.name)

    def follow() -> None:
        accounts.directory.second_factors.discard(user.id)
        accounts.drop_sessions(user.id, but=session, task=me)

    transaction.after_commit.append(follow)


async def _source(accounts: Accounts, user: User, mark: str | None, *, signed_in: bool) -> Hashable:
    """By what attempts are counted."""
    if signed_in:
        return user.id, "signed in"
    if mark:
        async with accounts.database.read(user.id) as scope:
            factor = await second_factors.find(scope)
        if factor is not None and codes.is_mark(factor.secret, user.id, mark):
            return user.id, mark
    return user.id


def _count(accounts: Accounts, source: Hashable) -> None:
    if wait := accounts.by_code.attempt(source):
        raise TooManyAttempts(f"Too many codes were tried; try again in {wait} seconds.", retry_after=wait)
