"""What the document does not say: the meaning of fields, by name, and values for examples; both from fields.toml."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any


@functools.cache
def known_words() -> dict[str, dict[str, Any]]:
    """The file's tables: ``any``, ``at`` and ``example``."""
    return tomllib.loads(resources.files(__package__).joinpath("fields.toml").read_text("utf-8"))


def example_of(method: str, path: str, required: Iterable[str]) -> dict[str, Any] | None:
    """A body that can be sent: the route's own, or one with a value for each field that is required."""
    examples = known_words()["example"]
    own: dict[str, Any] | None = examples["of"].get(f"{method} {path}")
    if own is not None:
        return own
    return {name: examples.get(name, "…") for name in sorted(required)} or None


def form_value(name: str) -> str:
    """What stands for a field of a form in an example."""
    return "@FILE" if name in ("file", "data") else str(known_words()["example"].get(name, name.upper()))
