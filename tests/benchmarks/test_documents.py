"""Measured parts are replaced, prose is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import documents
from benchmarks.documents import read_results, save_results, write_parts

TEXT = """Before.
<!-- measured: speed -->
old speed
<!-- /measured -->
Between.
<!-- measured: parity -->
old parity
<!-- /measured -->
After.
"""


def test_only_the_given_part_changes(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(TEXT)
    write_parts(document, {"speed": "new\nspeed\n", "growth": "not in this document"})
    assert document.read_text() == TEXT.replace("old speed", "new\nspeed")
    write_parts(document, {"speed": "old speed"})
    assert document.read_text() == TEXT


def test_a_document_without_the_part_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text(TEXT)
    with pytest.raises(ValueError, match="has no part storm"):
        write_parts(document, {"storm": "new"})


def test_results_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "RESULTS", tmp_path / "results")
    assert read_results("compare") == {}
    save_results("compare", {"single": {"bandwidth": [1.5]}})
    assert read_results("compare") == {"single": {"bandwidth": [1.5]}}


@pytest.mark.parametrize(
    ("document", "parts"),
    [
        ("README.md", {"summary"}),
        (
            "docs/performance.md",
            {"summary", "missed", "speed", "growth", "parity", "fuzz", "api", "storm", "app", "search"},
        ),
    ],
)
def test_our_documents_have_the_parts_that_the_scripts_write(document: str, parts: set[str]) -> None:
    text = (documents.ROOT / document).read_text(encoding="utf-8")
    assert {match[2] for match in documents.PART.finditer(text)} == parts
