"""Sends one event to one endpoint, once."""

from __future__ import annotations

import asyncio
import ssl
import time

import myna
from myna.server.webhooks.signing import signed_headers
from myna.server.webhooks.targets import Resolve, Target, TargetRefused, resolve_name, resolve_target
from myna.store.webhooks import Endpoint

SEND_SECONDS = 15
"""For resolving, connecting, sending, and the first line of an answer; the rest of it is not read."""
MAX_ADDRESSES = 4
"""Of one name that are tried in turn."""


class SendFailed(Exception):
    """Nothing arrived, as far as can be told. The message says why, in a clause."""


class Sender:
    """Sends events to where they may be sent.

    Args:
        private: whether this server sends to private networks at all; an endpoint, and whose it is, must be allowed it
            as well.
        resolve: asked for the addresses of names.
    """

    def __init__(self, *, private: bool, resolve: Resolve = resolve_name) -> None:
        self.private = private
        self._resolve = resolve
        self._tls: ssl.SSLContext | None = None

    async def send(self, endpoint: Endpoint, webhook_id: str, body: bytes, *, private: bool) -> int:
        """The status that the endpoint answers with; a redirect is not followed.

        Args:
            endpoint: where to send.
            webhook_id: of the delivery.
            body: what to send.
            private: whether its owner may have events sent into private networks now.

        Raises:
            SendFailed: there was no answer, or nothing may be sent there.
        """
        import httpx2  # heavy, and only needed where there are webhooks

        now = time.time()
        keys = [endpoint.secret]
        if endpoint.old_secret is not None and now * 1000 < (endpoint.old_secret_until or 0):
            keys.append(endpoint.old_secret)
        headers = {
            "content-type": "application/json",
            "user-agent": f"Myna/{myna.__version__}",
            **signed_headers(webhook_id, int(now), body, keys),
        }
        try:
            async with asyncio.timeout(SEND_SECONDS):
                url = httpx2.URL(endpoint.url)
                targets = await resolve_target(
                    url, private=self.private and endpoint.private and private, resolve=self._resolve
                )
                return await self._post(targets[:MAX_ADDRESSES], headers, body)
        except TimeoutError:
            raise SendFailed(f"it did not answer within {SEND_SECONDS} seconds") from None
        except TargetRefused as refused:
            raise SendFailed(str(refused)) from None
        except httpx2.HTTPError as error:
            raise SendFailed(f"it could not be reached ({type(error).__name__})") from None

    async def _post(self, targets: list[Target], headers: dict[str, str], body: bytes) -> int:
        import httpx2

        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx2.create_ssl_context)
        # A client for each: cookies and connections of one endpoint, found by address, must not serve another.
        transport = httpx2.AsyncHTTPTransport(verify=self._tls, trust_env=False)
        async with httpx2.AsyncClient(transport=transport, trust_env=False, timeout=SEND_SECONDS) as client:
            for target in targets:
                request = client.build_request(
                    "POST",
                    target.pinned,
                    content=body,
                    headers={**headers, "host": target.host_header},
                    extensions={"sni_hostname": target.host},
                )
                try:
                    response = await client.send(request, stream=True)
                except httpx2.ConnectError:
                    if target is targets[-1]:
                        raise
                    continue
                await response.aclose()
                return response.status_code
        raise AssertionError("there is always a target")
