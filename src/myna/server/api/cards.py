"""What is known of a model from the catalog and from its files together."""

from __future__ import annotations

from myna.hub import catalog
from myna.hub.hub import Reference
from myna.hub.licences import Licence, licence
from myna.models.description import FileDescription

THINKING_MARKS = ("<think>", "</think>", "reasoning_effort")
"""In a chat template: of models that can be told whether to think first."""
NO_TEMPLATE = "plain"
"""How models are written to that were never taught to chat."""


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
