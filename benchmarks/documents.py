"""Measured parts of documents: whatever stands between two markers is replaced, the prose around it stays.

A part is ``<!-- measured: NAME -->`` … ``<!-- /measured -->``; a document may have several, and the same part may stand
in several documents. Raw results lie beside one another as JSON, out of git, so that documents can be made again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "benchmarks"

PART = re.compile(r"(<!-- measured: ([a-z-]+) -->\n)(.*?)(<!-- /measured -->)", re.S)


def write_parts(document: Path, parts: Mapping[str, str]) -> None:
    """Put each of these texts where the document has its part; parts that are not given stay as they are.

    Raises:
        ValueError: the document has none of them.
    """
    found: set[str] = set()

    def replaced(match: re.Match[str]) -> str:
        name = match[2]
        found.add(name)
        return f"{match[1]}{parts[name].rstrip()}\n{match[4]}" if name in parts else match[0]

    text = PART.sub(replaced, document.read_text(encoding="utf-8"))
    if found.isdisjoint(parts):
        raise ValueError(f"{document} has no part {' or '.join(parts)}: <!-- measured: NAME --> … <!-- /measured -->")
    document.write_text(text, encoding="utf-8")


def read_results(name: str) -> dict[str, Any]:
    """What an earlier run saved under this name; empty if there was none."""
    path = RESULTS / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def save_results(name: str, results: Mapping[str, Any]) -> None:
    """Keep raw results for rendering, over those of an earlier run."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
