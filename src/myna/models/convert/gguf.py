"""Any model that can be read -> one GGUF file, as llama.cpp reads it too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from myna.errors import ModelFileError
from myna.formats import Metadata, ModelFile, Scalar
from myna.formats.base import Array
from myna.formats.blocks import GROUP, READABLE
from myna.formats.floats import as_bytes
from myna.formats.gguf_writer import Value
from myna.formats.written import Written
from myna.models.config import AnyConfig, ModelConfig
from myna.models.convert.gguf_keys import architecture_keys, computed_tensors
from myna.models.convert.gguf_tokenizer import tokenizer_keys
from myna.models.convert.readback import Planned, check_same
from myna.models.convert.rotary import in_rotary_order
from myna.models.convert.tensor_types import check_readable, converted, lender
from myna.models.describe import stated_licence
from myna.models.families import Layout, layout_of
from myna.models.loader import build_program, title_of, without_padding
from myna.models.packing import EXACT, Packing, plan_packing
from myna.models.tokenizer import load_tokenizer
from myna.models.weights import Either, Flat, Part, QueryKeyValue, Rows, Source, Sum, layer_and_pattern

TargetType = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1"]

FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "BF16": 32}
"""What general.file_type says of most of a file's weights."""

LEFT_OUT = ("split.", "general.alignment")
"""Keys of how a GGUF file lies on disk, which the one to be written does otherwise."""

FINE = ("embedding", "head")
"""Matrices that stay at 8 bits when the others get 4: their errors cost most (docs/decisions/022)."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a GGUF file is to hold."""

    metadata: dict[str, Value]
    tensors: list[Written]

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(tensor.bytes for tensor in self.tensors)


def plan_gguf(file: ModelFile, quant: TargetType | None = None) -> Conversion:
    """What the GGUF file of a model is to hold; None keeps each tensor's own precision.

    Raises:
        ModelFileError: it cannot be read, or a GGUF file cannot say what it is.
        UnsupportedParameter: its weights are quantised in a way that only other programs can change.
    """
    kind = quant.upper() if quant else None
    if file.kind == "gguf":
        return _again(file, kind)
    layout = layout_of(file)
    tokenizer = load_tokenizer(file)
    config = layout.configure(file)
    config = without_padding(config, tokenizer)
    plan = plan_packing(file, layout, build_program(file, config), config)
    keys = architecture_keys(config, file) | {"general.name": title_of(file)}
    if (licence := stated_licence(file)) is not None:
        keys["general.license"] = licence
    extra = [_constant(name, values) for name, values in computed_tensors(config).items()]
    metadata = Metadata(file.path, {key: value for key, value in keys.items() if isinstance(value, Scalar)})
    target = _architecture(file, keys, metadata)
    tensors = [*_tensors(file, target, plan, config, kind), *extra]
    told = target.configure(Planned(file.path, "gguf", metadata, tensors))
    check_same(file, config, told)
    tensors = [*_tensors(file, target, in_rotary_order(plan, config, told), config, kind), *extra]
    types = [tensor.type for tensor in tensors if len(tensor.shape) > 1]
    keys |= {"general.file_type": FILE_TYPES.get(max(types, key=types.count), 0), "general.quantization_version": 2}
    return Conversion(keys | tokenizer_keys(file, tokenizer), tensors)


def _architecture(file: ModelFile, keys: Mapping[str, Value], metadata: Metadata) -> Layout:
    try:
        return layout_of(Planned(file.path, "gguf", metadata, []))
    except ModelFileError:
        raise ModelFileError(
            file.path, f"there is no GGUF layout for its architecture {keys['general.architecture']!r}"
        ) from None


