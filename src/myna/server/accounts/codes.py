"""Codes of second factors: those that an app counts from a secret (TOTP, RFC 6238), and those for when it is lost."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata

from myna.server.accounts.directory import digest

STEP_SECONDS = 30
DRIFT = 1
"""Steps that a phone's clock may be off, either way."""
RECOVERY_CODES = 10

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 4
"""79 bits: too many to be guessed, also of a hash that is quick to compute."""


def make_secret() -> str:
    """A new secret in base32: 160 bits, as RFC 4226 recommends."""
    import pyotp

    return pyotp.random_base32()


def address_of(secret: str, name: str, server: str) -> str:
    """The ``otpauth:`` address that an app reads from a QR code."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=server)


def picture_of(address: str) -> str:
    """An address as a QR code: a picture (SVG) as a ``data:`` URL, dark on white, as cameras want it."""
    import segno

    return segno.make(address, error="m", micro=False).svg_data_uri(scale=4, border=4, light="#fff")


def step_of(secret: str, code: str, at: int) -> int | None:
    """The time step of a code, if it is one of now, or of a clock that is a little off.

    Args:
        secret: in base32.
        code: six digits.
        at: Unix milliseconds.
    """
    import pyotp

    counter = pyotp.TOTP(secret)
    now = at // 1000 // STEP_SECONDS
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):  # all of them, whichever fits
        if hmac.compare_digest(counter.generate_otp(step).encode(), code.encode()):
            found = step
    return found


def make_recovery_codes() -> list[str]:
    """Codes for when the app is lost, each for one use."""
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def plain(code: str) -> str:
    """A code as it was made, however it is typed: with spaces, in capitals, in the digits of another script."""
    typed = unicodedata.normalize("NFKC", code).casefold()
    return "".join(str(unicodedata.decimal(character, character)) for character in typed if character.isalnum())


def recovery_digest(code: str) -> bytes:
    """By what a recovery code is known."""
    return digest(plain(code))


def mark_of(secret: str, user_id: str) -> str:
    """What a browser keeps in which both factors of a user were right: it lets nobody in, and tells nobody whose it is.

    Whoever has the second factor's secret knows it again, so nothing of it is stored; with another secret it is worth
    nothing.
    """
    mark = secrets.token_urlsafe(16)
    return f"{mark}.{_signed(secret, user_id, mark)}"


def is_mark(secret: str, user_id: str, value: str) -> bool:
    """Whether a browser has kept a mark of this user, and of his present second factor."""
    mark, _, signature = value.partition(".")
    return hmac.compare_digest(_signed(secret, user_id, mark).encode(), signature.encode("utf-8", "surrogateescape"))


def _signed(secret: str, user_id: str, mark: str) -> str:
    message = f"known browser\n{user_id}\n{mark}".encode("utf-8", "surrogateescape")
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
