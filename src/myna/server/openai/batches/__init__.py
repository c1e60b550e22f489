"""Batches: a file of requests that are answered when nobody waits, into a file of answers."""

from __future__ import annotations

from myna.server.openai.batches.routes import router
from myna.server.openai.batches.service import BatchService, open_batches

__all__ = ["BatchService", "open_batches", "router"]
