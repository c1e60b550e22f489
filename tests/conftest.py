"""Fixtures for all tests: models, and a real server with the real default model."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import postgres
from tests.model_fixtures import default_model, tiny_model
from tests.processes import Server, environment, serving

__all__ = ["default_model", "tiny_model"]


settings.register_profile(
    "explore",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    print_blob=True,
)
settings.register_profile("same", settings.get_profile("explore"), derandomize=True, database=None)
settings.load_profile("same")
"""Every run tries the same inputs, at its own speed: a red run is the change's doing. New ones are looked for with
``--hypothesis-profile=explore``."""


def pytest_configure() -> None:
    """A shell's background jobs, and all that they start, ignore Ctrl-C; the tests of it do not wish to."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def env(tmp_path: Path, default_model: Path) -> dict[str, str]:
    """Environment of a command that has a data directory of its own and finds the default model on disk."""
    return environment(tmp_path / "data")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, default_model: Path) -> Iterator[Server]:
    """A ``myna serve`` for tests that leave it as they found it."""
    with serving("--no-browser", env=environment(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.PostgreSQL]:
    """A PostgreSQL server for all tests; where none is installed they are skipped."""
    with postgres.serving() as server:
        yield server
