"""Anthropic's messages API, so that what was written for it works here.

Source: https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

from fastapi import APIRouter

from myna.server.anthropic import messages

__all__ = ["create_router"]


def create_router() -> APIRouter:
    """Its routes under ``/v1/messages``. They expect ``app.state.models``."""
    return messages.router
