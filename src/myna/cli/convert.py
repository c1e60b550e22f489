"""Writing a model as another kind of file."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import typer

from myna.cli.interrupts import raises_on_interrupt
from myna.cli.library import fetch
from myna.cli.terminal import size
from myna.errors import ConfigurationError, UnsupportedParameter
from myna.formats import ModelFile, open_model
from myna.formats.gguf_writer import write_gguf
from myna.formats.safetensors_writer import write_safetensors
from myna.formats.written import replacing
from myna.models.adapted import AdaptedModel
from myna.models.convert import (
    DTYPES,
    TargetType,
    plan_directory,
    plan_from_gguf,
    plan_gguf,
    write_beside,
)
from myna.settings import Settings


def convert_model(
    settings: Settings,
    source: str,
    target: Path,
    *,
    quant: TargetType | None,
    delta: str | None,
    adapter: Path | None,
    force: bool,
) -> None:
    """Write ``source`` as a GGUF file where ``target`` ends in .gguf, else as a checkpoint directory.

    Raises:
        ConfigurationError: the target is there already, or cannot be written.
        ModelFileError, UnsupportedParameter: the source cannot be read, or the target cannot say what it is.
        DiskFull: there is no room; nothing is left behind.
    """
    if target.exists() and not (force and target.is_file()):
        hint = "Choose another name" + (", or replace it with --force." if target.is_file() else ".")
        raise ConfigurationError(f"{target} is there already. {hint}")
    path = str(fetch(settings, source))
    if delta is not None:
        path = f"{path}+{fetch(settings, delta)}"
    try:
        with raises_on_interrupt(), ExitStack() as opened:
            file: ModelFile = opened.enter_context(closing(open_model(path)))
            if adapter is not None:
                file = AdaptedModel(file, adapter)
            if target.suffix == ".gguf":
                written = _write_file(file, target, quant)
            else:
                written = _write_directory(file, target, quant)
    except KeyboardInterrupt:
        typer.echo(f"Stopped; nothing was written to {target}.", err=True)
        raise
    typer.echo(f"Wrote {target}, {size(written)}.", err=True)


def _write_file(file: ModelFile, target: Path, quant: TargetType | None) -> int:
    plan = plan_gguf(file, quant)
    with replacing(target, plan.bytes) as output, _display(plan.bytes) as update:
        write_gguf(output, plan.metadata, plan.tensors, update)
    return plan.bytes


def _write_directory(file: ModelFile, target: Path, quant: TargetType | None) -> int:
    kind = quant.upper() if quant else None
    if kind is not None and kind not in DTYPES:
        raise UnsupportedParameter(
            f"A checkpoint directory holds f32, f16 or bf16 weights, not {quant}; only a GGUF file does.", param="quant"
        )
    plan = plan_from_gguf(file, kind) if file.kind == "gguf" else plan_directory(file, kind)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")  # two may write the same at once
    try:
        with replacing(draft / "model.safetensors", plan.bytes) as output, _display(plan.bytes) as update:
            write_safetensors(output, plan.tensors, update)
        write_beside(plan, draft)
        draft.replace(target)
        return plan.bytes
    except OSError as error:
        raise ConfigurationError(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _display(total: int) -> Iterator[Callable[[int], None]]:
    """How far it is, on stderr where there is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(
        BarColumn(), DownloadColumn(), TimeRemainingColumn(compact=True), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)
