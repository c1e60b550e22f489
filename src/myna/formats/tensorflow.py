"""OpenAI's GPT-2 as it was released: hparams.json and a TensorFlow checkpoint, presented as a Hugging Face one.

The checkpoint's index is a sorted string table of protocol buffers (tensorflow/core/util/tensor_bundle), so small
that reading it here, bounded and checked, spares half a gigabyte of TensorFlow. Its data are plain arrays.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import Kind, Metadata, Tensor
from myna.formats.jsonfile import flatten, read_object
from myna.formats.mapped import lend, map_file
from myna.formats.types import BLOCK_TYPES

HPARAMS = "hparams.json"
MAX_INDEX_BYTES = 2**24
MAX_TENSORS = 65_536
MAX_NAME = 1024

DTYPES = {1: "F32", 2: "F64", 3: "I32", 9: "I64", 14: "BF16", 19: "F16"}
"""tensorflow/core/framework/types.proto, as far as a GPT-2 could need it."""

NAMES = {
    "model/wte": "transformer.wte.weight",
    "model/wpe": "transformer.wpe.weight",
    "model/ln_f/g": "transformer.ln_f.weight",
    "model/ln_f/b": "transformer.ln_f.bias",
    **{
        f"model/h{{}}/{layer}/{kind}": f"transformer.h.{{}}.{layer.replace('/', '.')}.{called}"
        for layer, kinds in {
            "ln_1": "gb", "ln_2": "gb", "attn/c_attn": "wb", "attn/c_proj": "wb", "mlp/c_fc": "wb", "mlp/c_proj": "wb",
        }.items()
        for kind, called in zip(kinds, ("weight", "bias"), strict=True)
    },
}  # fmt: skip
"""OpenAI's names and Hugging Face's."""

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_LAYER = re.compile(r"model/h(\d{1,4})/")


class GPT2Checkpoint:
    """An open directory of OpenAI's layout.

    Raises:
        ModelFileError: a file is missing, truncated, corrupt, hostile, or of another model.
    """

    kind: Kind = "huggingface"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directories = (path,)
        params = flatten(path / HPARAMS, read_object(path / HPARAMS, 2**20))
        sizes = {name: params.integer(name, minimum=1, maximum=2**24) for name in ("n_vocab", "n_ctx", "n_embd")}
        self.metadata: Metadata = flatten(
            path / HPARAMS,
            {
                "model_type": "gpt2",
                "architectures": ["GPT2LMHeadModel"],
                "activation_function": "gelu_new",
                "vocab_size": sizes["n_vocab"],
                "n_positions": sizes["n_ctx"],
                "n_ctx": sizes["n_ctx"],
                "n_embd": sizes["n_embd"],
                "n_head": params.integer("n_head", minimum=1, maximum=1024),
                "n_layer": params.integer("n_layer", minimum=1, maximum=1024),
                "layer_norm_epsilon": 1e-5,
                "tie_word_embeddings": True,
                "bos_token_id": 50_256,
                "eos_token_id": 50_256,
            },
        )
        prefix = checkpoint_prefix(path)
        entries = dict(read_index(path / f"{prefix}.index"))
        self._map = map_file(path / f"{prefix}.data-00000-of-00001")
        try:
            self.tensors = dict(_presented(path, entries, len(self._map)))
        except BaseException:
            self._map.close()
            raise

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes; afterwards its pages are given back."""
        return lend(self._map, tensor.offset, tensor.bytes)

    def close(self) -> None:
        """Unmap the data."""
        self._map.close()


def checkpoint_prefix(path: Path) -> str:
    """What the checkpoint's files are called, without their endings. Raises ModelFileError when there is not one."""
    names = [file.name.removesuffix(".index") for file in path.glob("*.ckpt*.index")]
    if len(names) != 1:
        raise ModelFileError(path, f"it has {len(names)} TensorFlow checkpoints (*.ckpt.index), expected one")
    return names[0]


