"""What a request's body may be, and how large: JSON, but for the routes in this table.

A page cannot send JSON to another origin without asking first, but a form it can. So forms are taken by the few routes
that are made for files, and by no other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import Headers

from myna.server.limits import FORM_OVERHEAD_BYTES, MAX_ACCOUNT_BODY_BYTES, MAX_BODY_BYTES
from myna.server.openai.missing import is_missing
from myna.settings import Settings

MediaType = Literal["application/json", "multipart/form-data"]

FORMS = (("POST", re.compile("/v1/files")), ("POST", re.compile("/v1/uploads/[^/]+/parts")))
"""Routes that take a form with a file, and nothing else."""
ACCOUNTS = re.compile("/api/(session|setup|sign-up|invitations|provider|account|users|admin)(/.*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BodyRule:
    """What one request may send: how its body must be declared (None: nobody reads it), and its size in bytes."""

    media_type: MediaType | None
    most: int

    @property
    def too_large(self) -> str:
        """What to say of a body that is larger."""
        most = f"{self.most >> 20} MiB" if self.most >> 20 else f"{self.most >> 10} KiB"
        return f"The body is larger than {most}."

    @property
    def undeclared(self) -> str:
        """What to say of a body that is declared to be something else."""
        if self.media_type == "multipart/form-data":
            return "The body must be a form: send 'Content-Type: multipart/form-data'."
        return "The body must be JSON: send 'Content-Type: application/json', also with an empty body."


class BodyRules:
    """The rules of one server: a file has a limit of its own, ``settings.max_upload_bytes``."""

    def __init__(self, settings: Settings) -> None:
        self.json = BodyRule("application/json", MAX_BODY_BYTES)
        self.account = BodyRule("application/json", MAX_ACCOUNT_BODY_BYTES)
        self.form = BodyRule("multipart/form-data", settings.max_upload_bytes + FORM_OVERHEAD_BYTES)
        self.unread = BodyRule(None, 10**12)

    def of(self, method: str, path: str) -> BodyRule:
        """The rule for one request."""
        if is_missing(path):
            return self.unread
        if ACCOUNTS.fullmatch(path):
            return self.account
        return self.form if any(method == form and each.fullmatch(path) for form, each in FORMS) else self.json


def media_type(headers: Headers) -> str | None:
    """What the body is declared to be; None where nothing is, or several things are."""
    kinds = headers.getlist("content-type")
    return kinds[0].partition(";")[0].strip().lower() if len(kinds) == 1 else None
