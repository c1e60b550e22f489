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


def test_two_checkpoints_are_one_too_many(directory: Path) -> None:
    shutil.copy(directory / INDEX, directory / "other.ckpt.index")
    with pytest.raises(ModelFileError, match="it has 2 TensorFlow checkpoints"):
        open_model(directory)
