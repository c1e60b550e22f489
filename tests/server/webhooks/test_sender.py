"""One sending: to the address that was checked, in the name that was asked for, and no further."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from myna.server.webhooks import sender as module
from myna.server.webhooks.sender import Sender, SendFailed
from myna.server.webhooks.signing import new_secret
from myna.store.webhooks import Endpoint
from tests.server.webhooks.receiver import listening, receiving

NAME = "hooks.example"


def endpoint(url: str) -> Endpoint:
    return Endpoint("we_1", "mine", url, ("batch.failed",), new_secret(), None, None, True, 1, 1)


def sender(*addresses: str) -> Sender:
    async def resolve(host: str, port: int) -> list[str]:
        assert host == NAME
        return list(addresses)

    return Sender(private=True, resolve=resolve)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and its certificate for ``hooks.example``, in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    key = path.with_suffix(".key")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={NAME} -addext subjectAltName=DNS:{NAME} -keyout {key} -out {path}"
    )
    try:
        subprocess.run(command.split(), check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


async def test_the_name_is_what_the_certificate_is_checked_for(certificate: Path) -> None:
    names: list[str | None] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, _: names.append(name)  # type: ignore[assignment]
    async with receiving(tls=context) as receiver:
        sends = sender("127.0.0.1")
        url = f"https://{NAME}:{receiver.port}/hook"
        with pytest.raises(SendFailed, match="could not be reached"):  # signed by nobody who is trusted
            await sends.send(endpoint(url), "wh_1", b"{}", private=True)
        sends._tls = ssl.create_default_context(cafile=str(certificate))
        assert await sends.send(endpoint(url), "wh_1", b"{}", private=True) == 200
        assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"
        assert names == [NAME, NAME]
        with pytest.raises(SendFailed, match="could not be reached"):  # the certificate is another's
            await sends.send(endpoint(f"https://127.0.0.1:{receiver.port}/hook"), "wh_1", b"{}", private=True)
    assert len(receiver.received) == 1


async def test_the_next_address_is_tried_where_nobody_answers() -> None:
    async with receiving() as receiver:
        assert (
            await sender("127.0.0.2", "127.0.0.1").send(
                endpoint(f"http://{NAME}:{receiver.port}/"), "wh_1", b"{}", private=True
            )
            == 200
        )
    assert receiver.received[0].headers["host"] == f"{NAME}:{receiver.port}"


async def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as receiver, receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await sender().send(endpoint(receiver.url), "wh_1", b"{}", private=True) == 200
    assert len(receiver.received) == 1
    assert proxy.received == []


async def test_an_endless_answer_is_not_waited_for() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 65536)  # and nothing that ends it
        await reader.read()

    async with listening(endless) as port:
        assert await sender().send(endpoint(f"http://127.0.0.1:{port}/"), "wh_1", b"{}", private=True) == 200


async def test_who_says_nothing_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    async with receiving() as receiver:
        receiver.gate = asyncio.Event()
        with pytest.raises(SendFailed, match="did not answer"):
            await sender().send(endpoint(receiver.url), "wh_1", b"{}", private=True)
