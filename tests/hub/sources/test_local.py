from __future__ import annotations

from pathlib import Path

import pytest

from myna.errors import NotFound
from myna.hub.sources.local import is_local, local_model


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("base", "delta", "odd+name"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("base", "base"),
        ("./odd+name", "odd+name"),
        ("base+delta", "base+{}/delta"),
        ("./base+./odd+name", "base+{}/odd+name"),
    ],
)
def test_a_directory_or_two_that_are_to_be_added(directories: Path, name: str, path: str) -> None:
    assert is_local(name)
    assert local_model(name) == directories / path.format(directories)


@pytest.mark.parametrize("name", ["base+", "+delta", "base+elsewhere", "./elsewhere+delta", "x" * 5000, "\0+base"])
def test_what_is_not_there_is_not_found(directories: Path, name: str) -> None:
    assert not is_local(name)
    with pytest.raises(NotFound):
        local_model(name)
