"""What `myna convert` says and leaves behind; what it writes is tested in tests/models/convert."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from myna.cli import app
from myna.cli.convert import convert_model
from myna.errors import ConfigurationError
from tests.synthetic import write_model


def test_a_directory_that_came_meanwhile_is_kept_and_nothing_called_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = write_model(tmp_path / "source.gguf", layers=1), tmp_path / "target"

    def another_was_quicker(plan: object, draft: Path) -> None:
        target.mkdir()
        (target / "precious").touch()

    monkeypatch.setattr(sys.modules[convert_model.__module__], "write_beside", another_was_quicker)
    result = CliRunner().invoke(app, ["convert", str(source), str(target)])
    assert isinstance(result.exception, ConfigurationError)
    assert "Wrote" not in result.output
    assert [path.name for path in target.iterdir()] == ["precious"]
    assert {path.name for path in tmp_path.iterdir()} == {"source.gguf", "target"}
