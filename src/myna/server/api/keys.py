"""One's own API keys."""

from __future__ import annotations

from fastapi import APIRouter, Request

from myna.errors import InvalidParameter
from myna.server.accounts import keys
from myna.server.api import account_types as types
from myna.server.api.services import Known
from myna.server.identity import identity_of

router = APIRouter(prefix="/api/account/keys")


@router.get("")
async def list_keys(request: Request, accounts: Known) -> types.KeyList:
    """The keys, newest first, without their secrets."""
    return types.KeyList.model_validate({"keys": accounts.directory.keys_of(identity_of(request).user)})


@router.post("", status_code=201)
async def make_key(request: Request, accounts: Known, body: types.NewKey) -> types.MadeKey:
    """Make a key; its secret is in this answer and nowhere else."""
    key, secret = await keys.create(accounts, identity_of(request), **body.model_dump())
    return types.MadeKey(**types.Key.model_validate(key).model_dump(), secret=secret)


@router.patch("/{key_id}")
async def change_key(request: Request, accounts: Known, key_id: str, patch: types.KeyPatch) -> types.Key:
    """Change a key's name, permission, expiry or limits."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter("Nothing to change: give name, permission, expires_at or a limit.")
    return types.Key.model_validate(await keys.change(accounts, identity_of(request), key_id, **values))


@router.delete("/{key_id}", status_code=204)
async def delete_key(request: Request, accounts: Known, key_id: str) -> None:
    """Delete a key; it is refused from then on."""
    await keys.delete(accounts, identity_of(request), key_id)
