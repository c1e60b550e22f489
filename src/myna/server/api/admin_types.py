"""What crosses the wire about running a server for others; docs/application-api.md describes it."""

from __future__ import annotations

from typing import Literal

from myna.server.api.account_types import Requests, Tokens
from myna.server.api.types import Answer, ModelName, Request

SignUp = Literal["closed", "invitation", "open"]


class OptionsPatch(Request):
    """Body of ``PATCH /api/admin/options``: what is to change of `myna.store.options.Options`."""

    sign_up: SignUp = "closed"
    require_second_factor: bool = False
    requests_per_minute: Requests | None = None
    tokens_per_minute: Tokens | None = None
    tokens_per_day: Tokens | None = None
    default_model: ModelName | None = None
    titles: bool = True


class Options(Answer):
    """Answer to ``GET`` and ``PATCH /api/admin/options``."""

    sign_up: SignUp
    require_second_factor: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    default_model: str | None
    titles: bool
