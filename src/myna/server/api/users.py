"""The users of this server, for owners and admins."""

from __future__ import annotations

from fastapi import APIRouter, Request

from myna.errors import InvalidParameter
from myna.server.accounts import users
from myna.server.api import account_types as types
from myna.server.api.services import Known
from myna.server.identity import identity_of
from myna.store.users import User

router = APIRouter(prefix="/api/users")


@router.get("")
async def list_users(accounts: Known) -> types.UserList:
    """All users, oldest first."""
    found = sorted(accounts.directory.users.values(), key=lambda user: user.created_at)
    return types.UserList.model_validate({"users": found})


@router.post("", status_code=201)
async def make_user(request: Request, accounts: Known, body: types.NewUser) -> types.MadeUser:
    """Make a user; without a password in the request there is one in the answer, and nowhere else."""
    return _made(*await users.create(accounts, identity_of(request), body.name, body.role, body.password))


@router.patch("/{user_id}")
async def change_user(request: Request, accounts: Known, user_id: str, patch: types.UserPatch) -> types.MadeUser:
    """Change a user's name, role or limits, disable the user, or give a new password; it holds at once."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter("Nothing to change: give name, role, disabled, password or a limit.")
    reset = values.pop("password", False)
    return _made(*await users.change(accounts, identity_of(request), user_id, reset_password=reset, **values))


@router.delete("/{user_id}", status_code=204)
async def delete_user(request: Request, accounts: Known, user_id: str) -> None:
    """Delete a user with everything of theirs."""
    await users.delete(accounts, identity_of(request), user_id)


def _made(user: User, password: str | None) -> types.MadeUser:
    return types.MadeUser(**types.User.model_validate(user).model_dump(), password=password)
