"""Tables as comma-separated values (RFC 4180), a line at a time, that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would run: https://owasp.org/www-community/attacks/CSV_Injection."""
MEDIA_TYPE = "text/csv; charset=utf-8"


def line(cells: Iterable[str | int | float | None]) -> str:
    """One line with its end. A text that looks like a formula gets an apostrophe before it; numbers stay numbers."""
    written = io.StringIO()
    csv.writer(written).writerow([_defused(cell) for cell in cells])
    return written.getvalue()


def _defused(cell: str | int | float | None) -> str | int | float | None:
    # Some programs skip spaces before they look.
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" \n\u00a0").startswith(FORMULAS) else cell
