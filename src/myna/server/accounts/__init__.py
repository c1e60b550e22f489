"""Accounts: users, their sessions and keys, as the server knows and changes them."""

from __future__ import annotations

from myna.server.accounts.directory import Denied
from myna.server.accounts.service import Accounts

__all__ = ["Accounts", "Denied"]
