"""``catalog.toml`` as it is written: data without behaviour, for layers that must not see the network."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache(maxsize=1)
def entries() -> tuple[dict[str, Any], ...]:
    """The tables of all models, the default first."""
    text = resources.files("myna.hub").joinpath("catalog.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["model"])


def known_templates() -> frozenset[str]:
    """SHA-256 of every chat template that was reviewed."""
    return frozenset(entry["dialect"]["template_sha256"] for entry in entries())
