"""Where a weight of a Program lies in a file, and how it is read from there.

Files differ in what they fuse, stack, transpose or shift; a `Source` says so as data, and is read without a copy
where the wanted rows lie side by side, whatever their type. Rows of quantised blocks can be picked and stacked as
they are; only what must be computed with is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from myna.errors import ModelFileError
from myna.formats import ModelFile, Tensor
from myna.formats.floats import as_bytes, bfloat16_codes, to_float32
from myna.formats.types import BLOCK_TYPES
from myna.models.config import AnyConfig, EncoderConfig, ModelConfig

COMPUTED = ("F32", "F16", "BF16")
"""Types that sources can compute with."""

WIDENED = {"F64": "F32", "F8_E4M3": "BF16", "F8_E5M2": "BF16"}
"""What types without kernels are read as. BF16 holds every 8-bit float exactly; F64 is rounded."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An array in a file, or made of arrays in a file: described now, read when it is lent.

    ``type`` is a GGUF name, ``shape`` row-major; ``tensors`` are what it is made of. ``lend`` gives its bytes.
    """

    type: str
    shape: tuple[int, ...]
    tensors: tuple[Tensor, ...]
    lend: Callable[[], AbstractContextManager[memoryview]]

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self.tensors[0].name


@dataclass(frozen=True, slots=True)
class Place:
    """Where sources look: a file's tensors by bare name, for one layer (or none) of a model."""

    file: ModelFile
    tensors: Mapping[str, Tensor]
    config: AnyConfig
    layer: str = ""

    def find(self, name: str, **fields: int) -> Stored:
        """The tensor of that name, ``{}`` standing for the layer. Raises ModelFileError when it is missing."""
        name = name.format(self.layer, **fields)
        tensor = self.tensors.get(name)
        if tensor is None:
            raise ModelFileError(self.file.path, f"tensor {name!r} is missing")
        if not tensor.shape:
            raise ModelFileError(self.file.path, f"tensor {name!r} is a single number")
        return _tensor(self.file, tensor)

    def refuse(self, stored: Stored, reason: str) -> ModelFileError:
        return ModelFileError(
            self.file.path, f"tensor {stored.name!r}, {stored.type} of shape {list(stored.shape)}, {reason}"
        )


class Derived(Protocol):
    """A source that is made of others."""

    def locate(self, place: Place) -> Stored:
        """Raises ModelFileError: a tensor is missing, or its shape or type does not allow it."""


Source = str | Derived
Size = int | Callable[[AnyConfig], int]


def layer_and_pattern(name: str) -> tuple[str, str]:
    """``layers.3.mlp.up`` is the pattern ``layers.{}.mlp.up`` in layer 3; what is in no layer is its own pattern."""
    if not name.startswith("layers."):
        return "", name
    _, layer, rest = name.split(".", 2)
    return layer, f"layers.{{}}.{rest}"


def locate(source: Source, place: Place) -> Stored:
    """Find a source in a file. Raises ModelFileError naming the tensor that is missing or of another shape or type."""
    return place.find(source) if isinstance(source, str) else source.locate(place)


@dataclass(frozen=True, slots=True)
class Rows:
    """``count`` rows from ``start``; sizes may be functions of the configuration."""

    source: Source
    start: Size
    count: Size

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        return slice_rows(place, stored, _size(self.start, place), _size(self.count, place))


@dataclass(frozen=True, slots=True)
class Part:
    """Block ``index`` of ``of`` equal blocks of rows, such as gate|up."""

    source: Source
    index: int
    of: int

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        if stored.shape[0] % self.of:
            raise place.refuse(stored, f"cannot be cut into {self.of} equal parts")
        count = stored.shape[0] // self.of
        return slice_rows(place, stored, self.index * count, count)


@dataclass(frozen=True, slots=True)
class QueryKeyValue:
    """Queries, keys or values of a matrix (or bias) that holds them as q|k|v blocks of rows."""

    source: Source
    part: Literal["q", "k", "v"]

    def locate(self, place: Place) -> Stored:
        config = place.config
        assert isinstance(config, ModelConfig)
        q, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
        start, count = {"q": (0, q), "k": (q, kv), "v": (q + kv, kv)}[self.part]
        stored = locate(self.source, place)
        if stored.shape[0] != q + 2 * kv:
            raise place.refuse(stored, f"should have {q + 2 * kv} rows of queries, keys and values")
        return slice_rows(place, stored, start, count)


@dataclass(frozen=True, slots=True)
class PerHead:
    """Part ``part`` of rows that lie as [heads, parts, head_dim], such as GPT-NeoX's fused q, k and v."""

    source: Source
    part: int
    parts: int

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        heads = place.config.heads
        if stored.shape[0] % (heads * self.parts):
            raise place.refuse(stored, f"cannot be cut into {heads} heads of {self.parts} parts")
        rows = np.arange(stored.shape[0]).reshape(heads, self.parts, -1)[:, self.part].ravel()
        return pick_rows(place, stored, rows)


