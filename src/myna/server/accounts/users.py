"""Making, changing and deleting users, and who may do that to whom.

Each change is checked against the directory within its transaction: there is one writer at a time, and the directory
is what the last one left.
"""

from __future__ import annotations

import asyncio
import hmac
import shutil
from typing import Any

from myna.errors import Conflict, NotFound, Refused, TooManyAttempts, WrongPassword
from myna.server.accounts.directory import digest, identity
from myna.server.accounts.names import clean_name, looks, name_key
from myna.server.accounts.passwords import check_password, make_password
from myna.server.accounts.service import Accounts
from myna.server.accounts.throttle import network_of
from myna.server.identity import LOCAL, Identity
from myna.store import audit, sessions, users
from myna.store.blobs import UNCLAIMED
from myna.store.pages import new_id
from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.users import Role, User

MAX_USERS = 10_000
CHANGES = {
    "user.rename": ("name",),
    "user.change_role": ("role",),
    "user.change_limits": ("requests_per_minute", "tokens_per_minute", "tokens_per_day"),
    "user.disable": ("disabled",),
    "user.reset_password": ("password",),
}
"""What the audit log calls a change of a user, and the columns that it is of."""


async def set_up(accounts: Accounts, name: str, password: str, *, token: str | None, address: str) -> User:
    """Make the first account: an owner, to whom everything belongs that was made before there were accounts.

    Raises:
        Refused: there are accounts already.
        WrongPassword: the set-up token is asked for, and this is not it.
        TooManyAttempts: see `myna.server.accounts.throttle`.
        InvalidParameter: name or password will not do.
        EngineBusy: too many passwords are being computed.
    """
    _refuse_second(accounts)
    if accounts.setup_token is not None:
        source = "set-up", network_of(address)
        if wait := accounts.by_address.attempt(source):
            raise TooManyAttempts(f"Too many attempts; try again in {wait} seconds.", retry_after=wait)
        if not hmac.compare_digest(digest(token or ""), digest(accounts.setup_token)):
            raise WrongPassword("This is not the set-up token that Myna printed in its terminal when it started.")
        accounts.by_address.succeeded(source)
    name = clean_name(name)
    check_password(password, name)
    user = make(LOCAL.user, name, await accounts.passwords.hash(password), "owner")
    me = asyncio.current_task()

    def made() -> None:
        accounts.setup_token = None
        accounts.directory.users[user.id] = user
        accounts.connections.end(user.id, but=me)  # those from when nobody had to sign in

    async with accounts.database.transaction() as transaction:
        _refuse_second(accounts)
        await users.add(transaction, user)
        await audit.record(transaction, identity(user), "user.create", "user", user.id, name=name, role=user.role)
        transaction.after_commit.append(made)
    return user


async def create(
    accounts: Accounts, by: Identity, name: str, role: Role, password: str | None = None
) -> tuple[User, str | None]:
    """Make a user; without a password one is made up and returned, to be told to nobody else.

    Raises:
        Refused: whoever asks may not make such a user, or there are no accounts yet.
        Conflict: there is a user of this name, or there are too many.
        InvalidParameter: name or password will not do.
        EngineBusy: too many passwords are being computed.
    """
    name = clean_name(name)
    made = make_password() if password is None else None
    if password is not None:
        check_password(password, name)
    may_touch(by, role)
    hashed = await accounts.passwords.hash(password or made or "")
    user = make(new_id("user_"), name, hashed, role)
    async with accounts.database.transaction() as transaction:
        if accounts.state != "accounts":
            raise Refused("There are no accounts yet: make the first one, your own, before those of others.")
        await insert(transaction, accounts, user)
        await audit.record(transaction, by, "user.create", "user", user.id, name=name, role=role)
    return user, made


async def insert(transaction: Transaction, accounts: Accounts, user: User) -> None:
    """Add a user to those there are, however he came.

    Raises:
        Conflict: there is a user whose name is this or looks like it, or there are too many.
    """
    _check_free(accounts, user.name)
    if len(accounts.directory.users) >= MAX_USERS:
        raise Conflict(f"There are {MAX_USERS} users, and no more are taken.")
    await users.add(transaction, user)
    transaction.after_commit.append(lambda: accounts.directory.users.__setitem__(user.id, user))


