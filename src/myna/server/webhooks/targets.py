"""Where a webhook may be sent, so that nobody can have this server call what he cannot reach himself.

A URL is parsed once, by the HTTP client's own parser; its host is resolved once, every address is checked, and the
connection goes to an address that was checked. Whatever a name resolves to a moment later does not matter.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from myna.errors import InvalidParameter
from myna.server.errors import excerpt

if TYPE_CHECKING:
    import httpx2

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From host name and port to addresses; raises OSError."""

MAX_URL_LENGTH = 2048

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9_]([A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7")
)
_METADATA = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("fd20:ce::254")})
"""Where clouds tell a machine its credentials; IPv4's is link-local, which is refused anyway."""


class TargetRefused(Exception):
    """A URL leads where nothing is sent to. The message says why, in a clause."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was checked, and the name by which what is there must show itself."""

    url: httpx2.URL
    host: str
    address: Address

    @property
    def pinned(self) -> httpx2.URL:
        """The URL with the address in place of the name."""
        return self.url.copy_with(host=str(self.address))

    @property
    def host_header(self) -> str:
        """The name, and the port if it is unusual."""
        return self.url.netloc.decode("ascii")


def parse_target(text: str, *, private: bool) -> httpx2.URL:
    """A URL that webhooks may be sent to, as far as can be said without resolving its name.

    Args:
        text: the URL.
        private: whether it may lie in a private network or on this machine; then it may also be plain ``http``.

    Raises:
        InvalidParameter: no; the message says why.
    """
    import httpx2  # heavy, and only needed where there are webhooks

    if len(text) > MAX_URL_LENGTH:
        raise InvalidParameter(f"The URL is longer than {MAX_URL_LENGTH} characters.", param="url")
    try:
        url = httpx2.URL(text)
        host = url.raw_host.decode("ascii")
        address = _literal(host)
        check_url(url, private=private)
        if address is not None:
            check_address(address, url.scheme, private=private)
        elif not _NAME.fullmatch(host):
            raise TargetRefused("its host is no name and no address")
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise InvalidParameter(f"{excerpt(text, 200)} is not a URL: {error}.", param="url") from None
    except TargetRefused as refused:
        raise InvalidParameter(f"Webhooks cannot be sent to {excerpt(text, 200)}: {refused}.", param="url") from None
    return url


def check_url(url: httpx2.URL, *, private: bool) -> None:
    """Whether scheme, port and the rest will do.

    Raises:
        TargetRefused: no.
    """
    if url.scheme != "https" and not (private and url.scheme == "http"):
        raise TargetRefused("it must begin with https://")
    if url.userinfo:
        raise TargetRefused("it holds a name or password")
    if url.fragment:
        raise TargetRefused("it has a fragment, which is never sent")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise TargetRefused(f"{url.port} is no port")


def check_address(address: Address, scheme: str, *, private: bool) -> None:
    """Whether anything is sent to an address; what it may stand for in IPv4 is checked as well.

    Raises:
        TargetRefused: no.
    """
    meant = [address, *_embedded(address)]
    if all(each.is_global and not each.is_multicast for each in meant):
        if scheme != "https":
            raise TargetRefused("outside private networks it must begin with https://")
        return
    if not private:
        raise TargetRefused("its address is not a public one")
    inner = meant[-1]
    if inner in _METADATA or not any(inner in network for network in _PRIVATE_NETWORKS):
        raise TargetRefused("its address is neither a public nor a private one")


async def resolve_target(url: httpx2.URL, *, private: bool, resolve: Resolve) -> list[Target]:
    """The addresses behind a URL, all of which are checked.

    Args:
        url: from `parse_target`.
        private: as there.
        resolve: asked once.

    Raises:
        TargetRefused: one of them is not to be called, or there is none.
    """
    check_url(url, private=private)
    host = url.raw_host.decode("ascii")
    literal = _literal(host)
    if literal is not None:
        addresses: list[Address] = [literal]
    else:
        try:
            found = await resolve(host, url.port or (443 if url.scheme == "https" else 80))
        except (OSError, UnicodeError):
            raise TargetRefused("its name cannot be resolved") from None
        addresses = [ipaddress.ip_address(each) for each in dict.fromkeys(found)]
    if not addresses:
        raise TargetRefused("its name has no address")
    for address in addresses:
        check_address(address, url.scheme, private=private)
    return [Target(url, host, address) for address in addresses]


async def resolve_name(host: str, port: int) -> list[str]:
    """Addresses of a name, from the system."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A link-local address comes with its interface; without, it is still one, and refused.
    return [str(sockaddr[0]).partition("%")[0] for *_, sockaddr in found]


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    found = [each for each in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if each is not None]
    if address in _NAT64:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return found
