"""What an engine is started with: plain data, so that its process needs no settings library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from myna.settings import Settings


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One model and how to run it. The fields mean what they mean in `myna.settings`; 0 and auto are resolved later."""

    name: str
    path: str
    backend: str = "auto"
    quant: str = "auto"
    packed_dir: str = ""
    """Where weights that had to be quantised are kept for the next time; nowhere if it is empty."""
    threads: int = 0
    instruction_set: str = "auto"
    kv_dtype: str = "float16"
    kv_cache_bytes: int = 0
    context: int = 0
    max_sequences: int = 64
    step_tokens: int = 512
    speculation: bool = True
    stream_interval: float = 0.01
    max_waiting: int = 1024
    """Requests that may wait for admission; more are refused as `EngineBusy`."""


def engine_options(settings: Settings, path: Path, name: str) -> EngineOptions:
    """The options for one model file under these settings."""
    return EngineOptions(
        name=name,
        path=str(path),
        quant=settings.quant,
        packed_dir=str(settings.models_dir / "packed") if settings.packed_cache else "",
        threads=settings.threads,
        instruction_set=settings.instruction_set,
        kv_dtype=settings.kv_dtype,
        kv_cache_bytes=settings.kv_cache_bytes,
        context=settings.context,
        max_sequences=settings.max_sequences,
        step_tokens=settings.step_tokens,
        speculation=settings.speculation,
        stream_interval=settings.stream_interval,
        backend=settings.backend,
    )
