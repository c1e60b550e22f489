"""The checkpoint in gpt2/ was written by TensorFlow 2.21; its variables count on from 0 in the order below."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from myna.errors import ModelFileError
from myna.formats import open_model

CHECKPOINT = Path(__file__).with_name("gpt2")
INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
LAYER = {
    "ln_1.weight": (4,), "ln_1.bias": (4,), "ln_2.weight": (4,), "ln_2.bias": (4,), "attn.c_attn.weight": (4, 12),
    "attn.c_attn.bias": (12,), "attn.c_proj.weight": (4, 4), "attn.c_proj.bias": (4,), "mlp.c_fc.weight": (4, 16),
    "mlp.c_fc.bias": (16,), "mlp.c_proj.weight": (16, 4), "mlp.c_proj.bias": (4,),
}  # fmt: skip
SHAPES = {
    "transformer.wte.weight": (6, 4), "transformer.wpe.weight": (5, 4), "transformer.ln_f.weight": (4,),
    "transformer.ln_f.bias": (4,), **{f"transformer.h.0.{name}": shape for name, shape in LAYER.items()},
}  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKPOINT, tmp_path / "gpt2"))


def test_tensorflows_checkpoint_is_read_under_hugging_faces_names() -> None:
    with closing(open_model(CHECKPOINT)) as file:
        assert {name: tensor.shape for name, tensor in file.tensors.items()} == SHAPES
        start = 0
        for name in SHAPES:
            tensor = file.tensors[name]
            with file.read(tensor) as data:
                np.testing.assert_array_equal(np.frombuffer(data, "<f4"), np.arange(start, start + tensor.elements))
            start += tensor.elements
        sizes = [file.metadata.integer(key) for key in ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer")]
        assert sizes == [6, 5, 4, 2, 1]
        assert file.metadata.string("model_type") == "gpt2"


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("hparams.json", lambda content: b"{}", "its metadata lacks n_vocab"),
        (INDEX, lambda content: content[:-1], "it is truncated or no index of a TensorFlow checkpoint"),
        (INDEX, lambda content: b"", "it is truncated or no index of a TensorFlow checkpoint"),
        (INDEX, lambda content: content.replace(b"model/h0/attn", b"model/h0/xttn"), "is not part of a GPT-2"),
        (DATA, lambda content: content[:-4], "it is truncated: tensor"),
        (DATA, lambda content: b"", "it is empty"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(directory: Path, name: str, change, reason: str) -> None:  # type: ignore[no-untyped-def]
    (directory / name).write_bytes(change((directory / name).read_bytes()))
    with pytest.raises(ModelFileError, match=reason):
        open_model(directory)


def varint(value: int) -> bytes:
    return bytes([value & 0x7F | 0x80]) + varint(value >> 7) if value > 0x7F else bytes([value])


def block(*entries: tuple[int, bytes, bytes]) -> bytes:
    """Entries as (length shared with the key before, rest of the key, value); one restart point, no compression."""
    content = b"".join(varint(shared) + varint(len(k)) + varint(len(v)) + k + v for shared, k, v in entries)
    return content + bytes(4) + (1).to_bytes(4, "little") + bytes(5)


def table(*blocks: bytes, named: int = 1) -> bytes:
    """A LevelDB table, its index naming each block so many times."""
    content, handles = b"", []
    for each in blocks:
        handles += [(0, b"k", varint(len(content)) + varint(len(each) - 5))] * named
        content += each
    index = block(*handles)
    handle = varint(0) + varint(0) + varint(len(content)) + varint(len(index) - 5)
    return content + index + handle.ljust(40, b"\0") + (0xDB4775248B80FB57).to_bytes(8, "little")


EMPTY = bytes((8, 1, 18, 4, 18, 2, 8, 0))
"""A tensor of float32 and shape [0]."""


@pytest.mark.parametrize(
    "index",
    [
        table(block((0, b"", b"")), named=3),
        table(block((0, b"", b""), (0, b"a" * 1000, EMPTY), (1000, b"a" * 1000, b""))),
    ],
    ids=["one block again and again", "names that grow and grow"],
)
def test_small_files_that_unfold_to_large_ones_are_refused(directory: Path, index: bytes) -> None:
    (directory / INDEX).write_bytes(index)
    with pytest.raises(ModelFileError, match="it is truncated or no index of a TensorFlow checkpoint"):
        open_model(directory)


def test_two_checkpoints_are_one_too_many(directory: Path) -> None:
    shutil.copy(directory / INDEX, directory / "other.ckpt.index")
    with pytest.raises(ModelFileError, match="it has 2 TensorFlow checkpoints"):
        open_model(directory)
