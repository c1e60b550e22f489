"""``myna backup``, ``restore``, ``move-data`` and ``doctor --data``, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.postgres import PostgreSQL
from tests.processes import environment, myna
from tests.store.test_backup import fill, titles


def test_backup_and_restore(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    refused = myna("backup", env=env)
    assert refused.returncode == 1
    assert "nothing to back up" in refused.stderr

    fill(tmp_path / "data")
    checked = myna("doctor", "--data", "--json", env=env)
    findings = {finding["name"]: finding for finding in json.loads(checked.stdout)}
    assert checked.returncode == 1
    assert [name for name, finding in findings.items() if finding["problem"]] == ["last backup"]
    assert findings["chats"]["value"] == "1 with 1 messages"

    for _ in range(2):
        done = myna("backup", str(tmp_path), "--keep", "1", env=env)
        assert done.returncode == 0, done.stderr
        assert "with 1 files" in done.stdout
        [archive] = tmp_path.glob("myna-*.zip")
        archive = archive.rename(tmp_path / "mine.zip")
    assert myna("doctor", "--data", env=env).returncode == 1  # the last one is not where it was made

    refused = myna("restore", str(archive), env=env)
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    done = myna("restore", str(archive), "--replace", env=env)
    assert done.returncode == 0, done.stderr
    assert "What was there before is in" in done.stdout
    assert titles(tmp_path / "data") == ["Kept"]


def test_move_data(tmp_path: Path, postgresql: PostgreSQL) -> None:
    fill(tmp_path / "data")
    url = postgresql.create()
    done = myna("move-data", "--to", url, env=environment(tmp_path / "data"))
    assert done.returncode == 0, done.stderr
    assert "Set database_url" in done.stdout
    assert titles(tmp_path / "data", url) == ["Kept"]
    again = myna("move-data", "--to", url, env=environment(tmp_path / "data"))
    assert again.returncode == 1
    assert "not empty" in again.stderr
