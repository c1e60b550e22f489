"""The engine's process from outside: what it is given, where it listens, and when it ends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from myna.backends.process import EngineProcess
from myna.engine.messages import EngineMessage, FrameReader, Hello, LoadFailed, Ready, Start, frame
from myna.engine.options import EngineOptions
from tests.patience import WAIT_SECONDS

PARENT = """
import sys
from myna.backends.process import EngineProcess
from myna.engine.options import EngineOptions
process = EngineProcess(EngineOptions(name="tiny", path=sys.argv[1]))
print(process.id, process.address(), flush=True)
sys.stdin.read()
"""


def options(path: Path) -> EngineOptions:
    return EngineOptions(name="tiny", path=str(path), threads=1, kv_cache_bytes=1 << 20)


@contextmanager
def started(path: Path, transport: str = "unix") -> Iterator[EngineProcess]:
    process = EngineProcess(options(path), transport)
    try:
        yield process
    finally:
        process.end()


def hear(process: EngineProcess) -> EngineMessage:
    """Connect, and the first message from the engine."""
    address = process.address()
    family, where = (socket.AF_UNIX, address) if isinstance(address, str) else (socket.AF_INET, ("127.0.0.1", address))
    with socket.socket(family) as connection:
        connection.settimeout(WAIT_SECONDS)
        connection.connect(where)
        connection.sendall(frame(Hello(process.secret)))
        reader = FrameReader()
        while True:
            data = connection.recv(1 << 16)
            assert data, "the engine closed the connection"
            for payload in reader.feed(data):
                message: EngineMessage = msgspec.msgpack.decode(payload, type=EngineMessage)
                return message


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_it_loads_and_says_what(tiny_model: Path, transport: str) -> None:
    with started(tiny_model, transport) as process:
        ready = hear(process)
    assert isinstance(ready, Ready)
    assert ready.description["name"] == "tiny"
    assert ready.description["process_id"] == process.id
    assert ready.description["kv_cache_tokens"] > 0


def test_where_no_unix_socket_can_be_made_it_listens_on_loopback(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    with started(tiny_model) as process:
        assert isinstance(process.address(), int)
        assert isinstance(hear(process), Ready)
    assert list(long.iterdir()) == []


def test_only_the_owner_reaches_the_socket_and_nothing_is_left_of_it(tiny_model: Path) -> None:
    with started(tiny_model) as process:
        path = Path(str(process.address()))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not path.parent.exists()
    with started(tiny_model) as process:
        path = Path(str(process.address()))
        os.kill(process.id, signal.SIGKILL)
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", "ModelFileError"), (b"GGUF" + b"\xff" * 100, "ModelFileError"), (None, "ModelFileError")],
)
def test_a_model_that_cannot_be_loaded_is_a_typed_error(tmp_path: Path, content: bytes | None, error: str) -> None:
    path = tmp_path / "broken.gguf"
    if content is not None:
        path.write_bytes(content)
    with started(path) as process:
        failed = hear(process)
        assert isinstance(failed, LoadFailed)
        assert failed.error == error
        assert "broken.gguf" in failed.message
        assert hear(process) == failed, "whoever comes later hears it too"


def test_it_does_not_outlive_a_parent_that_was_killed(tiny_model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tiny_model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        identity, address = parent.stdout.readline().split()
        worker = psutil.Process(int(identity))
        parent.send_signal(signal.SIGKILL)
        worker.wait(WAIT_SECONDS)
    assert not Path(address).exists()


@pytest.mark.parametrize("whole", [False, True])
def test_a_parent_that_is_gone_before_it_listens_is_no_error(tmp_path: Path, whole: bool) -> None:
    given = frame(Start(options(tmp_path / "none.gguf"), b"secret", "unix"))
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "myna.engine.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    with worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdout.close()
        worker.stdin.write(given if whole else given[:-1])
        worker.stdin.close()
        assert worker.stderr.read() == b""
        assert worker.wait(WAIT_SECONDS) == 0
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_is_left_to_the_parent(tiny_model: Path) -> None:
    with started(tiny_model) as process:
        os.kill(process.id, signal.SIGINT)  # as early as it can come
        assert isinstance(hear(process), Ready)
        os.kill(process.id, signal.SIGINT)
        assert isinstance(hear(process), Ready)


def test_it_ends_while_it_loads(tiny_model: Path) -> None:
    process = EngineProcess(options(tiny_model))
    process.end()
    assert not psutil.pid_exists(process.id)
    process.end()


def test_what_the_parent_gave_is_not_inherited_by_a_second_engine(tiny_model: Path) -> None:
    """Else the first would not notice its parent's end as long as the second lives."""
    with started(tiny_model) as first, started(tiny_model) as second:
        hear(first)
        hear(second)
        first.end()
        assert isinstance(hear(second), Ready)
