"""``myna serve``: the model begins to load, then the server is imported, then both are said to be there."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import myna
from myna.backends.process import start_early
from myna.cli.interrupts import raises_on_interrupt
from myna.cli.library import fetch
from myna.cli.terminal import print_fields, size
from myna.errors import ConfigurationError, MynaError
from myna.settings import Settings, has_display

if TYPE_CHECKING:
    from myna.backends.base import ModelDescription
    from myna.backends.manager import ModelManager

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 3.0
"""How long the announcement waits for the model; a large one takes longer and is announced by itself."""


def named_paths(given: list[str] | None) -> dict[str, Path] | None:
    """``NAME=DIR``, several times, as a mapping; None when none is given.

    Raises:
        ConfigurationError: one is not of that form.
    """
    paths = {}
    for text in given or ():
        name, mark, path = text.partition("=")
        if not (name and mark and path):
            raise ConfigurationError(f"--adapter {text} is not of the form NAME=DIR.", param="adapters")
        paths[name] = Path(path)
    return paths or None


def run_server(settings: Settings) -> None:
    """Serve until told to stop.

    Raises:
        ConfigurationError: host, port or data directory cannot be used.
        HubError: the model could not be fetched.
    """
    from myna.server.binding import check_binding, listen

    check_binding(settings)
    with listen(settings) as listener:
        fetch(settings, settings.model)
        _serve(settings, listener)


def _serve(settings: Settings, listener: socket.socket) -> None:
    early = start_early(settings)
    gc.disable()  # what imports make stays; to look through it again and again takes a tenth of the start
    try:
        from myna.server import logs
        from myna.server.serve import serve  # takes half a second, in which the model loads

        logs.configure(settings)

        async def when_ready(address: str, manager: ModelManager, setup_token: str | None) -> None:
            gc.freeze()
            gc.enable()
            await _announce(settings, address, manager, setup_token)

        with raises_on_interrupt():
            serve(settings, listener, early, when_ready)
        if sys.stderr.isatty():
            typer.echo(err=True)  # the shell's prompt is not to stand behind ^C
    finally:
        if early is not None:
            early.end()


async def _announce(settings: Settings, address: str, manager: ModelManager, setup_token: str | None) -> None:
    setup = None if setup_token is None else f"{address}/#setup={setup_token}"  # a fragment is sent nowhere
    if settings.browser and has_display():
        await asyncio.to_thread(webbrowser.open, setup or address)
    loading = asyncio.ensure_future(_describe(manager))
    await asyncio.wait((loading,), timeout=PATIENCE_SECONDS)
    model = loading.result() if loading.done() else None
    fields = {"address": address} | (model or {"model": f"{settings.model}, still loading"})
    if setup is not None:
        fields |= {"first account": f"{setup} makes it, once; from elsewhere with this machine's name"}
    if settings.log_format == "json":
        from myna.server.logs import FIELDS

        level = logging.INFO if setup is None else logging.WARNING  # somebody waits for it
        logger.log(level, "Myna %s is ready", myna.__version__, extra={FIELDS: fields})
        return
    typer.echo(f"\nMyna {myna.__version__} is ready.\n", err=True)
    _print(fields | {"data": str(settings.data_dir), "stop": "Ctrl-C"})
    if model is None:
        _print(await loading)


def _print(fields: dict[str, str]) -> None:
    print_fields({f"  {label}": value for label, value in fields.items()}, err=True)
    typer.echo(err=True)


async def _describe(manager: ModelManager) -> dict[str, str]:
    try:
        model = await (await manager.get()).describe()
    except MynaError as error:
        return {"model": error.message}
    return describe(model)


def describe(model: ModelDescription) -> dict[str, str]:
    """A loaded model in three lines."""
    cache = model.kv_cache_tokens * model.kv_bytes_per_token
    return {
        "model": f"{model.name}, {model.quantisation} weights, {size(model.weight_bytes)}",
        "processor": f"{model.instruction_set} kernels, {model.threads} threads",
        "memory": f"KV cache for {model.kv_cache_tokens:,} tokens, at most {size(cache)}; context {model.context:,}",
    }
