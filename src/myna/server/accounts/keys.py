"""A user's API keys: made, changed, deleted. The secret is shown once; a hash of it is all that stays."""

from __future__ import annotations

import secrets
from typing import Any

from myna.errors import Conflict, InvalidParameter, Refused
from myna.server.accounts.directory import digest
from myna.server.accounts.service import Accounts
from myna.server.accounts.users import get
from myna.server.identity import Identity
from myna.store import audit, keys
from myna.store.keys import Key, Permission
from myna.store.pages import new_id
from myna.store.records import now

PREFIX = "myna-"
"""Every key begins so, for people and for programs that look for secrets where none should be."""
SHOWN = 12
"""Characters of a key that stay known, the prefix among them: enough to know it again, too few to guess the rest."""
MAX_KEYS = 100
"""Of one user."""


async def create(
    accounts: Accounts,
    by: Identity,
    name: str,
    permission: Permission,
    *,
    expires_at: int | None = None,
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
) -> tuple[Key, str]:
    """A new key and its secret.

    Raises:
        Refused: there are no accounts, so that nobody needs a key.
        Conflict: the user has too many.
        InvalidParameter: it would have expired already.
        RateLimited: the user makes one after the other.
    """
    if accounts.state != "accounts":
        raise Refused("Keys belong to accounts, and there are none: make the first account, or set MYNA_API_KEY.")
    _check_expiry(expires_at)
    accounts.admit_deed(by)
    secret = PREFIX + secrets.token_urlsafe(32)
    key = Key(
        id=new_id("key_"),
        owner=by.user,
        digest=digest(secret),
        prefix=secret[:SHOWN],
        name=name,
        permission=permission,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        created_at=now(),
        last_used_at=None,
        expires_at=expires_at,
    )
    async with accounts.database.transaction() as transaction:
        get(accounts, by.user)
        if len(accounts.directory.keys_of(by.user)) >= MAX_KEYS:
            raise Conflict(f"You have {MAX_KEYS} keys; delete those that nobody uses.")
        await keys.add(transaction.owned_by(by.user), key)
        await audit.record(
            transaction, by, "key.create", "key", key.id, name=name, prefix=key.prefix, permission=permission
        )
        transaction.after_commit.append(lambda: accounts.directory.keys.__setitem__(key.digest, key))
    return key, secret


async def change(accounts: Accounts, by: Identity, key_id: str, **values: Any) -> Key:
    """Change a key's name, permission, expiry or limits; what it has open ends if it may do less or not for so long.

    Raises:
        NotFound: the user has none of this id.
        InvalidParameter: it would have expired already.
        RateLimited: the user changes one after the other.
    """
    _check_expiry(values.get("expires_at"))
    accounts.admit_deed(by)
    async with accounts.database.transaction() as transaction:
        before = next((key for key in accounts.directory.keys_of(by.user) if key.id == key_id), None)
        key = await keys.change(transaction.owned_by(by.user), key_id, **values)
        changes = {name: [getattr(before, name), value] for name, value in values.items()}
        await audit.record(transaction, by, "key.change", "key", key_id, name=key.name, changes=changes)

        def follow() -> None:
            accounts.directory.keys[key.digest] = key
            if "permission" in values or "expires_at" in values:
                _end(accounts, key)

        transaction.after_commit.append(follow)
    return key


async def delete(accounts: Accounts, by: Identity, key_id: str) -> None:
    """Delete a key and end what it has open.

    Raises:
        NotFound: the user has none of this id.
    """
    async with accounts.database.transaction() as transaction:
        await keys.remove(transaction.owned_by(by.user), key_id)
        known = next(key for key in accounts.directory.keys_of(by.user) if key.id == key_id)
        await audit.record(transaction, by, "key.revoke", "key", key_id, name=known.name, prefix=known.prefix)

        def follow() -> None:
            accounts.directory.drop_key(known)
            _end(accounts, known)

        transaction.after_commit.append(follow)


def _end(accounts: Accounts, key: Key) -> None:
    accounts.connections.end(key.owner, which=lambda who: who.key == key.id)


def _check_expiry(expires_at: int | None) -> None:
    if expires_at is not None and expires_at <= now():
        raise InvalidParameter("'expires_at' is in the past; it is in Unix milliseconds.", param="expires_at")
