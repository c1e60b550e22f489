"""``myna audit``: what `myna accounts` did, told where no server runs."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from myna.cli import main
from tests.server.people import PASSWORD, quick_passwords


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[object, str]]:
    monkeypatch.setenv("MYNA_DATA_DIR", str(tmp_path))

    def invoke(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
        with quick_passwords(), pytest.raises(SystemExit) as caught:
            main([*arguments])
        return caught.value.code, capsys.readouterr().out

    return invoke


def test_a_directory_without_data_is_named_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., tuple[object, str]]
) -> None:
    assert run("audit")[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_it_tells_what_was_done_the_newest_first(run: Callable[..., tuple[object, str]]) -> None:
    for arguments in (("add", "Ann"), ("add", "Ben"), ("reset-password", "Ben"), ("delete", "Ben", "--yes")):
        assert run("accounts", *arguments)[0] == 0
    code, out = run("audit", "--json", "--limit", "0")
    told = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [(each["action"], each["actor_name"]) for each in told] == [
        ("user.delete", "myna accounts"),
        ("user.reset_password", "myna accounts"),
        ("user.create", "myna accounts"),
        ("user.create", "Ann"),
    ]
    assert {each["address"] for each in told} == {"terminal"}
    assert PASSWORD not in out
    (line,) = run("audit", "--action", "user.create", "--text", "Ben")[1].splitlines()
    assert "user.create" in line
    assert "'myna accounts'" in line
    assert len(run("audit", "-n", "1")[1].splitlines()) == 1
