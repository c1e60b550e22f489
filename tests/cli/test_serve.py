"""``myna serve`` as a process: what it says, what it refuses, how it ends."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import socket
import stat
import subprocess
from pathlib import Path

import httpx2
import pytest

from myna.cli.serve import named_paths
from myna.errors import ConfigurationError
from tests.patience import WAIT_SECONDS
from tests.processes import MYNA, environment, myna, serving


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_every_process(env: dict[str, str], number: int) -> None:
    with serving("--no-browser", env=env) as server:
        assert httpx2.get(f"{server.url}/healthz", timeout=WAIT_SECONDS).status_code == 200
        assert len(server.processes) == 2
        assert server.stop(number) == 0
    assert "Traceback" not in "".join(server.said)


def test_it_says_what_runs(env: dict[str, str]) -> None:
    with serving("--no-browser", env=env) as server:
        if "KV cache" not in "".join(server.said):
            server.wait_for("(KV cache)")  # a model that loads for long is announced by itself
        said = "".join(server.said)
        assert "smollm2:135m" in said
        assert "kernels" in said
        assert env["MYNA_DATA_DIR"] in said
        assert "Ctrl-C" in said
        assert stat.S_IMODE(Path(env["MYNA_DATA_DIR"]).stat().st_mode) & 0o077 == 0


def test_adapters_are_named_directories() -> None:
    assert named_paths(None) is None
    assert named_paths(["a=/x", "b=y=z"]) == {"a": Path("/x"), "b": Path("y=z")}
    for text in ("a", "=x", "a="):
        with pytest.raises(ConfigurationError, match=f"--adapter {text} is not of the form NAME=DIR"):
            named_paths([text])


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
        with httpx2.Client(base_url=server.url, timeout=WAIT_SECONDS) as http:
            assert http.get("/v1/models").status_code == 401
            assert http.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert key not in "".join(server.said)


def test_beyond_this_machine_the_terminal_tells_how_to_make_the_first_account(env: dict[str, str]) -> None:
    password = "correct horse battery"
    with serving("--no-browser", "--host", "0.0.0.0", env=env) as server:
        (said,) = [line for line in server.said if "#setup=" in line]
        address, token = said.split()[2].split("/#setup=")
        assert address == server.url
        assert httpx2.get(f"{server.url}/v1/models", timeout=WAIT_SECONDS).status_code == 401
        account = {"name": "Ann", "password": password, "token": token}
        made = httpx2.post(f"{server.url}/api/setup", json=account, timeout=WAIT_SECONDS)
        assert made.json()["user"] == {"id": "local", "name": "Ann", "role": "owner"}
    with serving("--no-browser", "--host", "0.0.0.0", env=env) as server:
        assert not any("#setup=" in line for line in server.said)
        entered = {"name": "ann", "password": password}
        assert httpx2.post(f"{server.url}/api/session", json=entered, timeout=WAIT_SECONDS).status_code == 200
        used = myna("accounts", "list", env=env)
        assert used.returncode == 1
        assert "already uses the data directory" in used.stderr
    assert myna("accounts", "list", env=env).stdout.startswith("Ann  owner, since ")


def test_the_browser_is_opened_where_somebody_sits(env: dict[str, str], tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    seated = {name: value for name, value in env.items() if name not in ("CI", "SSH_CONNECTION")}
    outer, inner = pty.openpty()
    command = [*MYNA, "serve", "--port", "0"]
    variables = seated | {"DISPLAY": ":0", "BROWSER": f"{browser} %s"}
    with subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=inner, stderr=inner) as process:
        os.close(inner)
        shown = b""
        while b"Ctrl-C" not in shown:
            shown += os.read(outer, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_SECONDS) == 0
    with contextlib.suppress(OSError):  # what Linux says at a terminal's end
        while rest := os.read(outer, 65536):
            shown += rest
    os.close(outer)
    assert shown.endswith(b"\r\n\r\n\r\n"), "the shell's prompt would stand behind ^C"
    assert opened.read_text().strip() in shown.decode()
    assert opened.read_text().startswith("http://127.0.0.1:")
