from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from myna import _native
from myna.models import loader, packed_cache
from myna.models.loader import LoadedModel, load_model
from myna.models.packed_cache import PackedCache
from tests.parity.reference import native_logits
from tests.synthetic import write_model

IDS = [5, 6, 7, 300, 12]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model.gguf", quant="F16")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "packed"


@pytest.fixture
def packings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every time that a model was packed and not mapped."""
    seen: list[Path] = []
    pack = loader.pack

    def counted(file, plan, executor) -> None:  # type: ignore[no-untyped-def]
        seen.append(file.path)
        pack(file, plan, executor)

    monkeypatch.setattr(loader, "pack", counted)
    return seen


def load(path: Path, directory: Path | None, quant: str = "w8") -> LoadedModel:
    return load_model(path, quant=quant, threads=1, packed_dir=directory)  # type: ignore[arg-type]


@pytest.mark.parametrize("quant", ["w8", "w4"])
def test_the_second_start_maps_what_the_first_packed(
    model: Path, directory: Path, packings: list[Path], quant: str
) -> None:
    expected = native_logits(load(model, None, quant), IDS)
    for _ in range(3):
        np.testing.assert_array_equal(native_logits(load(model, directory, quant), IDS), expected)
    assert len(packings) == 2  # without the directory, and the first time with it


def test_what_does_not_fit_any_more_is_made_anew(
    model: Path, directory: Path, packings: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(model, directory)
    os.utime(model, (1, 1))
    load(model, directory)
    load(model, directory, "w4")
    monkeypatch.setattr(_native, "PACKED_LAYOUT", -1)
    load(model, directory, "w4")
    assert len(packings) == 4
    assert len(list(directory.iterdir())) == 1  # one model, one file


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: content[:-64],
        lambda content: b"OTHERFILE" + content[9:],
        lambda content: content.replace(b'"bytes"', b'"bites"'),
        lambda content: content.replace(b'"embedding"', b'"embeddinG"'),
        lambda content: content.replace(b'"embedding": [', b'"embedding": [9'),
        lambda content: content[:12] + b"[" + content[13:],
    ],
)
def test_a_damaged_file_is_replaced(model: Path, directory: Path, packings: list[Path], damage) -> None:  # type: ignore[no-untyped-def]
    expected = native_logits(load(model, directory), IDS)
    [kept] = directory.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    np.testing.assert_array_equal(native_logits(load(model, directory), IDS), expected)
    assert len(packings) == 2
    assert kept.read_bytes() == whole


def test_files_that_are_integers_already_are_not_kept(tmp_path: Path, directory: Path) -> None:
    load(write_model(tmp_path / "model.gguf", quant="Q8_0"), directory)
    load(write_model(tmp_path / "float.gguf", quant="F32"), directory, "f32")
    assert not directory.exists()


def test_a_full_disk_only_means_that_nothing_is_kept(
    model: Path, directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(packed_cache, "FREE_SHARE", 1.0)
    assert load(model, directory).parameters
    assert not list(directory.iterdir())
    assert "has no room to keep" in caplog.text


def test_models_that_are_gone_leave_nothing(model: Path, directory: Path) -> None:
    cache = PackedCache(directory)
    load(model, directory)
    size = cache.size()
    assert size > 100_000
    assert cache.prune() == 0
    model.unlink()
    assert cache.prune() == size
    assert cache.size() == 0


def test_a_changed_file_is_noticed_whatever_its_name(tmp_path: Path, directory: Path, packings: list[Path]) -> None:
    model = write_model(tmp_path / "model[1]*.gguf", quant="F16")
    load(model, directory)
    os.utime(model, (1, 1))
    load(model, directory)
    assert len(packings) == 2


def test_what_a_killed_process_left_is_dropped_but_not_what_another_writes(model: Path, directory: Path) -> None:
    directory.mkdir()
    left, growing = directory / ".a.packed.1.tmp", directory / ".b.packed.2.tmp"
    for path in (left, growing):
        path.write_bytes(bytes(100))
    os.utime(left, (1, 1))
    load(model, directory)
    assert not left.exists()
    assert growing.exists()
