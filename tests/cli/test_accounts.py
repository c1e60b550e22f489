"""``myna accounts``, on a data directory of its own."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from myna.cli import main
from myna.store import second_factors
from myna.store.database import opened
from myna.store.directory import LOCK
from tests.server.people import PASSWORD, quick_passwords


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MYNA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MYNA_API_KEY", raising=False)
    with quick_passwords():
        yield tmp_path / "data"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> object:
    def invoke(
        *arguments: str, piped: str = f"{PASSWORD}\n", stdin: io.StringIO | None = None
    ) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "stdin", stdin or io.StringIO(piped))
        with pytest.raises(SystemExit) as caught:
            main(["accounts", *arguments])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return invoke


def test_users_are_added_listed_and_deleted(run) -> None:  # type: ignore[no-untyped-def]
    assert run("list") == (0, "There are no accounts: whoever uses this machine uses Myna.\n", "")
    assert run("add", "Ann") == (0, "Added Ann, owner.\n", "")
    code, out, _ = run("add", "Ben", "--role", "admin", "--generate")
    assert code == 0
    assert out.startswith("Added Ben, admin.\nPassword: ")
    listed = run("list")[1].splitlines()
    assert [line.split(",")[0] for line in listed] == ["Ann  owner", "Ben  admin"]
    assert run("delete", "ben", "--yes") == (0, "Deleted Ben.\n", "")
    assert "Ben" not in run("list")[1]


def test_a_password_is_asked_for_twice_where_somebody_sits(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options))
        return PASSWORD

    monkeypatch.setattr("typer.prompt", prompt)
    assert run("add", "Ann", stdin=Terminal())[0] == 0
    assert asked == [("Password for Ann", {"hide_input": True, "confirmation_prompt": True, "err": True})]


def test_a_password_is_reset_and_signs_out(run, data: Path) -> None:  # type: ignore[no-untyped-def]
    run("add", "Ann")
    code, out, _ = run("reset-password", "ANN", "--generate")
    assert code == 0
    assert "Password: " in out
    assert PASSWORD not in out


@pytest.mark.parametrize(
    ("arguments", "piped", "code", "said"),
    [
        (["add", "Ann", "--role", "admin"], PASSWORD, 2, "The first user is an owner"),
        (["add", "An\x00n"], PASSWORD, 1, "A name has letters"),
        (["add", "Ann"], "short", 1, "A password has 10 to 256 characters"),
        (["reset-password", "Nobody"], PASSWORD, 1, "There is no user Nobody. Known: nobody."),
        (["delete", "Nobody"], "", 1, "There is no user Nobody"),
        (["add", "Ann", "--password", PASSWORD], "", 2, "--password"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments: list[str], piped: str, code: int, said: str) -> None:  # type: ignore[no-untyped-def]
    result = run(*arguments, piped=piped)
    assert result[0] == code
    assert said in result[2]
    assert result[1] == ""


def test_the_last_owner_stays_and_nobody_goes_unasked(run) -> None:  # type: ignore[no-untyped-def]
    run("add", "Ann")
    run("add", "Ben")
    assert "last owner" in run("delete", "Ann", "--yes")[2]
    code, _, err = run("delete", "Ben", piped="n\n")
    assert code == 1
    assert "for good?" in err
    assert "Ben" in run("list")[1]


def test_a_running_server_is_in_the_way(run, data: Path) -> None:  # type: ignore[no-untyped-def]
    run("list")
    with FileLock(data / LOCK):
        code, _, err = run("list")
    assert code == 1
    assert "Another Myna already uses the data directory" in err


def test_somebody_is_invited_from_the_terminal(run) -> None:  # type: ignore[no-untyped-def]
    assert "make the first one" in run("invite")[2]
    run("add", "Ann")
    code, out, _ = run("invite", "--role", "admin", "--days", "1", "--uses", "3")
    assert code == 0
    assert "/join#" in out


def test_a_lost_second_factor_is_reset(run, data: Path) -> None:  # type: ignore[no-untyped-def]
    async def set_up() -> None:
        async with opened(data) as database, database.write("local") as scope:
            await second_factors.begin(scope, "SECRET", 1)
            await second_factors.confirm(scope, 2, [])

    run("add", "Ann")
    assert "no second factor" in run("reset-second-factor", "ann")[2]
    asyncio.run(set_up())
    assert run("reset-second-factor", "ann")[0] == 0
    assert "no second factor" in run("reset-second-factor", "ann")[2]
