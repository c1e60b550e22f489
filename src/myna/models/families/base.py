"""What a family declares: how its files describe a model, and what they call its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from myna.formats import ModelFile
from myna.models.config import AnyConfig
from myna.models.weights import Source


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of file tells of a family's models.

    Attributes:
        configure: the file's configuration; raises ModelFileError for what cannot be run.
        weights: where each weight of the Program is, ``{}`` standing for the layer's number.
        consumed: tensors that ``configure`` has read already, such as frequency factors; patterns of `fnmatch`.
        ignored: tensors that may be there and say nothing, such as causal masks; patterns too. Both are of tensors
            that no weight took.
        prefixes: what names of tensors may begin with; taken off, where it is there, before any of the above.
    """

    configure: Callable[[ModelFile], AnyConfig]
    weights: Mapping[str, Source]
    consumed: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """One architecture, as data: a layout for each kind of file that it comes in."""

    gguf: Layout | None = None
    huggingface: Layout | None = None
