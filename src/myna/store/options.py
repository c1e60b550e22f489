"""What owners decide for everybody while the server runs: one record, a row for each field that is not as by default.

What has to be known before the database is open (the port, the data directory) is in `myna.settings` instead.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import delete, insert, select

from myna.store.records import now
from myna.store.scope import Transaction
from myna.store.tables.administration import options

SignUp = Literal["closed", "invitation", "open"]


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for everybody.

    Attributes:
        sign_up: who may make an account without being given one: nobody, whoever has an invitation, anybody.
        require_second_factor: whether everybody who signs in with a password needs a second factor.
        requests_per_minute: requests that use a model, of everybody who has no limit of his own. None: what the
            settings say; 0: as many as wanted.
        tokens_per_minute: of prompts and answers together; as above.
        tokens_per_day: the same, from midnight to midnight UTC.
        default_model: the one that a new chat of the application begins with. None: what the settings say.
        titles: whether a model writes the titles of chats; otherwise they are the beginning of the first message.
    """

    sign_up: SignUp = "invitation"
    require_second_factor: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    tokens_per_day: int | None = None
    default_model: str | None = None
    titles: bool = True


NAMES = tuple(field.name for field in fields(Options))


async def load(transaction: Transaction) -> Options:
    """The options as they were left; what a newer version has added is overlooked."""
    rows = await transaction.connection.execute(select(options.c.name, options.c.value))
    return Options(**{name: value for name, value in rows if name in NAMES})


async def save(transaction: Transaction, **values: Any) -> None:
    """Store fields that were changed."""
    await transaction.connection.execute(delete(options).where(options.c.name.in_(values)))
    rows = [{"name": name, "value": value, "changed_at": now()} for name, value in values.items()]
    if rows:
        await transaction.connection.execute(insert(options), rows)
