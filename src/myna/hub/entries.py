"""``catalog.toml`` as it is written: data without behaviour, for layers that must not see the network."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib import resources
from typing import Any


@lru_cache(maxsize=1)
def tables() -> dict[str, Any]:
    """All of ``catalog.toml``."""
    text = resources.files("myna.hub").joinpath("catalog.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def entries() -> tuple[dict[str, Any], ...]:
    """The tables of all models, the default first."""
    return tuple(tables()["model"])


def known_templates() -> frozenset[str]:
    """SHA-256 of every chat template that was reviewed."""
    return frozenset(entry["dialect"]["template_sha256"] for entry in entries() if "dialect" in entry)


def checkpoint_entry(name: str) -> dict[str, Any] | None:
    """The first table of published weights whose patterns have ``owner/repo``, in any case.

    The name may be one of the hub's, with ``hf:`` before it and a file after it. Without an owner, as configurations
    often spell it, it is compared with what stands after the owner in the patterns, where that says anything.
    """
    wanted = name.removeprefix("hf:").partition(":")[0].casefold()
    for entry in tables()["checkpoint"]:
        for pattern in entry["repositories"]:
            compared = pattern if "/" in wanted else pattern.rpartition("/")[2]
            if compared != "*" and fnmatchcase(wanted, compared):
                return dict(entry)
    return None
