"""Where the rows are: a file of SQLite's beside the models, or a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from myna.errors import StoreError
from myna.store.peers import Peers

FAILED = "The server cannot use its database now; its log says why. What is stored already is safe."
AWAY = "The server cannot use its database right now, and goes on trying. What is stored is safe; try again soon."
FULL = "The server's disk is full. Whoever runs it has to free some space; what is stored already is safe."
"""What clients are told of it: where the database is, is not their business."""


TURN_SECONDS = 20.0
"""How long a transaction waits for a connection or for the writer's turn: less than a browser waits for its answer."""


class Place(Protocol):
    """A database that was found, locked and brought to the newest schema.

    ``writer`` gives one connection, on which one transaction runs at a time among all processes that share the place;
    ``reader`` several, each transaction of which is one consistent view that cannot write. ``peers`` are the processes
    that share it; None where this one has it alone.
    """

    writer: AsyncEngine
    reader: AsyncEngine

    @property
    def peers(self) -> Peers | None:
        """The processes that share it."""

    @property
    def file(self) -> Path | None:
        """The database's file, if it is one."""

    @property
    def name(self) -> str:
        """Where it is, for those who run the server: a path, or a URL without its password."""

    def explain(self, error: BaseException) -> StoreError:
        """What went wrong, for a person, with the remedy."""
