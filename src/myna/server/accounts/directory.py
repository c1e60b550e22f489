"""Users, sessions and keys in memory, as they are committed: whose a credential is costs no query.

Every change passes through the process that makes it, so what is here is exact: it follows each commit before the next
one begins. What other processes that share the database commit is followed by `myna.server.accounts.sharing`.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from myna.server.accounts.names import looks
from myna.server.identity import LOCAL, Identity, Limits
from myna.store.keys import Key
from myna.store.sessions import Session
from myna.store.users import User

IDLE_MS = 30 * 86_400_000
"""A session ends when it was not used for so long."""
NOTE_MS = 60_000
"""Uses are noted at most so often."""


@dataclass(frozen=True, slots=True)
class Denied:
    """Why nobody is known by a credential: a code for programs and a sentence."""

    code: str
    message: str


UNKNOWN_KEY = Denied(
    "invalid_api_key", "This API key is not known: it was mistyped or deleted, or its user was. Send another."
)
EXPIRED_KEY = Denied("api_key_expired", "This API key has expired. Make a new one in the application.")
DISABLED = Denied("account_disabled", "This account is disabled; an owner or admin of this server can enable it.")
SIGNED_OUT = Denied("not_signed_in", "You are signed out: the session has ended, here or from elsewhere. Sign in.")


def digest(secret: str) -> bytes:
    """By what a secret is found. They are random: a fast hash will do, and a look-up tells nothing by its time."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


class Directory:
    """The accounts of one server. Whoever commits a change tells it."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.sessions: dict[bytes, Session] = {}
        self.keys: dict[bytes, Key] = {}
        self.second_factors: set[str] = set()
        """Users who are asked for one."""
        self.seen: dict[str, int] = {}
        """Users who were there since the last note, and when; likewise the sessions and keys that were used."""
        self.used_sessions: dict[tuple[str, str], tuple[int, int]] = {}
        self.used_keys: dict[tuple[str, str], int] = {}
        self._identities: dict[bytes, tuple[User, Key | Session, Identity]] = {}

    def by_key(self, secret: str, now: int) -> Identity | Denied:
        """Who has a key."""
        key = self.keys.get(digest(secret))
        if key is None:
            return UNKNOWN_KEY
        if key.expires_at is not None and key.expires_at <= now:
            return EXPIRED_KEY
        user = self.users[key.owner]
        if user.disabled:
            return DISABLED
        if key.last_used_at is None or now - key.last_used_at >= NOTE_MS:
            self.keys[key.digest] = dataclasses.replace(key, last_used_at=now)
            self.used_keys[key.owner, key.id] = now
            self._see(user, now)
        return self._identity(self.users[user.id], self.keys[key.digest])

    def by_session(self, token: str, now: int) -> Identity | Denied:
        """Who is signed in with a token."""
        session = self.sessions.get(digest(token))
        if session is None or session.expires_at <= now:
            return SIGNED_OUT
        user = self.users[session.owner]
        if user.disabled:
            return DISABLED
        if now - session.last_used_at >= NOTE_MS:
            self.sessions[session.digest] = dataclasses.replace(session, last_used_at=now, expires_at=now + IDLE_MS)
            self.used_sessions[session.owner, session.id] = now, now + IDLE_MS
            self._see(user, now)
        return self._identity(self.users[user.id], self.sessions[session.digest])

    def begin_session(self, session: Session) -> None:
        """Somebody has just signed in."""
        self.sessions[session.digest] = session
        if (user := self.users.get(session.owner)) is not None:
            self._see(user, session.created_at)

    def named(self, key: str) -> User | None:
        """The user of a folded name."""
        return next((user for user in self.users.values() if user.name_key == key), None)

    def like(self, key: str, look: str, but: str | None) -> User | None:
        """A user, but not this one, of a folded name; else one whose name looks so."""
        others = [user for user in self.users.values() if user.id != but]
        same = (user for user in others if user.name_key == key)
        return next(same, None) or next((user for user in others if looks(user.name) == look), None)

    def sessions_of(self, user_id: str) -> list[Session]:
        """A user's sessions, the one used last first."""
        found = [session for session in self.sessions.values() if session.owner == user_id]
        return sorted(found, key=lambda session: session.last_used_at, reverse=True)

    def keys_of(self, user_id: str) -> list[Key]:
        """A user's keys, the newest first."""
        return sorted((key for key in self.keys.values() if key.owner == user_id), key=lambda key: key.id, reverse=True)

    def owners(self) -> list[User]:
        """Those who can change everything."""
        return [user for user in self.users.values() if user.role == "owner" and not user.disabled]

    def replace(self, sessions: Iterable[Session], keys: Iterable[Key]) -> None:
        """Know these instead, but for uses of them that are not stored yet."""
        known, self.sessions, self.keys = self.sessions, {}, {key.digest: key for key in keys}
        for one in sessions:
            used = known.get(one.digest, one)
            self.sessions[one.digest] = dataclasses.replace(
                one,
                last_used_at=max(one.last_used_at, used.last_used_at),
                expires_at=max(one.expires_at, used.expires_at),
            )
        for gone in self._identities.keys() - self.sessions.keys() - self.keys.keys():
            del self._identities[gone]

    def drop_sessions(self, user_id: str, but: str | None = None) -> None:
        """Forget a user's sessions, all but one."""
        for session in self.sessions_of(user_id):
            if session.id != but:
                self.drop_session(session)

    def drop_session(self, session: Session) -> None:
        """Forget a session."""
        self.sessions.pop(session.digest, None)
        self._identities.pop(session.digest, None)
        self.used_sessions.pop((session.owner, session.id), None)

    def drop_key(self, key: Key) -> None:
        """Forget a key."""
        self.keys.pop(key.digest, None)
        self._identities.pop(key.digest, None)
        self.used_keys.pop((key.owner, key.id), None)

    def drop_user(self, user_id: str) -> None:
        """Forget a user and what is his."""
        self.users.pop(user_id, None)
        self.seen.pop(user_id, None)
        self.second_factors.discard(user_id)
        self.drop_sessions(user_id)
        for key in self.keys_of(user_id):
            self.drop_key(key)

    def _identity(self, user: User, credential: Key | Session) -> Identity:
        """Who has a credential, made once: records are never changed, only replaced by others."""
        made = self._identities.get(credential.digest)
        if made is not None and made[0] is user and made[1] is credential:
            return made[2]
        if isinstance(credential, Session):
            known = dataclasses.replace(identity(user), session=credential.id)
        else:
            known = dataclasses.replace(
                identity(user),
                permission=credential.permission,
                key=credential.id,
                key_limits=Limits(credential.requests_per_minute, credential.tokens_per_minute),
            )
        self._identities[credential.digest] = user, credential, known
        return known

    def _see(self, user: User, now: int) -> None:
        self.users[user.id] = dataclasses.replace(user, last_seen_at=now)
        self.seen[user.id] = now


def identity(user: User) -> Identity:
    """A user as he is known to the routes."""
    limits = Limits(user.requests_per_minute, user.tokens_per_minute, user.tokens_per_day)
    return Identity(user.id, user.name, user.role, limits=limits)


def environment_identity(user: User | None) -> Identity:
    """Who has the key of the server's own settings: its operator, as the user whose machine this is."""
    return dataclasses.replace(LOCAL if user is None else identity(user), role="owner", key="environment")