def read_index(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor that an index names. Raises ModelFileError: truncated, corrupt, or in more than one data file."""
    if not path.is_file() or path.stat().st_size > MAX_INDEX_BYTES:
        raise ModelFileError(path, f"there is no such file, or it is longer than {MAX_INDEX_BYTES} bytes")
    data = path.read_bytes()
    try:
        for key, value in _table(data):
            if not key:
                if _fields(value).get(1, 1) != 1:
                    raise ModelFileError(path, "its data lie in several files, which is not supported")
                continue
            name = key.decode()
            yield name, _entry(path, name, _fields(value))
    except (IndexError, ValueError, struct.error) as error:
        raise ModelFileError(path, "it is truncated or no index of a TensorFlow checkpoint") from error


def _entry(path: Path, name: str, fields: dict[int, int | bytes]) -> Tensor:
    """A BundleEntryProto."""
    number = fields.get(1, 0)
    if number not in DTYPES or 7 in fields:
        raise ModelFileError(path, f"tensor {name!r} is of a type or in slices that are not supported")
    offset, size = fields.get(4, 0), fields.get(5, 0)
    if isinstance(offset, bytes) or isinstance(size, bytes) or fields.get(3, 0) != 0:
        raise ValueError(name)
    type_ = DTYPES[int(number)]
    shape = tuple(_shape(fields.get(2, b"")))
    elements = 1
    for dimension in shape:
        elements *= dimension
    if elements * BLOCK_TYPES[type_].bytes != size:
        raise ModelFileError(path, f"tensor {name!r}, {type_} of shape {list(shape)}, does not take {size} bytes")
    return Tensor(name, type_, shape, offset, size)


def _presented(path: Path, entries: dict[str, Tensor], end: int) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in entries.items():
        layer = match[1] if (match := _LAYER.match(name)) else ""
        known = NAMES.get(name.replace(f"model/h{layer}/", "model/h{}/", 1) if match else name)
        if known is None:
            raise ModelFileError(path, f"tensor {name!r} is not part of a GPT-2")
        if tensor.offset + tensor.bytes > end:
            raise ModelFileError(path, f"it is truncated: tensor {name!r} ends behind its data")
        # Linear layers are convolutions of width 1 here: [1, in, out].
        shape = tensor.shape[1:] if len(tensor.shape) == 3 and tensor.shape[0] == 1 else tensor.shape
        target = known.format(layer)
        yield target, Tensor(target, tensor.type, shape, tensor.offset, tensor.bytes)


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a LevelDB table: a footer names the index block, which names the data blocks."""
    footer = data[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("no table")
    _, _, position = _handle(footer, 0)
    offset, size, _ = _handle(footer, position)
    count = behind = 0
    for _, handle in _block(data, offset, size):
        start, length, _ = _handle(handle, 0)
        if start < behind:  # one block, named again and again, would take for ever
            raise ValueError("overlap")
        behind = start + length
        for pair in _block(data, start, length):
            count += 1
            if count > MAX_TENSORS:
                raise ValueError("too many")
            yield pair


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries share the beginning of the key before; behind them stand restart points, which nobody needs here."""
    block = data[offset : offset + size]
    if len(block) < size or data[offset + size] != 0:  # a byte says how it is compressed; TensorFlow's are not
        raise ValueError("truncated or compressed")
    end = len(block) - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        if position + unshared + length > end or shared > len(key) or shared + unshared > MAX_NAME:
            raise ValueError("entry")
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + length]
        position += length


def _handle(data: bytes, position: int) -> tuple[int, int, int]:
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return offset, size, position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("number")


def _fields(message: bytes) -> dict[int, int | bytes]:
    """A protocol buffer's fields by number; of repeated ones the last."""
    return dict(_each_field(message))


def _each_field(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield tag >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)
        if kind == 2:
            length, position = _varint(message, position)
        if length is None or position + length > len(message):
            raise ValueError("field")
        yield tag >> 3, message[position : position + length]
        position += length


def _shape(message: int | bytes) -> Iterator[int]:
    """A TensorShapeProto: field 2, once a dimension, whose field 1 is its size."""
    if isinstance(message, int):
        raise ValueError("shape")
    for number, dimension in _each_field(message):
        if number == 2 and isinstance(dimension, bytes):
            size = _fields(dimension).get(1, 0)
            if not isinstance(size, int) or size > 2**40:
                raise ValueError("dimension")
            yield size
