"""docs/adding-a-model.md shows code that is in the tree, and names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "adding-a-model.md").read_text(encoding="utf-8")


def test_code_is_that_of_the_file_named_before_it() -> None:
    blocks = re.findall(r"`(src/[\w/.]+)`:\n\n```python\n(.*?)```", DOCUMENT, re.S)
    assert len(blocks) == DOCUMENT.count("```python") > 0
    for path, code in blocks:
        assert code in (ROOT / path).read_text(encoding="utf-8"), path


def test_named_files_exist() -> None:
    named = re.findall(r"(?:src|tests|benchmarks|docs|native)/[\w/.-]*", DOCUMENT)
    assert named
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []
