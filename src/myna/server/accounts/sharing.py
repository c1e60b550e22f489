"""The accounts of a process among several that share a database: what the others commit is followed at once.

A notification says that something has changed; all is read again in a writer's turn, in which nobody else commits, and
what differs ends what it would have ended here. It takes a few milliseconds, in which a session that was just begun
elsewhere is not known yet: so a credential that is not known is looked for in the database before it is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from myna.errors import StoreError
from myna.store import keys, second_factors, sessions, users
from myna.store.keys import Key
from myna.store.peers import MISSED
from myna.store.sessions import Session
from myna.store.users import User

if TYPE_CHECKING:
    from myna.server.accounts.service import Accounts

RETRY_SECONDS = 5.0

logger = logging.getLogger(__name__)


async def follow(accounts: Accounts) -> None:
    """Take over what other processes change, for as long as there is a server."""
    changed = asyncio.Event()
    for kind in ("accounts", MISSED):
        accounts.database.hear(kind, lambda _: changed.set())
    while True:
        await changed.wait()
        changed.clear()
        try:
            await reload(accounts)
        except StoreError as error:
            logger.warning("The accounts could not be read again: %s", error.message)
            changed.set()
            await asyncio.sleep(RETRY_SECONDS)


async def catch_up(accounts: Accounts, digests: Sequence[bytes]) -> bool:
    """Read everything again if another process knows one of these credentials and this one does not; whether it did.

    Whoever sends credentials that nobody knows must not make those who write wait, so this only reads.
    """
    if not accounts.is_shared or not digests:
        return False
    async with accounts.database.read("") as scope:
        known = await sessions.known(scope.transaction, digests) or await keys.known(scope.transaction, digests)
    if known:
        await reload(accounts)
    return known


async def reload(accounts: Accounts) -> None:
    """Read all accounts again, and end what those that are gone or may do less have open. Raises StoreError."""
    async with accounts.database.transaction() as transaction:
        found = (
            await users.all_of_them(transaction),
            await sessions.all_of_them(transaction),
            await keys.all_of_them(transaction),
            await second_factors.confirmed(transaction),
        )
        transaction.after_commit.append(lambda: _take_over(accounts, *found))


def _take_over(
    accounts: Accounts,
    now_users: Sequence[User],
    now_sessions: Sequence[Session],
    now_keys: Sequence[Key],
    protected: set[str],
) -> None:
    directory = accounts.directory
    known = {user.id: user for user in now_users}
    for user_id in directory.users.keys() - known.keys():
        accounts.depart(user_id, but=None)
    before, directory.users = directory.users, known
    gone = {one.id for one in directory.sessions.values()} - {one.id for one in now_sessions}
    gone |= {one.id for one in directory.keys.values()} - {one.id for one in now_keys}
    directory.replace(now_sessions, now_keys)
    directory.second_factors = protected
    accounts.end_unproven(accounts.options.current)
    accounts.connections.expire(lambda who: who.session in gone or who.key in gone)
    for user in now_users:
        old = before.get(user.id, user)
        if user.role != old.role or (user.disabled and not old.disabled):
            accounts.connections.end(user.id)
        if user.disabled and not old.disabled:
            accounts.suspend(user.id)
