from __future__ import annotations

from pathlib import Path

import pytest

from myna.errors import ModelFileError
from myna.models import descriptions
from myna.models.describe import describe_model
from myna.models.descriptions import Descriptions
from tests.synthetic import write_model


def test_a_model_is_described_elsewhere_until_its_file_changes(tmp_path: Path) -> None:
    path = write_model(tmp_path / "a.gguf")
    kept = tmp_path / "kept" / "descriptions.json"
    described = Descriptions(kept)
    first = described.of(path)
    assert first == describe_model(path)
    assert described.declared(path) == first
    assert described.declared(None) is None

    write_model(path, mlp_width=256)
    assert described.of(path) == describe_model(path) != first
    path.write_bytes(b"nonsense")
    assert described.declared(path) is None
    with pytest.raises(ModelFileError, match=r"a\.gguf cannot be used as a model: .+ GGUF"):
        described.of(path)
    path.unlink()
    with pytest.raises(ModelFileError, match="could not be read"):
        described.of(path)


def test_a_description_outlives_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = write_model(tmp_path / "a.gguf"), tmp_path / "descriptions.json"
    found = Descriptions(kept).of(path)

    def none(*_: object) -> None:
        raise AssertionError("described once more")

    with monkeypatch.context() as patch:
        patch.setattr(Descriptions, "_describe", none)
        assert Descriptions(kept).of(path) == found
    for content in ("", "[]", "{", '{"format": []}', kept.read_text().replace('"state": [', '"state": [1, ')):
        kept.write_text(content)
        assert Descriptions(kept).of(path) == found, content


def test_a_file_that_takes_too_long_is_asked_once_by_a_server_and_again_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptions, "SECONDS", 0.0)
    path, kept = write_model(tmp_path / "a.gguf"), tmp_path / "descriptions.json"
    described = Descriptions(kept)
    for _ in range(2):
        with pytest.raises(ModelFileError, match="describing it takes more than"):
            described.of(path)
    monkeypatch.undo()
    assert Descriptions(kept).of(path) == describe_model(path)
