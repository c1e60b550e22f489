"""Where a server listens. Imports little: a taken port is told before anything slow begins."""

from __future__ import annotations

import errno
import ipaddress
import socket

from myna.errors import ConfigurationError
from myna.server.limits import CONNECTION_BACKLOG
from myna.settings import Settings

SHORTEST_KEY = 16


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own and cannot be reached from another."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:127.0.0.1 is IPv4's loopback
    return bool(address.is_loopback or (mapped is not None and mapped.is_loopback))


def check_binding(settings: Settings) -> None:
    """Refuse to start with a key that can be guessed.

    Raises:
        ConfigurationError: the key is too short.
    """
    key = settings.api_key
    if key is not None and len(key.get_secret_value()) < SHORTEST_KEY:
        raise ConfigurationError(
            f"The API key is too short: use at least {SHORTEST_KEY} random characters in MYNA_API_KEY.", param="api_key"
        )


def listen(settings: Settings) -> socket.socket:
    """The bound socket, before anything slow has begun.

    Raises:
        ConfigurationError: the port is taken or not allowed, or the host is not of this machine.
    """
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )[0]
        return socket.create_server(address[:2], family=family, backlog=CONNECTION_BACKLOG)
    except socket.gaierror:
        raise ConfigurationError(
            f"Host {host} is not known; use an address of this machine such as 127.0.0.1.", param="host"
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"Port {port} on {host} is taken, perhaps by a Myna that runs already. Choose another with "
                f"--port {port + 1 if port < 65535 else port - 1}, or let the system choose one with --port 0.",
                param="port",
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigurationError(
                f"Host {host} is not an address of this machine; leave out --host to use 127.0.0.1.", param="host"
            ) from None
        if error.errno == errno.EACCES:
            raise ConfigurationError(
                f"Port {port} may not be used by this user; choose one above 1023 with --port.", param="port"
            ) from None
        raise ConfigurationError(f"Port {port} on {host} cannot be used: {error.strerror}.", param="port") from None


def address_of(settings: Settings, listener: socket.socket) -> str:
    """What to type into a browser."""
    port = listener.getsockname()[1]
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
