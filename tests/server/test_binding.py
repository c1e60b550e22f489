"""Where a server listens: a sentence for every address that will not do."""

from __future__ import annotations

import socket

import pytest

from myna.errors import ConfigurationError
from myna.server.binding import address_of, listen
from myna.settings import Settings


def settings_for(settings: Settings, host: str, port: int = 0) -> Settings:
    return settings.model_copy(update={"host": host, "port": port})


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:"), ("0.0.0.0", "http://127.0.0.1:")],
)
def test_it_listens_and_says_where(settings: Settings, host: str, address: str) -> None:
    chosen = settings_for(settings, host)
    with listen(chosen) as listener:
        port = listener.getsockname()[1]
        assert address_of(chosen, listener) == f"{address}{port}"
        socket.create_connection(("127.0.0.1", port)).close()


def test_an_address_of_version_6_is_written_with_brackets(settings: Settings) -> None:
    chosen = settings_for(settings, "::1")
    try:
        listener = listen(chosen)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert address_of(chosen, listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_taken_port_suggests_another(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} .* is taken.*--port") as caught:
            listen(settings_for(settings, "127.0.0.1", port))
    assert caught.value.param == "port"


@pytest.mark.parametrize(
    ("host", "said"), [("no-such-host.invalid", "not known"), ("192.0.2.1", "not an address of this")]
)
def test_a_host_that_is_not_ours_is_refused(settings: Settings, host: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        listen(settings_for(settings, host))
    assert caught.value.param == "host"
