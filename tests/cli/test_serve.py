"""``myna serve`` as a process: what it says, what it refuses, how it ends."""

from __future__ import annotations

import signal
import socket
import stat
from pathlib import Path

import httpx2
import pytest

from tests.processes import environment, myna, serving


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_every_process(env: dict[str, str], number: int) -> None:
    with serving("--no-browser", env=env) as server:
        assert httpx2.get(f"{server.url}/healthz").status_code == 200
        assert len(server.processes) == 2
        assert server.stop(number) == 0
    assert "Traceback" not in "".join(server.said)


def test_it_says_what_runs(env: dict[str, str]) -> None:
    with serving("--no-browser", env=env) as server:
        said = "".join(server.said)
        assert "smollm2:135m" in said
        assert "kernels" in said
        assert "KV cache" in said
        assert env["MYNA_DATA_DIR"] in said
        assert "Ctrl-C" in said
        assert stat.S_IMODE(Path(env["MYNA_DATA_DIR"]).stat().st_mode) & 0o077 == 0


def test_a_taken_port_is_one_sentence_with_another(env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = myna("serve", "--port", str(port), env=env)
    assert result.returncode == 1
    assert f"Port {port} on 127.0.0.1 is taken" in result.stderr
    assert f"--port {port + 1}" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_directory_that_cannot_be_used_is_one_sentence(tmp_path: Path, default_model: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    result = myna("serve", "--port", "0", env=environment(blocked / "data"))
    assert result.returncode == 1
    assert str(blocked) in result.stderr
    assert "Traceback" not in result.stderr


def test_two_servers_do_not_share_a_data_directory(env: dict[str, str]) -> None:
    with serving("--no-browser", env=env):
        result = myna("serve", "--port", "0", env=env)
    assert result.returncode == 1
    assert env["MYNA_DATA_DIR"] in result.stderr
    assert "Traceback" not in result.stderr


def test_a_key_guards_the_api(env: dict[str, str]) -> None:
    key = "0123456789abcdef"
    with serving("--no-browser", env=env | {"MYNA_API_KEY": key}) as server:
        assert httpx2.get(f"{server.url}/v1/models").status_code == 401
        assert httpx2.get(f"{server.url}/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert key not in "".join(server.said)