def _tensors(
    file: ModelFile, layout: Layout, plan: list[Packing], config: AnyConfig, kind: str | None
) -> list[Written]:
    """The tensors of a GGUF file: what it fuses is put together, in the order of the source's own."""
    gathered: dict[str, list[tuple[int, Packing, Source]]] = {}
    for packing in plan:
        name = packing.weight.name
        layer, pattern = layer_and_pattern(name)
        source = layout.weights.get(pattern)
        if isinstance(source, Either):  # the file to be written lacks what sets another kind of file apart
            source = source.absent
        tensor, place = _written_as(source)
        if source is None or tensor is None:
            raise ModelFileError(file.path, f"a GGUF file of its architecture has no place for {name}")
        gathered.setdefault(tensor.format(layer), []).append((place, packing, source))
    written = []
    for name, pieces in gathered.items():
        pieces.sort(key=lambda piece: piece[0])
        packings = [packing for _, packing, _ in pieces]
        shape = (sum(packing.stored.shape[0] for packing in packings), *packings[0].stored.shape[1:])
        if isinstance(pieces[0][2], Flat):
            assert isinstance(config, ModelConfig)
            assert config.experts is not None
            shape = (config.experts.count, shape[0] // config.experts.count, *shape[1:])
        type_ = _type(packings[0], kind)
        written.append(Written(name, type_, shape, _lender(file, packings, type_)))
    return written


def _written_as(source: Source | None) -> tuple[str | None, int]:
    """The tensor that a GGUF layout's source is in, and as which part of it."""
    match source:
        case str():
            return source, 0
        case Flat(str(name)):
            return name, 0
        case QueryKeyValue(str(name), part):
            return name, "qkv".index(part)
        case Part(str(name), index, _):
            return name, index
        case Sum(Rows(str(name), 0, _), _):  # an encoder's positions, to which the only kind of text was added
            return name, 0
    return None, 0


def _constant(name: str, values: NDArray[np.float32]) -> Written:
    return Written(name, "F32", values.shape, lambda: nullcontext(as_bytes(values)))


def _type(packing: Packing, kind: str | None) -> str:
    """GGUF type of a weight; None keeps its own."""
    own, weight = packing.stored.type, packing.weight
    if weight.kind == "vector" or weight.name.endswith(EXACT):
        return "F32"
    if kind is None or (own not in READABLE and own == kind):
        return own
    if kind in ("F32", "F16", "BF16"):
        return kind
    if weight.columns % GROUP:
        return "F16"
    return "Q8_0" if weight.name in FINE else kind


def _lender(file: ModelFile, packings: list[Packing], type_: str) -> Callable[[], AbstractContextManager[memoryview]]:
    """Bytes of one or several weights, one below the other, as ``type_``."""

    @contextmanager
    def lend() -> Iterator[memoryview]:
        if len(packings) == 1 and packings[0].stored.type == type_:
            with packings[0].stored.lend() as data:
                yield data
            return
        parts = []
        for packing in packings:
            stored = packing.stored
            with stored.lend() as data:
                parts.append(converted(file, stored.name, data, stored.type, type_))
        yield parts[0] if len(parts) == 1 else memoryview(b"".join(parts))

    return lend


def _again(file: ModelFile, kind: str | None) -> Conversion:
    """A GGUF file with other types (or, of a split one, in one file); everything else as it was."""
    tensors = []
    for tensor in sorted(file.tensors.values(), key=lambda tensor: (tensor.part, tensor.offset)):
        type_ = tensor.type
        if kind is not None:
            check_readable(tensor.name, tensor.type)
            if len(tensor.shape) > 1 and not tensor.name.startswith("position"):
                fine = tensor.name in ("token_embd.weight", "output.weight") and kind in ("Q4_0", "Q4_1")
                type_ = "F16" if kind.startswith("Q") and tensor.shape[-1] % GROUP else "Q8_0" if fine else kind
        tensors.append(Written(tensor.name, type_, tensor.shape, lender(file, tensor, type_)))
    keys: dict[str, Value] = {
        key: _copied(value) for key, value in file.metadata.items() if not key.startswith(LEFT_OUT)
    }
    if kind is not None:
        keys["general.file_type"] = FILE_TYPES[kind]
    return Conversion(keys, tensors)


def _copied(value: Scalar | Array) -> Value:
    if isinstance(value, bool | int | float | str):
        return value
    if value.element is int and value.count and len(value.raw()) == value.count:
        return value.raw()  # one byte each: a map of characters, not numbers
    return cast("Value", list(value.values()))
