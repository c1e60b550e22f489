"""What the server writes to stderr: lines for people, or objects of JSON for programs; never what was asked or said."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from myna.settings import Settings

FIELDS = "fields"
"""Attribute of a record, given as ``extra``: what it tells beside its message, by name."""

LONGEST_CLIENT_ID = 128


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, FIELDS, {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """A record as a line for people, with its fields as ``name=value``, and below it the exception's traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the standard library's name
        """The line, without the traceback."""
        fields = getattr(record, FIELDS, {})
        told = (f"{name}={value}" for name, value in fields.items() if value is not None)
        return " ".join((super().formatMessage(record), *told))


def configure(settings: Settings) -> None:
    """Write warnings and worse to stderr, or more where asked for; with ``info``, a line for every request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    # Libraries would tell in their details what they store and send, chats and all.
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    logging.getLogger("myna").setLevel(level)


def harmless(text: str, limit: int = LONGEST_CLIENT_ID) -> str:
    """What a stranger sent, for the log: percent-encoded, so that it cannot end a line and begin one of its own."""
    return quote(text[:limit], "/:@", errors="replace")
