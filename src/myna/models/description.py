"""What is told of a model whose files were described: plain data, for processes that open no model themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileDescription:
    """Sizes are bytes, counts of elements, or tokens, as their names say.

    ``stored`` has the bytes of each type in the file, ``memory`` those of all weights as each packed format;
    ``loaded_as`` is what ``auto`` makes of it where memory is no matter. ``dialect`` is how it is
    talked to, None for encoders; ``template`` its own chat template; ``infill`` whether it can fill gaps in text.
    ``licence`` is as the files spell it, None where they say nothing.
    """

    title: str
    kind: str
    architecture: str
    parameters: int
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    experts: int
    experts_chosen: int
    window: int
    vocabulary: int
    context: int
    stored: dict[str, int]
    loaded_as: str
    memory: dict[str, int]
    kv_bytes_per_1000_tokens: int
    dialect: str | None
    template: str | None
    infill: bool
    licence: str | None


@dataclass(frozen=True, slots=True)
class UndeclaredDescription:
    """A checkpoint of a family that Myna does not declare, which PyTorch runs where it is installed."""

    title: str
    architecture: str
    parameters: int
    stored: dict[str, int]
    runs_on: str
    licence: str | None


Description = FileDescription | UndeclaredDescription
