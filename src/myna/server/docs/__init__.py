"""The reference pages at ``/docs``, made from the server's own OpenAPI document."""

from __future__ import annotations

from myna.server.docs.pages import create_router

__all__ = ["create_router"]
