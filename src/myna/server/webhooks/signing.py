"""Signatures of webhooks, as OpenAI makes them: https://www.standardwebhooks.com, version 1.

What is signed is the id, the time and the body, joined by full stops, with HMAC-SHA256.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"


def new_secret() -> str:
    """A secret of 256 bits, in base64 after ``whsec_``."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def hint(secret: str) -> str:
    """A secret as it is shown later: enough to tell it from others."""
    return f"{PREFIX}…{secret[-4:]}"


def signed_headers(webhook_id: str, timestamp: int, body: bytes, keys: Iterable[str]) -> dict[str, str]:
    """The headers by which a receiver knows that it is we who send.

    Args:
        webhook_id: the same each time that a delivery is tried.
        timestamp: now, in Unix seconds; receivers refuse what is older than a few minutes.
        body: to the byte.
        keys: secrets, each of which signs.
    """
    content = f"{webhook_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(base64.b64decode(key.removeprefix(PREFIX)), content, hashlib.sha256) for key in keys)
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(each).decode()}" for each in signatures),
    }
