"""``myna doctor``: what this machine offers, and what stands in the way."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import myna
from myna import hardware
from myna.cli.terminal import size
from myna.hub import Hub
from myna.settings import Settings

if TYPE_CHECKING:
    from myna.store.inspection import Finding

PACKAGES = ("numpy", "tokenizers", "fastapi", "uvicorn", "sqlalchemy", "huggingface_hub")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``problem``: what is wrong and what to do about it, or None.

    ``value`` is for people; ``data`` is the same for programs, sizes in bytes, speeds in bytes a second.
    """

    name: str
    value: str
    data: Any
    problem: str | None = None


def examine(settings: Settings) -> list[Check]:
    """Look at everything; takes a few seconds, most of them for the model's sources."""
    return [
        Check("version", f"myna {myna.__version__}, Python {platform.python_version()}", myna.__version__),
        Check("system", platform.platform(), platform.platform()),
        Check("processor", f"{hardware.processor_name()}, {hardware.usable_cores()} cores", hardware.processor_name()),
        _guarded("instruction sets", _instruction_sets),
        _memory(),
        _guarded("memory speed", _bandwidth),
        _disk(settings.data_dir),
        *_packed(settings.models_dir / "packed"),
        *_model(settings),
        _packages(),
    ]


def print_report(checks: Sequence[Check | Finding], *, as_json: bool) -> None:
    """Print what was looked at; leave with 1 when one has a problem."""
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            typer.echo(f"{'!' if check.problem else ' '} {check.name:<{width}}  {check.value}")
            if check.problem:
                typer.echo(f"  {'':<{width}}  {check.problem}")
    if any(check.problem for check in checks):
        raise typer.Exit(1)


def _guarded(name: str, look: Callable[[], Check]) -> Check:
    """A look that needs the compiled kernels, which may be what is broken."""
    try:
        return look()
    except ImportError as error:
        return Check(name, "unknown", None, f"The compiled kernels cannot be loaded ({error}); reinstall Myna.")


def _instruction_sets() -> Check:
    kinds = hardware.instruction_sets()
    return Check("instruction sets", f"{kinds[0]} (also {', '.join(kinds[1:])})" if kinds[1:] else kinds[0], kinds)


def _memory() -> Check:
    found = hardware.memory()
    return Check("memory", f"{size(found.available)} of {size(found.total)} available", asdict(found))


def _bandwidth() -> Check:
    threads = hardware.usable_cores()
    speed = hardware.read_bandwidth(threads)
    return Check("memory speed", f"{size(speed)}/s read by {threads} threads", speed)


def _disk(directory: Path) -> Check:
    existing = next(parent for parent in (directory, *directory.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    problem = None
    if not _writable(existing):
        problem = f"{existing} cannot be written; choose another directory with --data-dir or MYNA_DATA_DIR."
    return Check("data directory", f"{directory}, {size(free)} free", {"path": str(directory), "free": free}, problem)


def _packed(directory: Path) -> list[Check]:
    """Weights that were quantised once and are kept (the setting packed_cache); nothing where there are none."""
    kept = sum(path.stat().st_size for path in directory.glob("*.packed"))
    return [Check("packed weights", f"{size(kept)} in {directory}", kept)] if kept else []


def _writable(directory: Path) -> bool:
    """Tried, because permissions alone do not tell (a read-only disk, another system's rules)."""
    probe = directory / ".myna-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _model(settings: Settings) -> list[Check]:
    hub = Hub(settings.models_dir)
    name = hub.resolve(settings.model).name
    path = hub.find(name)
    where = "not fetched yet" if path is None else str(path)
    sources = hub.check_sources(name)
    reached = [label for label, reason in sources if reason is None]
    problem = None
    if path is None and not reached:
        problem = "No source can be reached: check the network or proxy, or use a GGUF file with --model."
    checks = [Check("default model", f"{name}, {where}", {"name": name, "path": path and str(path)}, problem)]
    for label, reason in sources:
        checks.append(Check("source", f"{label}: {reason or 'reachable'}", {"label": label, "problem": reason}))
    return checks


def _packages() -> Check:
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return Check("packages", ", ".join(f"{name} {version}" for name, version in versions.items()), versions)