@dataclass(frozen=True, slots=True)
class Strided:
    """Every ``step``-th row from ``start``, such as gpt-oss's interleaved gate and up."""

    source: Source
    start: int
    step: int

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        return pick_rows(place, stored, np.arange(self.start, stored.shape[0], self.step))


@dataclass(frozen=True, slots=True)
class Flat:
    """All axes but the last become one axis of rows: [experts, rows, columns] as [experts * rows, columns].

    ``vector``: the last one too, as a bias of experts wants it.
    """

    source: Source
    vector: bool = False

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        shape = stored.shape
        flat = (prod(shape),) if self.vector else (prod(shape[:-1]), shape[-1])
        return replace(stored, shape=flat)


@dataclass(frozen=True, slots=True)
class Transposed:
    """The last two axes change places; for layers that store [in, out], such as GPT-2's Conv1D."""

    source: Source

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        if len(stored.shape) < 2:
            raise place.refuse(stored, "should be a matrix")
        if stored.type not in COMPUTED:
            raise place.refuse(stored, "cannot be transposed")
        *leading, rows, columns = stored.shape
        element = np.dtype("V4" if stored.type == "F32" else "V2")

        @contextmanager
        def lend() -> Iterator[memoryview]:
            with stored.lend() as data:
                turned = np.frombuffer(data, element).reshape(stored.shape).swapaxes(-1, -2).tobytes()
            yield memoryview(turned)

        return replace(stored, shape=(*leading, columns, rows), lend=lend)


@dataclass(frozen=True, slots=True)
class Offset:
    """Every weight plus ``by``: norms that are stored as what is added to one, such as Gemma's."""

    source: Source
    by: float

    def locate(self, place: Place) -> Stored:
        stored = locate(self.source, place)
        if stored.type not in COMPUTED:
            raise place.refuse(stored, "cannot be computed with")

        @contextmanager
        def lend() -> Iterator[memoryview]:
            with stored.lend() as data:
                shifted = to_float32(data, stored.type) + np.float32(self.by)
            yield as_bytes(shifted)

        return replace(stored, type="F32", lend=lend)


@dataclass(frozen=True, slots=True)
class Sum:
    """Both added; ``second`` may be one row for all rows of ``first``, such as BERT's only kind of segment."""

    first: Source
    second: Source

    def locate(self, place: Place) -> Stored:
        first, second = locate(self.first, place), locate(self.second, place)
        for stored in (first, second):
            if stored.type not in COMPUTED:
                raise place.refuse(stored, "cannot be computed with")
        if second.shape not in (first.shape, (1, *first.shape[1:])):
            raise place.refuse(second, f"cannot be added to {first.name!r} of shape {list(first.shape)}")

        @contextmanager
        def lend() -> Iterator[memoryview]:
            with first.lend() as one, second.lend() as other:
                addend = to_float32(other, second.type).reshape(second.shape)
                added = to_float32(one, first.type).reshape(first.shape) + addend
            yield as_bytes(added)

        return Stored("F32", first.shape, (*first.tensors, *second.tensors), lend)


@dataclass(frozen=True, slots=True)
class Stacked:
    """The matrices of all experts, one below the other. ``pattern`` has ``{}`` for the layer, ``{expert}``."""

    pattern: str

    def locate(self, place: Place) -> Stored:
        experts = None if isinstance(place.config, EncoderConfig) else place.config.experts
        count = experts.count if experts else 0
        pieces = [place.find(self.pattern, expert=expert) for expert in range(count)]
        return stack(place, pieces)


@dataclass(frozen=True, slots=True)
class Either:
    """One source where the file has the tensor ``name``, another where it does not."""

    name: str
    present: Source
    absent: Source

    def locate(self, place: Place) -> Stored:
        return locate(self.present if self.name.format(place.layer) in place.tensors else self.absent, place)


@dataclass(frozen=True, slots=True)
class Below:
    """Several sources of one width and type, one below the other."""

    sources: tuple[Source, ...]

    def locate(self, place: Place) -> Stored:
        return stack(place, [locate(source, place) for source in self.sources])


@dataclass(frozen=True, slots=True)
class Chosen:
    """One source where the configuration fulfils a condition, another where it does not."""

    condition: Callable[[AnyConfig], bool]
    fulfilled: Source
    otherwise: Source

    def locate(self, place: Place) -> Stored:
        return locate(self.fulfilled if self.condition(place.config) else self.otherwise, place)


