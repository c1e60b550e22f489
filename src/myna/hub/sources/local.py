"""Models that are on this machine already."""

from __future__ import annotations

from pathlib import Path

from myna.errors import NotFound

DESCRIPTIONS = ("config.json", "params.json", "hparams.json")
"""What a directory with a model has: Hugging Face's description of it, Meta's, or OpenAI's of GPT-2."""

ADAPTER = "adapter_config.json"


def looks_like_path(name: str) -> bool:
    """True for what can only be meant as a path, whether or not there is a file."""
    return name.endswith(".gguf") or name.startswith((".", "/", "~", "\\")) or "\\" in name or Path(name).is_absolute()


def is_local(name: str) -> bool:
    """Whether a model is there: a file, a directory or two of them; false for a name that no file system takes."""
    return _is_there(name) or base_and_delta(name) is not None


def base_and_delta(name: str) -> tuple[str, str] | None:
    """The two paths of ``base+delta``, weights that are to be added, where both are there."""
    pairs = ((name[:at], name[at + 1 :]) for at, letter in enumerate(name) if letter == "+")
    return next((pair for pair in pairs if all(map(_is_there, pair))), None)


def local_model(name: str) -> Path:
    """The absolute path of a model, or ``base+delta`` of two directories. Raises NotFound when there is none."""
    path = _absolute(name)
    if _is_there(str(path)):
        return path
    if (pair := base_and_delta(name)) is not None:
        return Path("+".join(str(_absolute(part)) for part in pair))
    if is_directory(name):
        what = f"holds no model: it has none of {', '.join(DESCRIPTIONS)}, and no GGUF file."
        if (path / ADAPTER).is_file():
            what = f"is an adapter, not a model: serve its model with --adapter NAME={path}."
        raise NotFound(f"{path} {what}", param="model")
    raise NotFound(f"There is no file {path}.", param="model")


def local_bytes(name: str) -> int:
    """Bytes of a local model's files; of ``base+delta``, those of both."""
    total = 0
    for part in (name,) if _is_there(name) else base_and_delta(name) or ():
        path = Path(part)
        files = [path] if path.is_file() else [each for each in path.iterdir() if each.is_file()]
        total += sum(each.stat().st_size for each in files)
    return total


def is_directory(name: str) -> bool:
    """Whether there is a directory of this name, with a model or without."""
    try:
        return name != "" and _absolute(name).is_dir()
    except (OSError, ValueError):
        return False


def _is_there(name: str) -> bool:
    path = Path(name)
    try:
        described = any((path / each).is_file() for each in DESCRIPTIONS) or any(path.glob("*.gguf"))
        return name != "" and (described or path.is_file())
    except (OSError, ValueError):  # too long, not allowed to look, or with a zero byte
        return False


def _absolute(name: str) -> Path:
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:  # ~somebody whom this machine does not know
        return Path(name).absolute()
