"""The texts of licences that lie beside a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from myna.hub.licence_texts import MAX_BYTES, is_licence_text, licence_texts


@pytest.mark.parametrize(
    "name", ["LICENSE", "Licence.md", "LICENSE-MODEL", "LICENSE.txt", "COPYING", "NOTICE", "USE_POLICY.md"]
)
def test_names_of_licences(name: str) -> None:
    assert is_licence_text(name)


@pytest.mark.parametrize("name", ["licensing.md", "license.py", "LICENSE.pdf", "LICENSE/x", "config.json", "x-LICENSE"])
def test_names_of_other_things(name: str) -> None:
    assert not is_licence_text(name)


def test_texts_beside_a_directory_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("Do no harm. Ça va ?", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    for model in (tmp_path, tmp_path / "model.gguf"):
        assert [(each.file, each.text) for each in licence_texts(model)] == [("LICENSE", "Do no harm. Ça va ?")]


def test_what_is_no_text_or_has_no_end_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_bytes(b"a" * (MAX_BYTES + 1))
    (tmp_path / "NOTICE").mkdir()
    (tmp_path / "COPYING").write_bytes(b"")
    assert licence_texts(tmp_path) == []
    (tmp_path / "LICENSE").write_bytes(b"\xff\xfe\x00")
    assert licence_texts(tmp_path) == []
    assert licence_texts(tmp_path / "nowhere" / "model.gguf") == []