@dataclass(frozen=True, slots=True)
class Mxfp4:
    """gpt-oss's MXFP4 as Hugging Face stores it, in GGUF's blocks: a scale, then 16 bytes of two codes each.

    ``blocks``: U8 [..., groups, 16], codes of neighbours in one byte; ``scales``: U8 [..., groups]. GGUF's bytes
    pair code i with code i + 16 instead. Open Compute Project, Microscaling Formats (MX) 1.0.
    """

    blocks: Source
    scales: Source

    def locate(self, place: Place) -> Stored:
        blocks, scales = locate(self.blocks, place), locate(self.scales, place)
        if blocks.type != "U8" or scales.type != "U8" or blocks.shape != (*scales.shape, 16):
            raise place.refuse(blocks, f"should be U8 codes, 16 for each of the scales {list(scales.shape)}")

        @contextmanager
        def lend() -> Iterator[memoryview]:
            with blocks.lend() as codes, scales.lend() as exponents:
                packed = np.frombuffer(codes, np.uint8).reshape(-1, 16)
                made = np.empty((len(packed), 17), np.uint8)
                made[:, 0] = np.frombuffer(exponents, np.uint8)
                even, odd = packed & 15, packed >> 4
                first, second = slice(0, 8), slice(8, 16)
                made[:, 1::2] = even[:, first] | even[:, second] << 4
                made[:, 2::2] = odd[:, first] | odd[:, second] << 4
            yield as_bytes(made)

        *leading, groups = scales.shape
        return Stored("MXFP4", (*leading, groups * 32), (*blocks.tensors, *scales.tensors), lend)


def slice_rows(place: Place, stored: Stored, start: int, count: int) -> Stored:
    """Neighbouring rows (of a vector: elements), lent without a copy. Raises ModelFileError when it has too few."""
    if not 0 <= start <= start + count <= stored.shape[0]:
        raise place.refuse(stored, f"has no rows {start} to {start + count}")
    size = _row_bytes(place, stored)

    @contextmanager
    def lend() -> Iterator[memoryview]:
        with stored.lend() as data:
            yield data[start * size : (start + count) * size]

    return replace(stored, shape=(count, *stored.shape[1:]), lend=lend)


def pick_rows(place: Place, stored: Stored, rows: NDArray[np.intp]) -> Stored:
    """These rows (of a vector: elements) in this order, copied."""
    if len(rows) and rows.max() >= stored.shape[0]:
        raise place.refuse(stored, f"has no row {rows.max()}")
    size = _row_bytes(place, stored)

    @contextmanager
    def lend() -> Iterator[memoryview]:
        with stored.lend() as data:
            picked = np.frombuffer(data, np.uint8).reshape(-1, size)[rows]
        yield as_bytes(picked)

    return replace(stored, shape=(len(rows), *stored.shape[1:]), lend=lend)


def stack(place: Place, pieces: Sequence[Stored]) -> Stored:
    """Arrays of one type and width, one below the other. Raises ModelFileError when they differ."""
    if not pieces:
        raise ModelFileError(place.file.path, "it has experts of which none is there")
    first = pieces[0]
    for piece in pieces:
        if piece.type != first.type or piece.shape[1:] != first.shape[1:]:
            raise place.refuse(piece, f"should be as {first.name!r}, {first.type} of shape {list(first.shape)}")

    size = sum(_row_bytes(place, piece) * piece.shape[0] for piece in pieces)

    @contextmanager
    def lend() -> Iterator[memoryview]:
        whole = np.empty(size, np.uint8)
        position = 0
        for piece in pieces:
            with piece.lend() as data:
                whole[position : position + len(data)] = np.frombuffer(data, np.uint8)
                position += len(data)
        yield as_bytes(whole)

    rows = sum(piece.shape[0] for piece in pieces)
    return Stored(first.type, (rows, *first.shape[1:]), tuple(t for piece in pieces for t in piece.tensors), lend)


def _tensor(file: ModelFile, tensor: Tensor) -> Stored:
    target = WIDENED.get(tensor.type)

    @contextmanager
    def lend() -> Iterator[memoryview]:
        with file.read(tensor) as data:
            if target == "BF16":
                yield as_bytes(bfloat16_codes(tensor.type)[np.frombuffer(data, np.uint8)])
            elif target == "F32":
                yield as_bytes(to_float32(data, tensor.type))
            else:
                yield data

    return Stored(target or tensor.type, tensor.shape, (tensor,), lend)


def _row_bytes(place: Place, stored: Stored) -> int:
    """Bytes of one row, or of one element of a vector."""
    block, elements = BLOCK_TYPES[stored.type], prod(stored.shape[1:])
    if elements % block.elements:
        raise place.refuse(stored, "is a vector of blocks, which cannot be cut")
    return elements // block.elements * block.bytes


def _size(size: Size, place: Place) -> int:
    return size if isinstance(size, int) else size(place.config)
