"""The identity provider of a server (OpenID Connect): where it is, what it says about a person, and whether it did.

The authorization code flow with PKCE (RFC 7636). What a provider tells is believed when its signature is right, by keys
that were fetched from the issuer of the settings, and when it was told to this server, for this sign-in, just now.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote_plus, urlencode

from myna.errors import ProviderError
from myna.server.binding import is_loopback
from myna.server.webhooks.targets import Resolve, TargetRefused, resolve_name, resolve_target
from myna.settings import Settings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key of the provider's alone; never ``none``, and none whose key this server has too."""
LEEWAY_SECONDS = 60
REQUEST_SECONDS = 10
KEPT_SECONDS = 3600
"""What the provider says of itself is asked for again after so long."""
FAILED_SECONDS = 10
"""Neither is it asked again for so long after it failed: strangers can have it asked."""
RENEW_SECONDS = 30
"""Its keys are asked for again for an unknown one at most so often."""
MAX_BYTES = 1 << 20


class Provider:
    """One provider, as the settings name it.

    Args:
        settings: all configuration; it has an issuer.
        resolve: asked for the addresses of names.
    """

    def __init__(self, settings: Settings, resolve: Resolve = resolve_name) -> None:
        assert settings.oidc_issuer is not None
        self.issuer = settings.oidc_issuer
        self.name = settings.oidc_name
        self._client = settings.oidc_client_id or ""
        secret = settings.oidc_client_secret
        self._secret = None if secret is None else secret.get_secret_value()
        self._scopes = " ".join(dict.fromkeys(("openid", *settings.oidc_scopes)))
        private = settings.oidc_private_issuer
        self._private = is_loopback(settings.host) if private is None else private
        self._resolve = resolve
        self._about: tuple[float, dict[str, Any]] | None = None
        self._failed: tuple[float, str] | None = None
        self._describing = asyncio.Lock()
        self._keys: tuple[float, dict[str, Any]] | None = None

    async def location(self, redirect_uri: str, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to sign in there.

        Raises:
            ProviderError: the provider cannot be asked where that is.
        """
        about = await self._described()
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = str(about["authorization_endpoint"])
        if not endpoint.startswith(("https://", "http://")):
            raise ProviderError("The identity provider names no usable address to sign in at.")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"

    async def claims(
        self, code: str, redirect_uri: str, *, nonce: str, verifier: str, issuer: str | None
    ) -> dict[str, Any]:
        """What the provider says about who came back with a code.

        Args:
            code: from the address that the browser came back to.
            redirect_uri: as it was in `location`.
            nonce: as it was there.
            verifier: as it was there.
            issuer: ``iss`` of the address, if it had one (RFC 9207).

        Raises:
            ProviderError: the provider failed, or what it says cannot be believed.
        """
        about = await self._described()
        if issuer is not None and issuer != self.issuer:
            raise ProviderError("The answer came from another identity provider than the one of this server.")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        methods = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if self._secret is not None and "client_secret_basic" in methods:
            pair = f"{quote_plus(self._client)}:{quote_plus(self._secret)}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self._client
            if self._secret is not None:
                form["client_secret"] = self._secret
        tokens = await self._ask(str(about["token_endpoint"]), form=form, headers=headers)
        claims = await self._verified(str(tokens.get("id_token", "")), nonce)
        userinfo, access = about.get("userinfo_endpoint"), tokens.get("access_token")
        if isinstance(userinfo, str) and isinstance(access, str):
            more = await self._ask(userinfo, headers={"authorization": f"Bearer {access}"})
            if more.get("sub") != claims["sub"]:
                raise ProviderError("The identity provider tells of two people in one sign-in.")
            claims = more | claims
        return claims

    async def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token whose signature, issuer, audience, times and nonce are right."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in ALGORITHMS:
                raise ProviderError(
                    f"The identity provider signs with {str(header.get('alg'))[:20]!r}, which is not taken."
                )
            key = await self._key(header.get("kid"), str(header["alg"]))
            claims: dict[str, Any] = await asyncio.to_thread(
                jwt.decode,
                token,
                key,
                algorithms=[header["alg"]],
                audience=self._client,
                issuer=self.issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise ProviderError(f"What the identity provider says cannot be believed: {error}.") from None
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ProviderError("What the identity provider says belongs to another sign-in. Begin anew.")
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._client:
            raise ProviderError("What the identity provider says is meant for another program.")
        if not isinstance(claims["sub"], str) or not 1 <= len(claims["sub"]) <= 255:
            raise ProviderError("The identity provider names nobody.")
        return claims

    async def _key(self, kid: object, algorithm: str) -> Any:
        """The provider's key of an id; its keys are fetched again for one that is new."""
        import jwt

        for fresh in (False, True):
            keys = await self._fetched_keys(renew=fresh)
            fitting = [
                each
                for each in keys.get("keys", [])
                if isinstance(each, dict)
                and (kid is None or each.get("kid") == kid)
                and each.get("use", "sig") == "sig"
                and each.get("alg", algorithm) == algorithm
                and each.get("kty") != "oct"
            ]
            if len(fitting) == 1 or (fitting and kid is not None):
                return jwt.PyJWK(fitting[0], algorithm=algorithm)
        raise ProviderError("The identity provider has no key for its own signature.")

    async def _fetched_keys(self, *, renew: bool) -> dict[str, Any]:
        now = time.monotonic()
        old = RENEW_SECONDS if renew else KEPT_SECONDS
        if self._keys is None or now - self._keys[0] > old:
            about = await self._described()
            self._keys = now, await self._ask(str(about["jwks_uri"]))
        return self._keys[1]

    async def _described(self) -> dict[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0), asked for once, whoever waits for it."""
        async with self._describing:
            now = time.monotonic()
            if self._about is not None and now - self._about[0] <= KEPT_SECONDS:
                return self._about[1]
            if self._failed is not None and now - self._failed[0] <= FAILED_SECONDS:
                raise ProviderError(self._failed[1])
            try:
                about = await self._ask(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
                self._check_description(about)
            except ProviderError as error:
                self._failed = time.monotonic(), error.message
                raise
            self._about = now, about
            return about

    def _check_description(self, about: dict[str, Any]) -> None:
        if about.get("issuer") != self.issuer:
            raise ProviderError(
                f"The identity provider calls itself {str(about.get('issuer'))[:200]!r}, "
                f"but the settings name {self.issuer!r} (MYNA_OIDC_ISSUER)."
            )
        if missing := {"authorization_endpoint", "token_endpoint", "jwks_uri"} - about.keys():
            raise ProviderError(f"The identity provider does not say its {', '.join(sorted(missing))}.")

    async def _ask(
        self, address: str, *, form: dict[str, str] | None = None, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A JSON object from the provider, resolved once to an address that was checked; no redirect is followed."""
        import httpx2  # heavy, and only needed where there is a provider

        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                url = httpx2.URL(address)
                target = (await resolve_target(url, private=self._private, resolve=self._resolve))[0]
                transport = httpx2.AsyncHTTPTransport(trust_env=False)
                async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=REQUEST_SECONDS) as client:
                    request = client.build_request(
                        "GET" if form is None else "POST",
                        target.pinned,
                        data=form,
                        headers={"accept": "application/json", **(headers or {}), "host": target.host_header},
                        extensions={"sni_hostname": target.host},
                    )
                    response = await client.send(request, stream=True)
                    body = bytearray()
                    async for block in response.aiter_bytes():
                        body += block
                        if len(body) > MAX_BYTES:
                            raise ProviderError("The identity provider says too much.")
                    await response.aclose()
            answer = httpx2.Response(response.status_code, content=bytes(body)).json()
        except TimeoutError:
            raise ProviderError("The identity provider does not answer. Try again later.") from None
        except TargetRefused as refused:
            raise ProviderError(
                f"The identity provider may not be asked at {address[:200]!r}: {refused} (MYNA_OIDC_PRIVATE_ISSUER)."
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise ProviderError(f"The identity provider cannot be asked ({type(error).__name__}).") from None
        if response.status_code != 200 or not isinstance(answer, dict):
            reason = answer.get("error") if isinstance(answer, dict) else None
            raise ProviderError(
                f"The identity provider refused ({response.status_code} {str(reason or '')[:100]}).".replace(" )", ")")
            )
        return answer
