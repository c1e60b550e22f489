"""Names of files that anybody may unpack or save: made of any text, and safe on every system."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

MOST_BYTES = 150
"""Of a name without its ending: with it, and with what is put before it, it fits everywhere (255 bytes)."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)", re.IGNORECASE)
"""What Windows takes for a device, whatever follows a dot."""


def file_name(text: str, otherwise: str) -> str:
    """A name, without an ending, that is one step of a path and looks like what it is.

    Nothing in it is invisible or turns the direction of what follows (a right-to-left override makes "exe.txt" of
    "txt.exe"), it has no sign that a system forbids or a shell would take for a path, and it is no device of Windows.

    Args:
        text: anything.
        otherwise: the name where nothing of it is left.
    """
    seen = (each for each in " ".join(text.split()) if not unicodedata.category(each).startswith("C"))
    name = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", "".join(seen)))
    name = name.encode()[:MOST_BYTES].decode(errors="ignore").strip(" .")
    if _RESERVED.match(name):
        name = f"_{name}"
    return name or otherwise


class Names:
    """Names for one folder: each a new one, also on disks that take large and small letters for the same."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}
        """Of each name as such a disk takes it: the last number that was put after it, 1 for none."""

    def new(self, name: str) -> str:
        """The name, or where it was given before the name with the next number that is free, as in "name (2)"."""
        number = self._given.get(_folded(name), 1)
        new = name
        while _folded(new) in self._given:
            number += 1
            new = f"{name} ({number})"
        self._given[_folded(name)] = number
        self._given.setdefault(_folded(new), 1)
        return new


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def attachment(name: str) -> dict[str, str]:
    """The header with which a browser saves an answer under a name (RFC 6266)."""
    return {"content-disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
