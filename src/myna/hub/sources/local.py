"""Models that are on this machine already."""

from __future__ import annotations

from pathlib import Path

from myna.errors import NotFound

DESCRIPTIONS = ("config.json", "params.json", "hparams.json")
"""What a directory with a model has: Hugging Face's description of it, Meta's, or OpenAI's of GPT-2."""


def looks_like_path(name: str) -> bool:
    """True for what can only be meant as a path, whether or not there is a file."""
    return name.endswith(".gguf") or name.startswith((".", "/", "~", "\\")) or "\\" in name or Path(name).is_absolute()


def is_local(name: str) -> bool:
    """Whether a model file or directory is there; false for a name that no file system takes."""
    try:
        return Path(name).is_file() or any((Path(name) / each).is_file() for each in DESCRIPTIONS)
    except (OSError, ValueError):  # too long, not allowed to look, or with a zero byte
        return False


def local_model(name: str) -> Path:
    """The absolute path of a model's file or directory. Raises NotFound when there is none."""
    try:
        path = Path(name).expanduser().absolute()
    except RuntimeError:  # ~somebody whom this machine does not know
        path = Path(name).absolute()
    if is_local(str(path)):
        return path
    if path.is_dir():
        raise NotFound(f"{path} holds no model: it has none of {', '.join(DESCRIPTIONS)}.", param="model")
    raise NotFound(f"There is no file {path}.", param="model")
