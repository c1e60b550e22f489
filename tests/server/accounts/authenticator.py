"""An authenticator in software, as honest as a test wants it: it makes passkeys and signs with them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, SYNCABLE, SYNCED, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "==")


@dataclass
class Authenticator:
    """With at most one passkey, of which it counts the uses; what a test says of an answer is put into it instead."""

    origin: str
    counts: bool = True
    uses: int = 0
    id: bytes = b""
    handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def make(self, options: dict[str, Any], flags: int = PRESENT | VERIFIED, **lies: Any) -> dict[str, Any]:
        """A new passkey, as ``navigator.credentials.create`` gives it."""
        assert options["authenticatorSelection"]["residentKey"] == "required"
        assert encoded(self.id) not in [known["id"] for known in options["excludeCredentials"]]
        self.id, self.handle = lies.get("id", secrets.token_bytes(32)), decoded(options["user"]["id"])
        public = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32, "big"), -3: public.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(cose)
        data = self._data(lies.get("site", options["rp"]["id"]), flags | ATTESTED) + attested
        response = {
            "clientDataJSON": encoded(self._client("webauthn.create", options, lies)),
            "attestationObject": encoded(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
        }
        return {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "response": response}

    def sign(self, options: dict[str, Any], flags: int = PRESENT | VERIFIED, **lies: Any) -> dict[str, Any]:
        """What ``navigator.credentials.get`` gives."""
        if self.counts:
            self.uses += 1
        data = self._data(lies.get("site", options["rpId"]), flags)
        client = self._client(lies.get("type", "webauthn.get"), options, lies)
        key = lies.get("key", self.key)
        signature = key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": encoded(client),
            "authenticatorData": encoded(data),
            "signature": encoded(signature),
            "userHandle": encoded(lies.get("handle", self.handle)),
        }
        return {"id": encoded(self.id), "rawId": encoded(self.id), "type": "public-key", "response": response}

    def _data(self, site: str, flags: int) -> bytes:
        return hashlib.sha256(site.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4, "big")

    def _client(self, kind: str, options: dict[str, Any], lies: dict[str, Any]) -> bytes:
        told = {
            "type": kind,
            "challenge": lies.get("challenge", options["challenge"]),
            "origin": lies.get("origin", self.origin),
            "crossOrigin": False,
        }
        return json.dumps(told).encode()
