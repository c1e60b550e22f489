"""Who is asking: set once for every connection, by the guard that knows sessions and keys, and read everywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection

Role = Literal["owner", "admin", "member"]
Permission = Literal["all", "read", "inference"]

IN_SCOPE = "myna.identity"
"""Key of the ASGI scope. Nothing that comes over the network can put anything there."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be asked for. None: what the settings say, or for a key nothing of its own; 0: as much as wanted.

    Attributes:
        requests_per_minute: requests that use a model.
        tokens_per_minute: of prompts and answers together.
        tokens_per_day: the same, from midnight to midnight UTC; of users alone.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and what this connection may do in his name.

    Attributes:
        user: owner of the rows, files and cached prefixes that the connection may touch.
        name: for people.
        role: what the user may do to others' things: models, users, settings.
        permission: what the credential allows: everything, reading, or inference alone.
        key: id of the API key that was sent, if one was.
        session: id of the browser's session, if there is one.
        limits: of the user, over all that he does.
        key_limits: of the key that was sent, beside the user's.
    """

    user: str
    name: str
    role: Role
    permission: Permission = "all"
    key: str | None = None
    session: str | None = None
    limits: Limits = Limits()
    key_limits: Limits = Limits()


LOCAL = Identity(user="local", name="You", role="owner")
"""The person whose machine this is, as long as no account was made; the first account takes this user over."""

OPERATOR = Identity(user="operator", name="myna accounts", role="owner")
"""Who has the machine's command line, and changes users there without being one."""


def identity_of(connection: HTTPConnection) -> Identity:
    """Who is asking. A connection that no guard has seen, or whose route is open to strangers, is a fault of ours."""
    identity = caller_of(connection)
    assert identity is not None, "this route is open; ask caller_of"
    return identity


def caller_of(connection: HTTPConnection) -> Identity | None:
    """Who is asking; None for a stranger, whom only open routes see."""
    identity: Identity | None = connection.scope[IN_SCOPE]
    return identity


def owner_of(connection: HTTPConnection) -> str:
    """Whose rows a connection may touch."""
    return identity_of(connection).user
