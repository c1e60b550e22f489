"""Passwords: which are taken, and how one is kept and compared.

argon2id with the parameters that RFC 9106 recommends where memory is scarce: 64 MiB, three passes, four lanes.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from myna.errors import EngineBusy, InvalidParameter
from myna.server.accounts.names import name_key

if TYPE_CHECKING:
    from argon2 import PasswordHasher

P = ParamSpec("P")
T = TypeVar("T")

SHORTEST, LONGEST = 10, 256
AT_ONCE = 2
"""Hashes computed at the same time; each takes 64 MiB and tens of milliseconds."""
MAX_WAITING = 32

COMMON = frozenset(
    {
        "0123456789", "0987654321", "1111111111", "1212121212", "1234567890", "12345678910", "1q2w3e4r5t",
        "1qaz2wsx3edc", "abc1234567", "abcdefghij", "administrator", "changeme123", "iloveyou123", "letmein123",
        "password01", "password12", "password123", "password1234", "passwordpassword", "q1w2e3r4t5", "qwerty1234",
        "qwerty12345", "qwerty123456", "qwertyuiop", "welcome123", "zaq12wsxcde3",
    }
)  # fmt: skip
"""Of at least the shortest length, what everybody tries first."""


def check_password(password: str, name: str, *, param: str = "password") -> None:
    """Refuse passwords that are guessed first; how others are made up is their owners' business.

    Raises:
        InvalidParameter: too short, too long, the name, or one that is tried first.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParameter(
            f"A password has {SHORTEST} to {LONGEST} characters; this has {len(password)}. "
            "A few words that do not belong together make a good one.",
            param=param,
        )
    folded = password.casefold()
    if folded in COMMON or len(set(folded)) < 4 or (len(name) >= 4 and folded.replace(name_key(name), "", 1) == ""):
        raise InvalidParameter("This password is one of those that are guessed first. Choose another.", param=param)


def make_password() -> str:
    """A password for somebody else, to be changed by him: 100 bits, in groups that can be read out."""
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))


class Passwords:
    """Hashes and compares passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password, with its parameters and salt.

        Raises:
            EngineBusy: too many wait for theirs already.
        """
        return await self._in_turn(_hash, password)

    async def matches(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password; None stands for a user who does not exist, and takes as long.

        Raises:
            EngineBusy: too many wait already.
        """
        return await self._in_turn(_verify, password, hashed)

    async def _in_turn(self, compute: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if self._waiting >= MAX_WAITING:
            raise EngineBusy("Too many people sign in at once; try again in a moment.")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(compute, *arguments, **named)
        finally:
            self._waiting -= 1


def _normal(password: str) -> str:
    """However a keyboard composes its accents."""
    return unicodedata.normalize("NFKC", password)


def _hash(password: str) -> str:
    return _hasher().hash(_normal(password))


def _verify(password: str, hashed: str | None) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(hashed or _nobodys(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return hashed is not None


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe())
