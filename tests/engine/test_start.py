"""Which backend a model gets, and what is kept of it on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from myna.engine.options import EngineOptions, engine_options
from myna.engine.start import choose_backend, start
from myna.settings import load_settings
from tests.synthetic import write_model


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"model_type": "opt"}', "transformers"),
        ('{"model_type": "llama"}', "native"),
        ('{"model_type": "gpt-oss"}', "native"),
        ('{"model_type": 7}', "native"),
        ("[1]", "native"),
        ("{", "native"),
        ("[" * 100_000, "native"),
        (None, "native"),
    ],
)
def test_families_without_a_declaration_run_on_pytorch(tmp_path: Path, content: str | None, expected: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert choose_backend(tmp_path, "auto") == expected
    assert choose_backend(tmp_path, "transformers") == "transformers"
    assert choose_backend(tmp_path, "native") == "native"


def test_a_gguf_file_is_never_asked_for_its_configuration(tiny_model: Path) -> None:
    assert choose_backend(tiny_model, "auto") == "native"


def test_settings_become_options(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, speculation=False, backend="native", stream_interval=0.0)
    options = engine_options(settings, tmp_path / "model", "name")
    assert (options.speculation, options.backend, options.stream_interval) == (False, "native", 0.0)
    assert options.packed_dir == ""
    kept = engine_options(load_settings(data_dir=tmp_path, packed_cache=True), tmp_path / "model", "name")
    assert kept.packed_dir == str(tmp_path / "models" / "packed")


def test_weights_that_were_quantised_are_kept_where_that_is_asked_for(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.gguf", quant="F16")
    packed = tmp_path / "packed"
    for directory in ("", str(packed)):
        model, _ = start(EngineOptions(name="tiny", path=str(path), quant="w8", threads=1, packed_dir=directory))
        model.dialect.close()
        assert packed.exists() == bool(directory)
    assert any(packed.rglob("*"))
    assert model.quantisation == "w8"
