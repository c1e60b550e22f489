"""More of accounts: invitations, second factors, other providers, preferences."""

from __future__ import annotations

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Nothing yet."""
