"""The texts of a model's licence, as they lie beside its weights: none is a part of Myna."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from myna.hub.sources.local import base_and_delta

NAME = re.compile(r"(licen[cs]e|copying|notice|use_policy)([-_.][\w.-]*)?", re.IGNORECASE | re.ASCII)
MOST_TEXTS = 8
MAX_BYTES = 2**18
"""Of one text; the longest licences of models have some 40 KB."""


@dataclass(frozen=True, slots=True)
class LicenceText:
    """The name of a file, and all that it says."""

    file: str
    text: str


def is_licence_text(name: str) -> bool:
    """Whether a file is called as those are that hold a licence."""
    return NAME.fullmatch(name) is not None and not name.lower().endswith((".py", ".pdf", ".html", ".json"))


def licence_texts(model: Path) -> list[LicenceText]:
    """The licences in the directory of a model, or in that of its file; of ``base+delta``, those of both.

    A text that is too long for one, or that is no text, is left out.
    """
    found = []
    for part in base_and_delta(str(model)) or (str(model),):
        directory = Path(part) if Path(part).is_dir() else Path(part).parent
        try:
            files = sorted(file for file in directory.iterdir() if is_licence_text(file.name) and file.is_file())
            for file in files[:MOST_TEXTS]:
                with file.open("rb") as opened:
                    read = opened.read(MAX_BYTES + 1)
                if 0 < len(read) <= MAX_BYTES:
                    found.append(LicenceText(file.name, read.decode("utf-8")))
        except (OSError, UnicodeDecodeError):
            continue
    return found
