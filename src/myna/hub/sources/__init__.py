"""Where model files come from: one module a kind of source."""

from __future__ import annotations

from typing import Any

from myna.hub.sources.base import Report, Source, SourceError
from myna.hub.sources.huggingface import HuggingFaceSource
from myna.hub.sources.url import UrlSource
from myna.hub.sources.wheel import WheelSource

__all__ = ["Report", "Source", "SourceError", "source_from_catalog"]

KINDS: dict[str, type[HuggingFaceSource] | type[UrlSource] | type[WheelSource]] = {
    "huggingface": HuggingFaceSource,
    "url": UrlSource,
    "wheel": WheelSource,
}


def source_from_catalog(entry: dict[str, Any]) -> Source:
    """The source that a catalog entry describes. Raises KeyError or TypeError where it is not well formed."""
    fields = dict(entry)
    return KINDS[fields.pop("kind")](**fields)
