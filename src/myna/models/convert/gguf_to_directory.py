"""A GGUF file -> a checkpoint directory. As the other way round, what is written is checked by reading it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.formats.blocks import decode, encode
from myna.formats.floats import as_bytes
from myna.formats.jsonfile import flatten
from myna.formats.written import Written
from myna.models.config import ModelConfig
from myna.models.convert.config_json import CLASSES, MODEL_TYPES, configuration
from myna.models.convert.directory import DTYPES, DirectoryConversion
from myna.models.convert.readback import Planned, check_same
from myna.models.convert.rotary import in_rotary_order
from myna.models.convert.tensor_types import check_readable
from myna.models.convert.tokenizer_json import tokenizer_files
from myna.models.decoder import build_decoder
from myna.models.describe import stated_licence
from myna.models.families import Layout, layout_of
from myna.models.packing import Packing, plan_packing
from myna.models.tokenizer import load_tokenizer
from myna.models.weights import Offset, Part, PerHead, QueryKeyValue, Source, Transposed, layer_and_pattern

Floats = NDArray[np.float32]
HEADS = ("lm_head.", "embed_out.")
"""What stands beside the model that all other names begin with."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A weight's place in a tensor of a checkpoint: ``index`` of several, ``less`` what is taken off its values."""

    packing: Packing
    index: int = 0
    per_head: bool = False
    turned: bool = False
    less: float = 0.0


def plan_from_gguf(file: ModelFile, kind: str | None) -> DirectoryConversion:
    """What the directory of a GGUF file's model is to hold; without ``kind`` blocks become float32.

    Raises:
        ModelFileError: it cannot be read, or a directory cannot say what it is.
        UnsupportedParameter: its weights are quantised in a way that cannot be converted.
    """
    layout = layout_of(file)
    config = layout.configure(file)
    model_type = MODEL_TYPES.get(config.architecture, config.architecture)
    if isinstance(config, ModelConfig) and config.experts is not None:
        raise ModelFileError(file.path, "a mixture of experts cannot be written as a directory")
    if model_type not in CLASSES or not isinstance(config, ModelConfig):
        what = f"its architecture {config.architecture!r} cannot be written as a directory"
        raise ModelFileError(file.path, f"{what}; these can: {', '.join(CLASSES)}")
    tokenizer = load_tokenizer(file)
    plan = plan_packing(file, layout, build_decoder(config), config)
    for packing in plan:
        check_readable(packing.stored.name, packing.stored.type, param="source")
    keys = configuration(config, model_type)
    metadata = flatten(file.path, keys)
    target = layout_of(Planned(file.path, "huggingface", metadata, []))
    tensors = _tensors(file, target, plan, config, kind)
    told = target.configure(Planned(file.path, "huggingface", metadata, tensors))
    check_same(file, config, told)
    tensors = _tensors(file, target, in_rotary_order(plan, config, told), config, kind)
    types = [tensor.type for tensor in tensors]
    keys["dtype"] = DTYPES[max(types, key=types.count)]
    # What nothing pads needs no token for it, but some classes have one beyond small vocabularies by default.
    keys |= {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.eos_id}
    texts = tokenizer_files(file, tokenizer)
    if (licence := stated_licence(file)) is not None:
        texts["README.md"] = f"---\nlicense: {licence}\n---\n"
    return DirectoryConversion(keys, tensors, {}, texts)


def _tensors(
    file: ModelFile, layout: Layout, plan: list[Packing], config: ModelConfig, kind: str | None
) -> list[Written]:
    gathered: dict[str, list[Piece]] = {}
    for packing in plan:
        layer, pattern = layer_and_pattern(packing.weight.name)
        bare, piece = _placed(file, layout.weights.get(pattern), Piece(packing))
        gathered.setdefault(bare.format(layer), []).append(piece)
    prefix = "model." if "model." in layout.prefixes else layout.prefixes[0]
    written = []
    for bare, pieces in gathered.items():
        pieces.sort(key=lambda piece: piece.index)
        stored = pieces[0].packing.stored
        shape = (sum(piece.packing.stored.shape[0] for piece in pieces), *stored.shape[1:])
        shape = shape[::-1] if pieces[0].turned else shape
        type_ = kind or (stored.type if stored.type in DTYPES else "F32")
        name = bare if bare.startswith(HEADS) else prefix + bare
        written.append(Written(name, type_, shape, _lender(pieces, config, type_)))
    return written


def _placed(file: ModelFile, source: Source | None, piece: Piece) -> tuple[str, Piece]:
    """The tensor that a source reads from, and how its weight goes there."""
    packing = piece.packing
    match source:
        case str():
            return source, piece
        case Offset(str(name), by):
            return name, Piece(packing, less=by)
        case Transposed(str(name)):
            return name, Piece(packing, turned=True)
        case QueryKeyValue(str(name), part):
            return name, Piece(packing, "qkv".index(part))
        case QueryKeyValue(Transposed(str(name)), part):
            return name, Piece(packing, "qkv".index(part), turned=True)
        case PerHead(str(name), index, _):
            return name, Piece(packing, index, per_head=True)
        case Part(str(name), index, _):
            return name, Piece(packing, index)
    raise ModelFileError(file.path, f"a directory of its architecture has no place for {packing.weight.name}")


def _lender(pieces: list[Piece], config: ModelConfig, type_: str) -> Callable[[], AbstractContextManager[memoryview]]:
    @contextmanager
    def lend() -> Iterator[memoryview]:
        parts = [_values(piece) for piece in pieces]
        whole = np.concatenate(parts)
        if pieces[0].per_head:
            each = [part.reshape(config.heads, 1, -1, *part.shape[1:]) for part in parts]
            whole = np.concatenate(each, axis=1).reshape(whole.shape)
        yield as_bytes(np.frombuffer(encode(whole.T if pieces[0].turned else whole, type_), np.uint8))

    return lend


def _values(piece: Piece) -> Floats:
    stored = piece.packing.stored
    with stored.lend() as data:
        values = decode(data, stored.type).reshape(stored.shape)
    return values - np.float32(piece.less) if piece.less else values
