"""How the schema came to be: one Alembic revision a file in `versions`, appended to and never edited once released."""

from __future__ import annotations

from pathlib import Path

SCRIPTS = Path(__file__).parent
HEAD = "0007"
"""The newest revision; known without importing Alembic, which an ordinary start then need not do."""
