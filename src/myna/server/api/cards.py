"""What is known of a model: from the catalog, from its files, and from the engine that runs it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myna.errors import MynaError
from myna.hub import catalog
from myna.hub.hub import Reference
from myna.hub.licences import Licence, licence

if TYPE_CHECKING:
    from myna.models.describe import FileDescription

THINKING_MARKS = ("<think>", "</think>", "reasoning_effort")
"""In a chat template: of models that can be told whether to think first."""
NO_TEMPLATE = "plain"
"""How models are written to that were never taught to chat."""


@dataclass(frozen=True, slots=True)
class _Described:
    changed_at: int
    description: FileDescription | None


class Cards:
    """Descriptions of model files, each read once as long as it does not change. Safe in several threads."""

    def __init__(self) -> None:
        self._known: dict[str, _Described] = {}
        self._reading = threading.Lock()

    def of(self, path: Path | None) -> FileDescription | None:
        """What a file on disk says of its model; None where there is none, or Myna's own engine cannot read it.

        The first time this takes some tenths of a second, and longer for large vocabularies.
        """
        if path is None:
            return None
        with self._reading:
            try:
                changed_at = path.stat().st_mtime_ns
            except OSError:
                return None
            known = self._known.get(str(path))
            if known is None or known.changed_at != changed_at:
                known = self._known[str(path)] = _Described(changed_at, _describe(path))
            return known.description


def licence_of(reference: Reference, description: FileDescription | None) -> Licence | None:
    """A model's licence: the catalog's word for it, else that of its repository, else of its files."""
    if reference.entry is not None:
        return licence(reference.entry.licence)
    if reference.kind == "huggingface" and (known := catalog.checkpoint(reference.name)) is not None:
        return known.licence
    if description is not None and description.licence is not None:
        return licence(description.licence)
    return None


def thinks(description: FileDescription | None) -> bool:
    """Whether a model can be told whether to think first."""
    template = description.template if description else None
    return template is not None and any(mark in template for mark in THINKING_MARKS)


def chats(description: FileDescription | None) -> bool | None:
    """Whether a model was taught to hold a conversation; None where that is not known."""
    if description is None:
        return None
    return description.template is not None or description.dialect not in (None, NO_TEMPLATE)


def _describe(path: Path) -> FileDescription | None:
    from myna.models.describe import describe_model  # NumPy and all families, which the start does not wait for

    try:
        return describe_model(path)
    except MynaError:
        return None
