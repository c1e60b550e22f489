"""The accounts of one server: what they share, from its start to its end."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from typing import Literal

from myna.errors import MynaError, Refused
from myna.server.accounts import sharing
from myna.server.accounts.connections import Connections, who_asks
from myna.server.accounts.directory import Denied, Directory, digest, environment_identity, identity
from myna.server.accounts.failures import Failures
from myna.server.accounts.passwords import Passwords
from myna.server.accounts.provider import Provider
from myna.server.accounts.throttle import Throttle
from myna.server.binding import is_loopback
from myna.server.identity import LOCAL, Identity, Limits
from myna.server.options import ServerOptions
from myna.server.rates import Rates
from myna.server.tasks import beside
from myna.settings import Settings
from myna.store import keys, second_factors, sessions, users
from myna.store.database import Database
from myna.store.options import Options
from myna.store.records import now
from myna.store.sessions import Session

logger = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 60
DEEDS = Limits(requests_per_minute=30)
"""What a user may do in a minute that concerns himself alone and is written into everybody's audit log."""

State = Literal["single", "set_up", "accounts"]
"""Without accounts: on loopback everybody is the one user, elsewhere the first account is to be made. With accounts:
everybody has to sign in or send a key."""


class Accounts:
    """Who may use the server. Until `opened` there are no accounts."""

    def __init__(self, settings: Settings, options: ServerOptions | None = None) -> None:
        self.options = ServerOptions() if options is None else options
        self.directory = Directory()
        self.provider: Provider | None = None
        """Who else says who people are; the application sets it."""
        self.password_sign_in = settings.password_sign_in
        self.passkeys = settings.password_sign_in and find_spec("webauthn") is not None
        """Whether they can be checked. Where passwords are off, the identity provider alone says who may come in."""
        self.connections = Connections()
        self.passwords = Passwords()
        self.by_address = Throttle(free=10, longest=60)
        self.by_name = Throttle(free=30, longest=30)
        self.failures = Failures()
        self.by_code = Throttle(free=5, longest=600)
        """Of codes: there are so few that a user's wait long, wherever strangers try them."""
        self.ceremonies = Throttle(free=20, longest=60)
        """Of browsers that are asked for a passkey, which a stranger can have be as often as he likes."""
        self.sign_ups = Throttle(free=5, longest=60)
        self._deeds = Rates()
        self.files = settings.data_dir / "files"
        """Where blobs lie, a directory an owner."""
        self.is_shared = False
        """Whether other processes share the database, and may know what this one does not know yet."""
        self.setup_token: str | None = None
        """Makes the first account where others could reach the server; None where none is asked for."""
        self.database: Database
        self._local = is_loopback(settings.host)
        self._other_names = settings.allowed_hosts
        key = settings.api_key
        self._environment = None if key is None else digest(key.get_secret_value())
        self._ended: list[Session] = []
        """Sessions that have ended, and whose rows are to be deleted."""
        self._departures: list[Callable[[str], None]] = []
        self._suspensions: list[Callable[[str], None]] = []

    @property
    def state(self) -> State:
        """Whether people have to sign in."""
        if self.directory.users:
            return "accounts"
        return "single" if self._local else "set_up"

    def check_passwords_are_taken(self) -> None:
        """Whether people may sign in with passwords. Raises Refused."""
        if not self.password_sign_in:
            raise Refused("Nobody signs in with a password here: use the identity provider of this server.")

    @property
    def has_environment_key(self) -> bool:
        """Whether the settings have a key of their own."""
        return self._environment is not None

    def by_key(self, secret: str) -> Identity | Denied:
        """Who has a key, be it of the settings or of a user."""
        if self._environment is not None and hmac.compare_digest(digest(secret), self._environment):
            return environment_identity(self.directory.users.get(LOCAL.user))
        return self.directory.by_key(secret, now())

    def by_session(self, token: str) -> Identity | Denied:
        """Who is signed in with a session's token."""
        return self.directory.by_session(token, now())

    def identity(self, user_id: str) -> Identity:
        """A user as what runs without a request of his is done for; without accounts, the one whose machine this is."""
        user = self.directory.users.get(user_id)
        return LOCAL if user is None else identity(user)

    def administers(self, user_id: str) -> bool:
        """Whether a user is an owner or admin now, or the one whose machine this is."""
        user = self.directory.users.get(user_id)
        return user.role != "member" and not user.disabled if user else not self.directory.users

    def admit_deed(self, by: Identity) -> None:
        """Whether a user may do one more thing that the audit log keeps for good. Raises RateLimited."""
        self._deeds.admit({by.user: DEEDS})

    def on_departure(self, forget: Callable[[str], None]) -> None:
        """Call ``forget`` with the id of a user who is deleted, in that commit's turn: stop all work for that user."""
        self._departures.append(forget)

    def depart(self, user_id: str, but: asyncio.Task[object] | None) -> None:
        """A user's rows are gone: end everything that still runs for that user."""
        self.directory.drop_user(user_id)
        self.connections.end(user_id, but=but)
        for forget in self._departures:
            forget(user_id)

    def on_suspension(self, stop: Callable[[str], None]) -> None:
        """Call ``stop`` with a user's id when he is disabled, as soon as that is committed: end what he has running."""
        self._suspensions.append(stop)

    def suspend(self, user_id: str) -> None:
        """A user is disabled: end what he has running, with what it has."""
        for stop in self._suspensions:
            stop(user_id)

    @asynccontextmanager
    async def opened(self, database: Database) -> AsyncIterator[None]:
        """Know the accounts of a database, and note in it when they were used."""
        self.database = database
        self.is_shared = database.peers is not None
        async with database.transaction() as transaction:
            await sessions.remove_expired(transaction, now())
            self.directory.users = {user.id: user for user in await users.all_of_them(transaction)}
            self.directory.sessions = {one.digest: one for one in await sessions.all_of_them(transaction)}
            self.directory.second_factors = await second_factors.confirmed(transaction)
            self.directory.keys = {key.digest: key for key in await keys.all_of_them(transaction)}
        self.options.on_change(self.end_unproven)
        self.end_unproven(self.options.current)
        if self.state == "set_up":
            self.setup_token = secrets.token_urlsafe(24)
        elif self.state == "single" and self._other_names:
            logger.warning(
                "There are no accounts: whoever reaches this server as %s is its owner. Make one first.",
                ", ".join(self._other_names),
            )
        try:
            async with beside(self._keep_house()), beside(sharing.follow(self)):
                yield
        finally:
            with contextlib.suppress(MynaError):
                await self.note_uses()

    async def note_uses(self) -> None:
        """Store when users, sessions and keys were used since the last time."""
        directory = self.directory
        if not (directory.seen or directory.used_sessions or directory.used_keys):
            return
        async with self.database.transaction() as transaction:
            # Taken in the writer's turn: what is deleted meanwhile is dropped from these too.
            seen, directory.seen = directory.seen, {}
            used_sessions, directory.used_sessions = directory.used_sessions, {}
            used_keys, directory.used_keys = directory.used_keys, {}
            await users.seen(transaction, seen)
            await sessions.used(transaction, used_sessions)
            await keys.used(transaction, used_keys)

    def drop_sessions(self, user_id: str, *, but: str | None, task: asyncio.Task[object] | None) -> None:
        """A user's sessions are gone, all but one: end what they have open, but for the task that asks for it."""
        self.directory.drop_sessions(user_id, but=but)
        self.connections.end(
            user_id, but=task, which=lambda who: who.session is not None and (but is None or who.session != but)
        )

    def end_unproven(self, options: Options) -> None:
        """Where everybody needs a second factor, who signed in with a password alone does so again."""
        if not options.require_second_factor:
            return
        me = who_asks()  # is answered yet
        for session in list(self.directory.sessions.values()):
            if session.method == "password" and session.owner not in self.directory.second_factors:
                self.directory.drop_session(session)
                self._ended.append(session)
                self.connections.end(session.owner, but=me, which=partial(_has_session, session.id))

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await self.note_uses()
                await self.end_expired()
            except MynaError as error:
                logger.warning("When accounts were used could not be stored: %s", error.message)

    async def end_expired(self) -> None:
        """End the sessions that were not used for long, and the connections of these and of keys that have expired."""
        at = now()
        gone = [session for session in self.directory.sessions.values() if session.expires_at <= at]
        ended, self._ended = self._ended, []
        if ended:
            async with self.database.transaction() as transaction:
                for one in ended:
                    await sessions.remove(transaction.owned_by(one.owner), one.id)
        if gone:
            async with self.database.transaction() as transaction:
                await sessions.remove_expired(transaction, at)
                transaction.after_commit.extend(partial(self.directory.drop_session, one) for one in gone)
        alive = {one.id for one in self.directory.sessions.values()}
        expired = {
            key.id for key in self.directory.keys.values() if key.expires_at is not None and key.expires_at <= at
        }
        self.connections.expire(
            lambda who: (who.session is not None and who.session not in alive) or who.key in expired
        )


def _has_session(session_id: str, who: Identity) -> bool:
    return who.session == session_id
