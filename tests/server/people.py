"""The whole application with accounts: people who are signed in, and programs with their keys."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from myna.errors import NotFound
from myna.server.accounts import Accounts, passwords
from myna.server.app import create_app
from myna.settings import Settings
from myna.store.upgrade import upgrade
from tests.server import scripted
from tests.server.scripted import MODEL, ScriptedBackend

PASSWORD = "correct horse battery"
ORIGIN = "http://127.0.0.1:8642"


@contextmanager
def quick_passwords() -> Iterator[None]:
    """argon2 with its least parameters, for tests that are not about it."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_hasher", lambda: cheap)
        passwords._nobodys.cache_clear()
        yield
    passwords._nobodys.cache_clear()


class ScriptedModels(scripted.ScriptedModels):
    """The manager as the whole application needs it."""

    closed = False
    budget = 0

    async def close(self) -> None:
        self.closed = True

    async def statistics(self) -> dict[str, dict[str, float]]:
        return {}

    def loaded(self) -> list[Any]:
        return []

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        return lambda: None


class ScriptedHub:
    """One model, which is on the disk; deleting it is noted."""

    directory = Path("/models")

    def __init__(self) -> None:
        self.removed: list[str] = []

    def resolve(self, name: str) -> SimpleNamespace:
        if name != MODEL:
            raise NotFound(f"There is no model {name!r}.", param="model")
        return SimpleNamespace(name=MODEL, kind="catalog", entry=None)

    def find(self, name: str) -> Path | None:
        return Path("/models/scripted.gguf")

    def size(self, name: str) -> int:
        return 1

    def local(self) -> list[Any]:
        return []

    def pull(self, name: str, progress: Callable[[Any], None]) -> Path:
        raise AssertionError("it is there")


@dataclass
class Person:
    """A browser or a program: what it sends carries its credentials."""

    app: FastAPI
    http: httpx2.AsyncClient
    id: str = ""

    async def call(self, method: str, path: str, body: Any = None, expect: int | None = None, **options: Any) -> Any:
        """A request as the page makes it; the body of the answer, which must have the status."""
        if method not in ("GET", "HEAD") and "content" not in options and "files" not in options:
            options["json"] = {} if body is None else body
        response = await self.http.request(method, path, **options)
        if expect is not None:
            assert response.status_code == expect, f"{method} {path}: {response.status_code} {response.text}"
        is_json = response.content and response.headers.get("content-type") == "application/json"
        return response.json() if is_json else response

    async def status(self, method: str, path: str, body: Any = None, **options: Any) -> int:
        if method not in ("GET", "HEAD"):
            options["json"] = {} if body is None else body
        return (await self.http.request(method, path, **options)).status_code


@dataclass
class House:
    """A running application and everybody who uses it."""

    app: FastAPI
    backend: ScriptedBackend = field(repr=False)
    models: ScriptedModels
    stack: AsyncExitStack
    addresses: itertools.count[int] = field(default_factory=lambda: itertools.count(2))

    @property
    def accounts(self) -> Accounts:
        accounts: Accounts = self.app.state.accounts
        return accounts

    async def stranger(self, address: str | None = None, **headers: str) -> Person:
        """Somebody at an address of his own, without credentials."""
        client = address or f"10.0.0.{next(self.addresses)}"
        transport = httpx2.ASGITransport(self.app, client=(client, 50000))
        http = httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN, **headers})
        return Person(self.app, await self.stack.enter_async_context(http))

    async def first(self, name: str = "Ann") -> Person:
        """The one who makes the first account."""
        person = await self.stranger()
        body = {"name": name, "password": PASSWORD}
        if (token := self.accounts.setup_token) is not None:
            body["token"] = token
        person.id = (await person.call("POST", "/api/setup", body, 200))["user"]["id"]
        return person

    async def sign_in(self, name: str, password: str = PASSWORD) -> Person:
        person = await self.stranger()
        body = {"name": name, "password": password}
        person.id = (await person.call("POST", "/api/session", body, 200))["user"]["id"]
        return person

    async def invite(self, by: Person, name: str, role: str = "member") -> Person:
        """Somebody for whom another makes an account, signed in."""
        await by.call("POST", "/api/users", {"name": name, "role": role, "password": PASSWORD}, 201)
        return await self.sign_in(name)

    async def key_of(self, person: Person, permission: str = "all", **values: Any) -> Person:
        """A program with a new key of somebody."""
        body = {"name": "script", "permission": permission, **values}
        made = await person.call("POST", "/api/account/keys", body, 201)
        program = await self.program(made["secret"])
        program.id = made["id"]
        return program

    async def program(self, secret: str) -> Person:
        return await self.stranger(authorization=f"Bearer {secret}")


@cache
def empty_database() -> bytes:
    """A database of the newest schema, made once: that takes longer than most tests."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "myna.db"
        upgrade(path)
        return path.read_bytes()


@asynccontextmanager
async def house(settings: Settings) -> AsyncIterator[House]:
    """The application on a data directory, as often as a test wants to start it."""
    if not (file := settings.data_dir / "myna.db").exists():
        file.write_bytes(empty_database())
    backend = ScriptedBackend()
    models = ScriptedModels(backend)
    app = create_app(settings, models, ScriptedHub(), static=settings.data_dir / "static")  # type: ignore[arg-type]
    async with app.router.lifespan_context(app), AsyncExitStack() as stack:
        stop_waits(app.state.accounts)
        yield House(app, backend, models, stack)


def stop_waits(accounts: Accounts) -> None:
    """Let no time pass for who has to wait between attempts: how many are allowed is then no question of speed."""
    for limited in (
        accounts.by_address,
        accounts.by_name,
        accounts.by_code,
        accounts.ceremonies,
        accounts.sign_ups,
        accounts._deeds,
    ):
        limited._clock = lambda: 0.0  # type: ignore[method-assign]
