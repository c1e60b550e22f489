"""What browsers' authenticators are asked to sign (W3C Web Authentication), and whether they did.

The user must have been verified by the authenticator, by a finger, a face or a PIN: so who holds a passkey has shown
two things, and no code is asked for beside it. Whose make an authenticator is, is not asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from myna.errors import Refused, WrongPasskey
from myna.store.passkeys import Passkey
from myna.store.users import User

T = TypeVar("T")
Json = dict[str, Any]
"""Of options and credentials, as the specification writes them in JSON."""

LIFE_MS = 300_000
"""A person finds his authenticator in so long."""
LONGEST_CREDENTIAL = 1023
ALGORITHMS = (-8, -7, -257)
"""EdDSA, ECDSA with SHA-256, RSA with SHA-256, as COSE numbers them; what authenticators have."""
WRONG = "This passkey did not show that it is you. Try again, or sign in another way."


@dataclass(frozen=True, slots=True)
class Site:
    """This server as a browser reaches it: passkeys belong to its host name, and work there alone."""

    origin: str
    name: str


@dataclass(frozen=True, slots=True)
class Made:
    """What an authenticator has made, as `Passkey` has it."""

    credential: bytes
    public_key: bytes
    uses: int
    synced: bool


def site_of(origin: str | None) -> Site:
    """Where a request's page is from. Its origin was checked to be one of this server's.

    Raises:
        Refused: browsers have no passkeys there.
    """
    parts = urlsplit(origin or "")
    name = parts.hostname or ""
    is_local = name == "localhost" or name.endswith(".localhost")
    if origin is None or _is_address(name) or not name or not (is_local or parts.scheme == "https"):
        raise Refused(
            "Passkeys belong to a host name: open this server by its name over https, or on this computer as localhost."
        )
    return Site(origin, name)


def handle_of(user: User) -> bytes:
    """What an authenticator knows a user by: nothing of his, and another at each server of this machine."""
    return hashlib.sha256(f"{user.id}\n{user.created_at}".encode()).digest()


def to_make(site: Site, user: User, challenge: bytes, known: Sequence[Passkey]) -> Json:
    """``PublicKeyCredentialCreationOptionsJSON`` of a passkey that finds its user by itself; of his known ones none."""
    return {
        "rp": {"id": site.name, "name": "Myna"},
        "user": {"id": encoded(handle_of(user)), "name": user.name, "displayName": user.name},
        "challenge": encoded(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": algorithm} for algorithm in ALGORITHMS],
        "timeout": LIFE_MS,
        "excludeCredentials": [
            {"type": "public-key", "id": encoded(each.credential)} for each in known if each.site == site.name
        ],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def to_sign(site: Site, challenge: bytes) -> Json:
    """``PublicKeyCredentialRequestOptionsJSON`` for whoever has a passkey of this server."""
    return {
        "challenge": encoded(challenge),
        "timeout": LIFE_MS,
        "rpId": site.name,
        "allowCredentials": [],
        "userVerification": "required",
    }


def credential_of(credential: Json) -> bytes:
    """By what an authenticator knows the passkey that it has used; empty if that cannot be read."""
    return _decoded(credential.get("rawId"))


async def check_made(credential: Json, site: Site, challenge: bytes) -> Made:
    """What an authenticator has made when it was asked to.

    Raises:
        WrongPasskey: it was asked elsewhere or for something else, or did not verify its user.
    """

    def check() -> Made:
        from webauthn import verify_registration_response
        from webauthn.helpers.structs import CredentialDeviceType

        made = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
            require_user_verification=True,
        )
        synced = made.credential_device_type == CredentialDeviceType.MULTI_DEVICE
        return Made(made.credential_id, made.credential_public_key, made.sign_count, synced)

    made = await _off_the_loop(check)
    if len(made.credential) > LONGEST_CREDENTIAL:
        raise WrongPasskey(WRONG)
    return made


async def check_signed(credential: Json, site: Site, challenge: bytes, passkey: Passkey, user: User) -> int:
    """How often a passkey was used, by its authenticator's count, when it has signed what it was asked to.

    Raises:
        WrongPasskey: it has not, for this site and user, or did not verify its user.
    """

    def check() -> int:
        from webauthn import verify_authentication_response

        return verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared by who knows that the signature is right
            require_user_verification=True,
        ).new_sign_count

    uses = await _off_the_loop(check)
    if not hmac.compare_digest(_decoded(credential["response"].get("userHandle")), handle_of(user)):
        raise WrongPasskey(WRONG)
    return uses


async def _off_the_loop(check: Callable[[], T]) -> T:
    """The library takes a moment to load, and stumbles in many ways over what strangers make up."""
    try:
        return await asyncio.to_thread(check)
    except Exception:
        raise WrongPasskey(WRONG) from None


def encoded(value: bytes) -> str:
    """Bytes as the specification writes them: base64url without padding."""
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decoded(value: object) -> bytes:
    try:
        return urlsafe_b64decode(f"{value}{'=' * (-len(value) % 4)}") if isinstance(value, str) else b""
    except ValueError:
        return b""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
