"""How long tests wait for what has to come."""

from __future__ import annotations

WAIT_SECONDS = 120.0
"""Only to end a hang: far beyond what the slowest and busiest machine takes, and less than a test has in all."""
