"""``myna doctor``: what is here, and what stands in the way."""

from __future__ import annotations

import json
from pathlib import Path

from myna.cli.doctor import Check, _disk, _packed
from tests.processes import environment, myna


def test_it_names_the_machine(env: dict[str, str]) -> None:
    result = myna("doctor", "--json", env=env)
    assert result.returncode == 0, result.stderr
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert "generic" in checks["instruction sets"]["data"]
    assert 0 < checks["memory"]["data"]["available"] <= checks["memory"]["data"]["total"]
    assert checks["memory speed"]["data"] > 1e8
    assert checks["default model"]["data"]["path"]
    assert checks["source"]["data"]["label"]
    assert "fastapi" in checks["packages"]["data"]


def test_a_data_directory_that_cannot_be_written_is_a_problem(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    result = myna("doctor", env=environment(blocked / "data"))
    assert result.returncode == 1
    assert "! data directory" in result.stdout
    assert "--data-dir" in result.stdout


def test_a_data_directory_that_will_be_made_is_none(tmp_path: Path) -> None:
    check = _disk(tmp_path / "to" / "be" / "made")
    assert isinstance(check, Check)
    assert check.problem is None
    assert list(tmp_path.iterdir()) == []


def test_packed_weights_are_counted_where_there_are_any(tmp_path: Path) -> None:
    assert _packed(tmp_path / "packed") == []
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "a.packed").write_bytes(bytes(2000))
    [check] = _packed(tmp_path / "packed")
    assert check.value == f"2 kB in {tmp_path / 'packed'}"