async def change(
    accounts: Accounts, by: Identity, user_id: str, *, reset_password: bool = False, password: str | None = None,
    **values: Any,
) -> tuple[User, str | None]:  # fmt: skip
    """Change a user's name, role or limits, disable a user or give a new password.

    It holds at once: the user's connections end, and with a new password or when disabled the sessions too. The keys of
    a disabled user rest, and his answers that run without him end with what they have.

    Args:
        accounts: the accounts.
        by: whoever asks.
        user_id: the user.
        reset_password: set ``password``, or one that is made up and returned.
        password: see above.
        values: columns to change.

    Raises:
        NotFound: no such user.
        Refused: whoever asks may not do that to this user, or it is the last owner.
        Conflict: there is another user of this name.
        InvalidParameter: name or password will not do.
        EngineBusy: too many passwords are being computed.
    """
    known = get(accounts, user_id)
    may_touch(by, known.role, values.get("role"))
    if reset_password and by.session is not None and by.user == user_id and known.password:
        raise Refused("Change your own password under Account, where the old one is asked for.", param="password")
    if "name" in values:
        values["name"] = clean_name(values["name"])
        values["name_key"] = name_key(values["name"])
    made = make_password() if reset_password and password is None else None
    if reset_password:
        if password is not None:
            check_password(password, values.get("name", known.name))
        values["password"] = await accounts.passwords.hash(password or made or "")
    me = asyncio.current_task()
    async with accounts.database.transaction() as transaction:
        before = get(accounts, user_id)
        may_touch(by, before.role, values.get("role"))
        if "name_key" in values:
            _check_free(accounts, values["name"], but=user_id)
        if values.get("role", "owner") != "owner" or values.get("disabled"):
            _keep_an_owner(accounts, before)
        user = await users.change(transaction, user_id, **values)
        await _record_change(transaction, by, before, user)
        signed_out = reset_password or user.disabled
        if signed_out:
            await end_sessions(transaction, accounts, user_id)

        def follow() -> None:
            accounts.directory.users[user_id] = user
            if signed_out:
                accounts.directory.drop_sessions(user_id)
            if signed_out or user.role != before.role:
                accounts.connections.end(user_id, but=me)
            if user.disabled:
                accounts.suspend(user_id)

        transaction.after_commit.append(follow)
    return user, made


async def delete(accounts: Accounts, by: Identity, user_id: str) -> None:
    """Delete a user, be it oneself, with everything of theirs, and end all that they have running.

    Raises:
        NotFound: no such user.
        Refused: whoever asks may not do that to this user, or it is the last owner.
    """
    me = asyncio.current_task()
    async with accounts.database.transaction() as transaction:
        user = get(accounts, user_id)
        if user_id != by.user:
            may_touch(by, user.role)
        _keep_an_owner(accounts, user)
        await users.remove(transaction, user_id)
        await audit.record(transaction, by, "user.delete", "user", user_id, name=user.name, role=user.role)
        transaction.after_commit.append(lambda: accounts.depart(user_id, but=me))
    for place in (accounts.files, accounts.files / UNCLAIMED):
        await asyncio.to_thread(shutil.rmtree, place / user_id, ignore_errors=True)


def get(accounts: Accounts, user_id: str) -> User:
    """A user.

    Raises:
        NotFound: there is none of this id.
    """
    user = accounts.directory.users.get(user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id}; it may have been deleted.", param="user")
    return user


async def end_sessions(transaction: Transaction, accounts: Accounts, user_id: str, but: str | None = None) -> None:
    """Delete the rows of a user's sessions, all but one."""
    ids = [session.id for session in accounts.directory.sessions_of(user_id) if session.id != but]
    await sessions.remove(transaction.owned_by(user_id), *ids)


async def _record_change(transaction: Transaction, by: Identity, before: User, after: User) -> None:
    """Write down what differs, each kind of change under its own name."""
    for action, names in CHANGES.items():
        changes = {
            name: [getattr(before, name), getattr(after, name)]
            for name in names
            if getattr(before, name) != getattr(after, name)
        }
        if changes:
            told = {} if action == "user.reset_password" else {"changes": changes}
            await audit.record(transaction, by, action, "user", after.id, name=after.name, **told)


def make(user_id: str, name: str, password: str, role: Role) -> User:
    """A user as he begins."""
    return User(
        id=user_id,
        name=name,
        name_key=name_key(name),
        password=password,
        role=role,
        disabled=False,
        requests_per_minute=None,
        tokens_per_minute=None,
        tokens_per_day=None,
        created_at=now(),
        last_seen_at=None,
    )


def _refuse_second(accounts: Accounts) -> None:
    if accounts.directory.users:
        raise Refused("The first account was made already; sign in, and let an owner or admin make others.")


def may_touch(by: Identity, *roles: Role | None) -> None:
    """Owners may do everything; admins not what concerns owners; members nothing."""
    if by.role == "member" or (by.role == "admin" and "owner" in roles):
        raise Refused("Only an owner may make, change or delete an owner; ask one.")


def _keep_an_owner(accounts: Accounts, user: User) -> None:
    if [owner.id for owner in accounts.directory.owners()] == [user.id]:
        raise Refused(f"{user.name} is the last owner. Make somebody else an owner first.")


def _check_free(accounts: Accounts, name: str, but: str | None = None) -> None:
    known = accounts.directory.like(name_key(name), looks(name), but)
    if known is not None and known.name_key == name_key(name):
        raise Conflict(f"There is a user {known.name} already; choose another name.", param="name")
    if known is not None:
        raise Conflict(f"This name looks like that of {known.name}; choose one that is told from it.", param="name")
