"""What a family declares: how its files describe a model, and what they call its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from myna.formats import ModelFile
from myna.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture, as data.

    ``configure`` maps a file's metadata to a `ModelConfig`; it raises ModelFileError for what it cannot run.
    ``weights`` maps names of the Program to tensor names, ``{}`` standing for the layer's number.
    ``consumed`` are tensors that ``configure`` has read already, such as frequency factors.
    """

    configure: Callable[[ModelFile], ModelConfig]
    weights: Mapping[str, str]
    consumed: frozenset[str] = frozenset()
