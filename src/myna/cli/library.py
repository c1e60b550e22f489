"""Models on disk and in the catalog, as the command line shows them."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from myna.backends.removal import remove_model
from myna.cli.interrupts import raises_on_interrupt
from myna.cli.terminal import PullDisplay, harmless, print_fields, size
from myna.engine.options import EngineOptions, engine_options
from myna.hub import Hub
from myna.hub.catalog import checkpoint
from myna.hub.catalog import models as catalog_models
from myna.hub.hub import Reference
from myna.hub.licences import licence
from myna.settings import Settings


def fetch(settings: Settings, name: str) -> Path:
    """The model's file, fetched with a progress bar on stderr when it is not there yet. Ctrl-C keeps what has come.

    Raises:
        NotFound, HubError: see `myna.hub.Hub.pull`.
    """
    hub = Hub(settings.models_dir)
    if (path := hub.find(name)) is not None:
        return path
    with raises_on_interrupt(), PullDisplay(hub.resolve(name).name) as display:
        return hub.pull(name, display.update)


def options_for(settings: Settings, name: str) -> EngineOptions:
    """What to start an engine with for a model, which is fetched first where needed."""
    path = fetch(settings, name)
    return engine_options(settings, path, Hub(settings.models_dir).resolve(name).name)


def print_models(settings: Settings, *, as_json: bool) -> None:
    """Every model that is on disk or known, one a line, those on disk first."""
    hub = Hub(settings.models_dir)
    default = hub.resolve(settings.model).name
    local = {model.name: model for model in hub.local()}
    rows = [_row(name, model.bytes, model.entry, on_disk=True, default=default) for name, model in local.items()]
    rows += [
        _row(entry.name, entry.bytes, entry, on_disk=False, default=default)
        for entry in catalog_models()
        if entry.name not in local
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        notes = [
            size(row["bytes"]),
            "on disk" if row["on_disk"] else "not fetched",
            row["licence"] or "licence unknown",
        ]
        if row["default"]:
            notes.append("default")
        typer.echo(f"{row['name']:<{width}}  {', '.join(notes)}")


def print_model(settings: Settings, name: str, *, as_json: bool) -> None:
    """All there is to say about a model, without loading it.

    Raises:
        NotFound: the name means nothing.
        ModelFileError: the file cannot be used.
    """
    hub = Hub(settings.models_dir)
    reference, path = hub.resolve(name), hub.find(name)
    fields: dict[str, Any] = {"name": reference.name}
    if (entry := reference.entry) is not None:
        fields |= {
            "title": entry.title,
            "description": entry.description,
            "sources": [source.label for source in entry.sources],
            "download": entry.bytes,
        }
    fields["path"] = None if path is None else str(path)
    described = None
    if path is not None:
        from myna import hardware  # the kernels and NumPy, which a model that is not here needs not
        from myna.models.describe import describe_any

        described = describe_any(path)
        fields |= dataclasses.asdict(described) | fields
        fields |= {"instruction_set": hardware.instruction_sets()[0], "threads": hardware.usable_cores()}
        pulled = next((model for model in hub.local() if model.name == reference.name), None)
        if pulled is not None:
            fetched = datetime.fromtimestamp(pulled.pulled_at, UTC).isoformat(timespec="seconds")
            fields |= {"sha256": pulled.sha256, "source": pulled.source, "fetched_at": fetched}
    fields["licence"] = _licence(reference, described.licence if described else None)
    if as_json:
        typer.echo(json.dumps(fields, indent=2))
    else:
        template = fields.pop("template", None)
        if fields.get("kind") in ("encoder", "reranker"):
            del fields["dialect"]
        print_fields({label: _text(label, value) for label, value in fields.items() if value not in (0, {}, [])})
        if template is not None:
            typer.echo(f"\n{harmless(template)}")


def _licence(reference: Reference, stated: str | None) -> str | None:
    """The licence and its class: the catalog's word for it, else that of the repository, else of the files."""
    known = checkpoint(reference.name)
    if reference.entry is not None:
        found = reference.entry.licence_details
    elif known is not None:
        found = known.licence
    elif stated is not None:
        found = licence(stated)
    else:
        return None
    return f"{found.id} ({found.licence_class})"


def remove(settings: Settings, name: str) -> None:
    """Delete a model, with what was kept of its packed weights, and say what that freed.

    Raises:
        NotFound: it is not on disk.
    """
    freed = remove_model(Hub(settings.models_dir), name)
    typer.echo(f"Removed {name}; {size(freed)} are free again.")


def _row(name: str, bytes_: int, entry: Any, *, on_disk: bool, default: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": entry.title if entry else name,
        "bytes": bytes_,
        "on_disk": on_disk,
        "licence": entry.licence if entry else None,
        "default": name == default,
    }


def _text(label: str, value: Any) -> str:
    if value is None:
        return "not fetched; myna pull fetches it" if label == "path" else "not stated"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {size(bytes_)}" for name, bytes_ in value.items())
    if label.endswith("bytes") or label.startswith("bytes") or label in ("download", "kv_bytes_per_1000_tokens"):
        return size(value)
    return f"{value:,}" if isinstance(value, int) else str(value)
