"""Everything that is PostgreSQL's alone: connections, the lock of the one writer, upgrades, what its errors mean.

Any number of server processes share it (see `myna.store.peers`). Writers take turns here as they do in SQLite,
whichever process they belong to: the numbers of the list changes then come in the order of the commits, and no follower
can miss one that commits late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from myna.errors import ConfigurationError, StorageFull, StoreError, StoreUnavailable
from myna.store import migrations
from myna.store.peers import ALONE_LOCK, LOST_AFTER, Peers
from myna.store.place import AWAY, FAILED, FULL, TURN_SECONDS

WRITER_LOCK = 0x6D796E62
"""Key of the advisory lock that a writing transaction holds; others are in `myna.store.peers`."""
CONNECT_SECONDS = 10
_CONNECT = {"connect_timeout": CONNECT_SECONDS, **LOST_AFTER}
ENDING_MS = 2000
"""How long PostgreSQL may take to notice that a server's connections are gone."""
READERS = 8
DISK_FULL = ("53100", "53400")
FOR_NOW = ("08", "25006", "40", "53", "55P03", "57")
"""Classes of states that pass: connections lost or refused, a standby that only reads, turns lost, servers that end."""


class PostgreSQL:
    """A database on a PostgreSQL server (see `myna.store.place.Place`)."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self.peers = Peers(url, self.explain)
        self.writer = create_async_engine(
            url,
            pool_size=1,
            max_overflow=0,
            pool_pre_ping=True,
            pool_timeout=TURN_SECONDS,
            # Who writes is told by the triggers to the other processes, and so need not be told to this one.
            connect_args=_CONNECT | {"options": f"-c myna.server={self.peers.number}"},
            hide_parameters=True,
        )
        self.reader = create_async_engine(
            url,
            pool_size=READERS,
            max_overflow=0,
            pool_pre_ping=True,
            pool_timeout=TURN_SECONDS,
            connect_args=_CONNECT,
            hide_parameters=True,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
        )
        _take_turns(self.writer)
        for engine in (self.writer, self.reader):
            _spell_nul(engine)

    @property
    def file(self) -> Path | None:
        """None: it is no file."""
        return None

    @property
    def name(self) -> str:
        """The URL, without the password."""
        return url_text(self._url)

    def explain(self, error: BaseException) -> StoreError:
        """What went wrong with the server, for a person, with the remedy."""
        return explain(error, self._url)


def locate(given: str) -> URL:
    """The URL of a database, with the driver that is used.

    Raises:
        ConfigurationError: not a URL of a PostgreSQL database, or the driver is not installed.
    """
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):  # the latter of a port that is no number
        url = None
    if url is None or url.get_backend_name() not in ("postgresql", "postgres") or not url.database:
        raise ConfigurationError(
            f"{'That' if url is None else url_text(url, as_given=True)} is no PostgreSQL database: one is named like "
            "postgresql://USER:PASSWORD@HOST:5432/DATABASE. Without the setting database_url everything is kept in the "
            "data directory.",
            param="database_url",
        )
    try:
        import psycopg  # noqa: F401 - the extra that holds it may not be installed
    except ImportError:
        raise ConfigurationError(
            'PostgreSQL needs its driver: pip install "myna[postgres]".', param="database_url"
        ) from None
    return url.set(drivername="postgresql+psycopg")


def open_place(given: str) -> PostgreSQL:
    """The database of a URL, brought to the newest schema. Takes long: not for the event loop.

    Raises:
        ConfigurationError: see `locate`; or it has to be upgraded while servers use it.
        StoreError: it cannot be reached, is another program's or newer than this one, or could not be upgraded.
    """
    url = locate(given)
    upgrade(url)
    return PostgreSQL(url)


@contextmanager
def snapshot(given: str) -> Iterator[Connection]:
    """One consistent view of a database of the newest schema, while servers go on.

    Raises:
        ConfigurationError: see `locate`.
        StoreError: it cannot be reached, or has another schema.
    """
    url = locate(given)
    engine = create_engine(url, connect_args=_CONNECT, isolation_level="REPEATABLE READ")
    try:
        with engine.connect() as connection:
            if (found := _revision(connection, url)) != migrations.HEAD:
                raise StoreError(
                    f"{url_text(url)} has schema {found or 'none'}, this Myna {migrations.HEAD}: start it once first."
                )
            yield connection
    except SQLAlchemyError as error:
        raise explain(getattr(error, "orig", None) or error, url) from error
    finally:
        engine.dispose()


@contextmanager
def alone(given: str) -> Iterator[Connection]:
    """A transaction on a database, brought to the newest schema, that no server may use meanwhile.

    Raises:
        ConfigurationError: see `locate`; or a server uses it.
        StoreError: as `open_place` has it.
    """
    url = locate(given)
    upgrade(url)
    engine = create_engine(url, connect_args=_CONNECT)
    try:
        with engine.begin() as connection:
            _take_turn(connection)
            _take_alone(connection, url)
            yield connection
    except SQLAlchemyError as error:
        raise explain(getattr(error, "orig", None) or error, url) from error
    finally:
        engine.dispose()


def upgrade(url: URL, *, scripts: Path = migrations.SCRIPTS, head: str = migrations.HEAD) -> None:
    """Bring a database to ``head`` in one transaction, which leaves it as it was if anything fails.

    Processes that start at once take turns. The servers of an older version must be stopped before.

    Raises:
        ConfigurationError: servers use it as it is.
        StoreError: as `open_place` has it.
    """
    engine = create_engine(url, connect_args=_CONNECT)
    try:
        with engine.connect() as connection:
            if _revision(connection, url) == head:
                return
        with engine.begin() as connection:
            _take_turn(connection)
            current = _revision(connection, url)
            if current != head:  # nobody else has done it meanwhile
                migrations.check_known(url_text(url), current, scripts, head)
                _take_alone(connection, url)
                migrations.run(connection, scripts, head)
    except SQLAlchemyError as error:
        raise explain(getattr(error, "orig", None) or error, url) from error
    except (StoreError, ConfigurationError):
        raise
    except Exception as error:
        raise StoreError(
            f"Upgrading {url_text(url)} to schema {head} failed: {error}. Everything is as before; use the previous "
            "version of Myna meanwhile."
        ) from error
    finally:
        engine.dispose()


def url_text(url: URL, *, as_given: bool = False) -> str:
    """A URL for people: without the password, and but ``as_given`` without the driver."""
    return (url if as_given else url.set(drivername="postgresql")).render_as_string(hide_password=True)


def explain(error: BaseException, url: URL) -> StoreError:
    """What went wrong with a database, for a person, with the remedy."""
    reason = " ".join(str(error).split())
    state = getattr(error, "sqlstate", None) or ""
    where = url_text(url)
    if state in DISK_FULL:
        message = f"The server of {where} has no room left ({reason}). What is stored already is safe."
        return StorageFull(message, told=FULL)
    if state.startswith("28") or "authentication" in reason:
        message = f"{where} refused the user or the password ({reason}). Check MYNA_DATABASE_URL."
    elif not state and 'role "' in reason and "does not exist" in reason:  # connecting tells no state
        message = f"The server of {where} has no such user ({reason}). Check MYNA_DATABASE_URL."
    elif state == "3D000" or (not state and "does not exist" in reason):
        message = f"There is no such database as {where}: create it first, for example with createdb."
    elif state.startswith(FOR_NOW) or isinstance(error, OperationalError) or not state:
        message = f"The database {where} cannot be reached ({reason}). Is its server running?"
        return StoreUnavailable(message, told=AWAY)
    else:
        message = f"The database {where} failed: {reason}."
    return StoreError(message, told=FAILED)


def _revision(connection: Connection, url: URL) -> str | None:
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise StoreError(f"{url_text(url)} is a database of another program; create an empty one for Myna.")
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _take_turns(writer: AsyncEngine) -> None:
    @event.listens_for(writer.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        _take_turn(connection)


def spelt(value: Any) -> Any:
    """A value with U+FFFD for U+0000, the one character that PostgreSQL's texts cannot hold."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _spell_nul(engine: AsyncEngine) -> None:
    def spell(row: Any) -> Any:
        if isinstance(row, Mapping):
            return {name: spelt(value) for name, value in row.items()}
        return tuple(spelt(value) for value in row)

    @event.listens_for(engine.sync_engine, "before_cursor_execute", retval=True)
    def replace(
        _connection: Connection, _cursor: object, statement: str, rows: Any, _context: object, many: bool
    ) -> tuple[str, Any]:
        return statement, [spell(row) for row in rows] if many else spell(rows)


def _take_turn(connection: Connection) -> None:
    """Wait until no other process writes; the turn ends with the transaction."""
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")


def _take_alone(connection: Connection, url: URL) -> None:
    """Keep servers out until the transaction ends; one that has just ended is waited for."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {ENDING_MS}")
    try:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ALONE_LOCK})")
    except OperationalError as error:
        raise ConfigurationError(
            f"Servers use the database {url_text(url)}. End all of them first, or give another database.",
            param="database_url",
        ) from error
    connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
