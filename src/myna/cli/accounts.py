"""``myna accounts``: users, where no server runs that could change them (its application can).

Passwords are asked for, or are the first line of what is piped in; an argument would stay in the shell's history.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from myna.cli.options import DataOption

if TYPE_CHECKING:
    from myna.server.accounts import Accounts
    from myna.settings import Settings
    from myna.store.users import Role, User

T = TypeVar("T")

app = typer.Typer(
    help="Manage the users of a data directory.\n\nNo server may be running on it; one that runs has its own page.",
    epilog="\b\nExamples:\n  myna accounts list\n  myna accounts add Ann\n"
    "  myna accounts add Ben --role admin --generate\n"
    "  myna accounts reset-password Ann\n  myna accounts delete Ben",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
GenerateOption = Annotated[bool, typer.Option("--generate", help="Make a password up and print it.")]


@app.command("list", epilog="\b\nExample:\n  myna accounts list")
def list_users(data_dir: DataOption = None) -> None:
    """List the users."""

    async def work(accounts: Accounts) -> list[User]:
        return list(accounts.directory.users.values())

    found = _run(data_dir, work)
    if not found:
        typer.echo("There are no accounts: whoever uses this machine uses Myna.")
    width = max((len(user.name) for user in found), default=0)
    for user in found:
        seen = "never seen" if user.last_seen_at is None else f"last seen {_day(user.last_seen_at)}"
        notes = [user.role, f"since {_day(user.created_at)}", seen, *(["disabled"] if user.disabled else [])]
        typer.echo(f"{user.name:<{width}}  {', '.join(notes)}")


@app.command(epilog="\b\nExamples:\n  myna accounts add Ann\n  myna accounts add Ben --role admin --generate")
def add(
    name: NameArgument,
    role: Annotated[
        Literal["owner", "admin", "member"] | None,
        typer.Option("--role", help="What the user may do to others; the first user is an owner."),
    ] = None,
    generate: GenerateOption = False,
    data_dir: DataOption = None,
) -> None:
    """Add a user.

    The first one is an owner, and has all that was made before there were accounts.
    """

    async def work(accounts: Accounts) -> tuple[User, str | None]:
        from myna.server.accounts import names, passwords, users
        from myna.server.identity import OPERATOR

        names.clean_name(name)  # before a password is asked for
        if accounts.directory.users:
            password = None if generate else _ask(name)
            return await users.create(accounts, OPERATOR, name, role or "member", password)
        _only_owner(role)
        made = passwords.make_password() if generate else None
        token = accounts.setup_token
        return await users.set_up(accounts, name, made or _ask(name), token=token, address="terminal"), made

    user, made = _run(data_dir, work)
    typer.echo(f"Added {user.name}, {user.role}.")
    _tell(made)


@app.command(epilog="\b\nExamples:\n  myna accounts reset-password Ann\n  myna accounts reset-password Ann --generate")
def reset_password(name: NameArgument, generate: GenerateOption = False, data_dir: DataOption = None) -> None:
    """Give a user another password.

    It signs all of the user's browsers out; API keys go on.
    """

    async def work(accounts: Accounts) -> tuple[User, str | None]:
        from myna.server.accounts import users
        from myna.server.identity import OPERATOR

        user = _find(accounts, name)
        password = None if generate else _ask(user.name)
        return await users.change(accounts, OPERATOR, user.id, reset_password=True, password=password)

    user, made = _run(data_dir, work)
    typer.echo(f"{user.name} has another password, and is signed out everywhere.")
    _tell(made)


@app.command(epilog="\b\nExample:\n  myna accounts reset-second-factor Ann")
def reset_second_factor(name: NameArgument, data_dir: DataOption = None) -> None:
    """Take the second factor from a user who has lost it.

    It signs all of the user's browsers out; the password stays.
    """

    async def work(accounts: Accounts) -> User:
        from myna.server.accounts import second_factor
        from myna.server.identity import OPERATOR

        user = _find(accounts, name)
        await second_factor.reset(accounts, OPERATOR, user.id)
        return user

    typer.echo(f"{_run(data_dir, work).name} signs in with the password alone, and is signed out everywhere.")


@app.command(epilog="\b\nExamples:\n  myna accounts invite\n  myna accounts invite --role admin --days 1")
def invite(
    role: Annotated[
        Literal["owner", "admin", "member"], typer.Option("--role", help="What who accepts it is.")
    ] = "member",
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long it is good for.")] = 7,
    uses: Annotated[int, typer.Option("--uses", min=1, max=1000, help="How many people may accept it.")] = 1,
    data_dir: DataOption = None,
) -> None:
    """Make a link with which people make their own accounts, in an owner's name."""

    async def work(accounts: Accounts) -> str:
        from myna.errors import Refused
        from myna.server.accounts import invitations
        from myna.server.accounts.directory import identity
        from myna.store.records import now

        owners = accounts.directory.owners()
        if not owners:
            raise Refused("There are no accounts yet: make the first one with 'myna accounts add NAME'.")
        until = now() + days * 86_400_000
        by = identity(owners[0])
        return (await invitations.create(accounts, by, role=role, expires_at=until, uses=uses, name=None))[1]

    secret = _run(data_dir, work)
    typer.echo(f"Add this to the address of your server, and hand the link over: /join#{secret}")


@app.command(epilog="\b\nExample:\n  myna accounts delete Ben")
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether this is meant.")] = False,
    data_dir: DataOption = None,
) -> None:
    """Delete a user with everything of theirs: chats, files, keys."""

    async def work(accounts: Accounts) -> User:
        from myna.server.accounts import users
        from myna.server.identity import OPERATOR

        user = _find(accounts, name)
        if not yes:
            typer.confirm(f"Delete {user.name} with all chats, files and keys, for good?", abort=True, err=True)
        await users.delete(accounts, OPERATOR, user.id)
        return user

    typer.echo(f"Deleted {_run(data_dir, work).name}.")


def _run(data_dir: Path | None, work: Callable[[Accounts], Awaitable[T]]) -> T:
    """Do something with the accounts of a data directory that nobody else uses meanwhile."""
    import asyncio

    from myna.settings import load_settings

    async def run() -> T:
        async with _opened(load_settings(data_dir=data_dir)) as accounts:
            return await work(accounts)

    return asyncio.run(run())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Accounts]:
    from myna.server.accounts import Accounts
    from myna.store import audit
    from myna.store.database import opened

    audit.address.set("terminal")
    accounts = Accounts(settings)
    async with (
        opened(settings.data_dir, settings.database) as database,
        accounts.options.opened(database),
        accounts.opened(database),
    ):
        yield accounts


def _find(accounts: Accounts, name: str) -> User:
    from myna.errors import NotFound
    from myna.server.accounts.names import name_key

    user = accounts.directory.named(name_key(name))
    if user is None:
        known = ", ".join(user.name for user in accounts.directory.users.values())
        raise NotFound(f"There is no user {name}. Known: {known or 'nobody'}.", param="name")
    return user


def _only_owner(role: Role | None) -> None:
    if role not in (None, "owner"):
        raise typer.BadParameter("The first user is an owner; add others after.", param_hint="--role")


def _ask(name: str) -> str:
    """A password from the terminal, twice; or the first line of what is piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password: str = typer.prompt(f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _tell(made: str | None) -> None:
    if made is not None:
        typer.echo(f"Password: {made}")


def _day(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
