"""Model files that are on this machine already."""

from __future__ import annotations

from pathlib import Path

from myna.errors import NotFound


def looks_like_path(name: str) -> bool:
    """True for what can only be meant as a path, whether or not there is a file."""
    return name.endswith(".gguf") or name.startswith((".", "/", "~", "\\")) or "\\" in name or Path(name).is_absolute()


def local_file(name: str) -> Path:
    """The absolute path of a model file. Raises NotFound when there is none."""
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        raise NotFound(f"There is no file {path}.", param="model")
    return path
