from __future__ import annotations

from typing import Any

import pytest

from myna.errors import NotFound
from myna.store import invitations, passkeys, provider_identities, second_factors, users
from myna.store.database import Database
from myna.store.invitations import Invitation
from myna.store.passkeys import Passkey
from myna.store.provider_identities import ProviderIdentity
from tests.store.rows import user


def invitation(**values: Any) -> Invitation:
    return Invitation(**{
        "id": "invitation_1", "owner": "ann", "digest": b"secret", "role": "member", "name": "Ben", "most_uses": 2,
        "uses": 0, "created_at": 1, "expires_at": 100, "revoked_at": None, **values,
    })  # fmt: skip


async def test_it_is_used_as_often_as_it_says(database: Database) -> None:
    async with database.transaction() as transaction:
        await users.add(transaction, user("ann"))
        await invitations.add(transaction.owned_by("ann"), invitation())
        assert await invitations.all_of_them(transaction) == [invitation()]
        used = [await invitations.use(transaction, b"secret", 50) for _ in range(3)]
        assert [None if one is None else one.uses for one in used] == [1, 2, None]
        assert await invitations.by_digest(transaction, b"another") is None


@pytest.mark.parametrize("values", [{"expires_at": 50}, {"revoked_at": 2}, {"most_uses": 0}])
async def test_what_is_over_is_not_used(database: Database, values: dict[str, Any]) -> None:
    async with database.transaction() as transaction:
        await users.add(transaction, user("ann"))
        await invitations.add(transaction.owned_by("ann"), invitation(**values))
        assert await invitations.use(transaction, b"secret", 50) is None
        with pytest.raises(NotFound):
            await invitations.by_id(transaction, "invitation_2")


async def test_codes_and_steps_are_taken_once(database: Database) -> None:
    async with database.transaction() as transaction:
        await users.add(transaction, user("ann"))
        scope = transaction.owned_by("ann")
        await second_factors.begin(scope, "SECRET", 1)
        assert await second_factors.confirmed(transaction) == set()
        await second_factors.confirm(scope, 2, [b"one", b"two"])
        assert await second_factors.confirmed(transaction) == {"ann"}
        assert [await second_factors.use_step(scope, step) for step in (7, 7, 6, 8)] == [True, False, False, True]
        assert [await second_factors.use_code(scope, code, 3) for code in (b"one", b"one", b"six")] == [
            True,
            False,
            False,
        ]
        assert await second_factors.codes_left(scope) == 1
        await second_factors.remove(scope)
        assert await second_factors.find(scope) is None
        assert await second_factors.codes_left(scope) == 0


async def test_a_passkey_is_used_once_for_each_count_and_what_was_asked_answered_once(database: Database) -> None:
    async with database.transaction() as transaction:
        await users.add(transaction, user("ann"))
        scope = transaction.owned_by("ann")
        for each, uses in (("passkey_1", 3), ("passkey_2", 0)):
            key = Passkey("ann", each, "Phone", "localhost", each.encode(), b"key", uses, False, 1, None)
            await passkeys.add(scope, key)
        assert [await passkeys.use(scope, "passkey_1", uses, 5) for uses in (3, 4, 4, 0)] == [False, True, False, False]
        assert [await passkeys.use(scope, "passkey_2", uses, 5) for uses in (0, 0)] == [True, True]
        found = await passkeys.find(transaction, b"passkey_1")
        assert found is not None
        assert (found.id, found.uses, found.last_used_at) == ("passkey_1", 4, 5)
        assert await passkeys.counts(transaction, ["ann", "ben"]) == {"ann": 2}
        with pytest.raises(NotFound):
            await passkeys.remove(transaction.owned_by("ben"), "passkey_1")
        assert await passkeys.remove(scope, "passkey_1") == "Phone"
        assert await passkeys.remove_all(scope) == 1

        for number, digest in enumerate((b"1", b"2", b"3")):
            await passkeys.ask(transaction, digest, 0, 10 + number, most=2)
        taken = [await passkeys.take(transaction, digest, 11) for digest in (b"1", b"2", b"3", b"3")]
        assert taken == [False, False, True, False], "the first made room, the second is over, the third is taken"


async def test_one_person_of_a_provider_is_one_user(database: Database) -> None:
    known = ProviderIdentity("ann", "https://id.example", "7", "Ann", 1, None)
    async with database.transaction() as transaction:
        await users.add(transaction, user("ann"))
        scope = transaction.owned_by("ann")
        await provider_identities.add(scope, known)
        assert await provider_identities.find(transaction, "https://id.example", "7") == known
        assert await provider_identities.find(transaction, "https://other.example", "7") is None
        await provider_identities.used(transaction, known, 9)
        assert [one.last_used_at for one in await provider_identities.of_owner(scope)] == [9]
        assert await provider_identities.remove(scope, "https://id.example")
        assert not await provider_identities.remove(scope, "https://id.example")
