"""Model files that are on this machine already."""

from __future__ import annotations

from pathlib import Path

from myna.errors import NotFound


def looks_like_path(name: str) -> bool:
    """True for what can only be meant as a path, whether or not there is a file."""
    return name.endswith(".gguf") or name.startswith((".", "/", "~", "\\")) or "\\" in name or Path(name).is_absolute()


def is_file(name: str) -> bool:
    """Whether a file is there; false for a name that no file system takes."""
    try:
        return Path(name).is_file()
    except OSError:  # too long, or not allowed to look
        return False


def local_file(name: str) -> Path:
    """The absolute path of a model file. Raises NotFound when there is none."""
    try:
        path = Path(name).expanduser().absolute()
    except RuntimeError:  # ~somebody whom this machine does not know
        path = Path(name).absolute()
    if not is_file(str(path)):
        raise NotFound(f"There is no file {path}.", param="model")
    return path
