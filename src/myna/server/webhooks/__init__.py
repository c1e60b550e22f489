"""Webhooks: telling a user's other programs that something of his is ready."""

from __future__ import annotations

from myna.server.webhooks.service import EVENT_TYPES, WebhookService, open_webhooks

__all__ = ["EVENT_TYPES", "WebhookService", "open_webhooks"]
