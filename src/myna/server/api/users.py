"""The users of this server, for owners and admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from myna.errors import InvalidParameter
from myna.server.accounts import Accounts, passkeys, second_factor, users
from myna.server.accounts.names import name_key
from myna.server.api import account_types as types
from myna.server.api.services import Known
from myna.server.identity import Limits, identity_of
from myna.server.meter import Meter
from myna.store.users import User

router = APIRouter(prefix="/api/users")


MOST_USERS = 200
"""On one page."""


@router.get("")
async def list_users(
    request: Request,
    accounts: Known,
    text: Annotated[str | None, Query(max_length=256)] = None,
    role: types.Role | None = None,
    disabled: bool | None = None,
    after: Annotated[str | None, Query(max_length=256)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_USERS)] = 50,
) -> types.UserList:
    """Users whose name contains a text, by name, a page at a time."""
    meter: Meter = request.app.state.meter
    wanted = name_key(text or "")
    found = [
        user
        for user in accounts.directory.users.values()
        if wanted in user.name_key and role in (None, user.role) and disabled in (None, user.disabled)
    ]
    found.sort(key=lambda user: user.name_key)
    rest = [user for user in found if after is None or user.name_key > after]
    counts = await passkeys.counts(accounts, [user.id for user in rest[:limit]])
    page = [_known(accounts, user, meter, counts.get(user.id, 0)) for user in rest[:limit]]
    following = rest[limit - 1].name_key if len(rest) > limit else None
    return types.UserList(users=page, total=len(found), next=following)


@router.post("", status_code=201)
async def make_user(request: Request, accounts: Known, body: types.NewUser) -> types.MadeUser:
    """Make a user; without a password in the request there is one in the answer, and nowhere else."""
    return _made(accounts, *await users.create(accounts, identity_of(request), body.name, body.role, body.password))


@router.patch("/{user_id}")
async def change_user(request: Request, accounts: Known, user_id: str, patch: types.UserPatch) -> types.MadeUser:
    """Change a user's name, role or limits, disable the user, or give a new password; it holds at once."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter("Nothing to change: give name, role, disabled, password or a limit.")
    reset = values.pop("password", False)
    return _made(accounts, *await users.change(accounts, identity_of(request), user_id, reset_password=reset, **values))


@router.delete("/{user_id}", status_code=204)
async def delete_user(request: Request, accounts: Known, user_id: str) -> None:
    """Delete a user with everything of theirs."""
    await users.delete(accounts, identity_of(request), user_id)


def _known(accounts: Accounts, user: User, meter: Meter, count: int) -> types.KnownUser:
    own = Limits(user.requests_per_minute, user.tokens_per_minute, user.tokens_per_day)
    return types.KnownUser(
        **_described(accounts, user).model_dump(),
        limits=types.Limits.model_validate(meter.limits_of(own)),
        tokens_today=meter.usage.today(user.id),
        passkeys=count,
    )


@router.delete("/{user_id}/second-factor", status_code=204)
async def reset_second_factor(request: Request, accounts: Known, user_id: str) -> None:
    """Take the second factor from a user who has lost it; he is signed out everywhere."""
    await second_factor.reset(accounts, identity_of(request), user_id)


def _described(accounts: Accounts, user: User) -> types.User:
    described = types.User.model_validate(user)
    return described.model_copy(update={"second_factor": user.id in accounts.directory.second_factors})


def _made(accounts: Accounts, user: User, password: str | None) -> types.MadeUser:
    return types.MadeUser(**_described(accounts, user).model_dump(), password=password)
