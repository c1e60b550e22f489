from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch

from myna.errors import ModelFileError
from myna.formats import ModelFile, open_model
from myna.formats.floats import to_bfloat16, to_float32
from myna.models.config import AttentionConfig, ExpertsConfig, ModelConfig
from myna.models.weights import (
    Flat,
    Mxfp4,
    Offset,
    Part,
    PerHead,
    Place,
    QueryKeyValue,
    Rows,
    Source,
    Stacked,
    Strided,
    Sum,
    Transposed,
    locate,
)
from tests.formats.checkpoints import safetensors, write_directory

CONFIG = ModelConfig(
    architecture="test", width=4, heads=2, kv_heads=1, head_dim=3, mlp_width=4, vocab_size=8, context=8,
    attention=(AttentionConfig(None),), norm="rms", norm_epsilon=1e-5, activation="silu", tied_embeddings=True,
    experts=ExpertsConfig(count=2, chosen=1, renormalise=True),
)  # fmt: skip
MATRIX = np.arange(48, dtype="f4").reshape(12, 4)
VECTOR = np.arange(12, dtype="f4")
CUBE = np.arange(24, dtype="f4").reshape(2, 3, 4)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[ModelFile]:
    tensors = {
        "matrix": MATRIX, "vector": VECTOR, "cube": CUBE, "row": MATRIX[:1],
        "layers.7.x.0.w": MATRIX[:2], "layers.7.x.1.w": MATRIX[2:4],
    }  # fmt: skip
    content: dict[str, Any] = {name: ("F32", list(value.shape), value.tobytes()) for name, value in tensors.items()}
    content["number"] = ("F32", [], bytes(4))
    content["codes"] = ("U8", [1, 2, 16], bytes(range(32)))
    content["scales"] = ("U8", [1, 2], bytes([127, 128]))
    content["half"] = ("BF16", [2], struct.pack("<2H", 0x3F80, 0xC000))
    path = write_directory(tmp_path / "model", {"model.safetensors": safetensors(**content)})
    with closing(open_model(path)) as opened:
        yield opened


def read(file: ModelFile, source: Source) -> np.ndarray:
    stored = locate(source, Place(file, file.tensors, CONFIG, "7"))
    with stored.lend() as data:
        return to_float32(bytes(data), stored.type).reshape(stored.shape)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("matrix", MATRIX),
        ("layers.{}.x.1.w", MATRIX[2:4]),
        (Rows("matrix", 3, 2), MATRIX[3:5]),
        pytest.param(Rows("matrix", lambda config: config.width, 1), MATRIX[4:5], id="Rows from a size"),
        (Part("matrix", 1, 3), MATRIX[4:8]),
        (Part("vector", 2, 3), VECTOR[8:]),
        (QueryKeyValue("matrix", "q"), MATRIX[:6]),
        (QueryKeyValue("matrix", "k"), MATRIX[6:9]),
        (QueryKeyValue("vector", "v"), VECTOR[9:]),
        (PerHead("matrix", 1, 3), MATRIX[[2, 3, 8, 9]]),
        (PerHead("vector", 2, 3), VECTOR[[4, 5, 10, 11]]),
        (Strided("matrix", 1, 2), MATRIX[1::2]),
        (Transposed("matrix"), MATRIX.T),
        (Transposed("cube"), CUBE.swapaxes(1, 2)),
        (Flat("cube"), CUBE.reshape(6, 4)),
        (Flat(Transposed("cube")), CUBE.swapaxes(1, 2).reshape(8, 3)),
        (Flat("matrix", vector=True), MATRIX.ravel()),
        (Part(Transposed("matrix"), 1, 2), MATRIX.T[2:]),
        (Offset("vector", 1.0), VECTOR + 1),
        (Offset("half", 1.0), np.array([2.0, -1.0])),
        (Sum("matrix", "row"), MATRIX + MATRIX[0]),
        (Sum("vector", "vector"), VECTOR * 2),
        (Stacked("layers.{}.x.{expert}.w"), MATRIX[:4]),
    ],
    ids=str,
)
def test_what_a_source_reads(file: ModelFile, source: Source, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(read(file, source), expected)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("layers.{}.y", "tensor 'layers.7.y' is missing"),
        (Part("number", 0, 1), "tensor 'number' is a single number"),
        (Rows("matrix", 11, 2), r"tensor 'matrix', F32 of shape \[12, 4\], has no rows 11 to 13"),
        (Part("matrix", 0, 5), "cannot be cut into 5 equal parts"),
        (QueryKeyValue("cube", "q"), "should have 12 rows of queries, keys and values"),
        (PerHead("cube", 0, 3), "cannot be cut into 2 heads of 3 parts"),
        (Transposed("vector"), "should be a matrix"),
        (Transposed("codes"), "cannot be transposed"),
        (Offset("codes", 1.0), "cannot be computed with"),
        (Sum("matrix", "vector"), "cannot be added to 'matrix'"),
        (Stacked("layers.{}.{expert}"), "tensor 'layers.7.0' is missing"),
        (Mxfp4("codes", "codes"), "should be U8 codes"),
    ],
    ids=str,
)
def test_what_a_source_refuses(file: ModelFile, source: Source, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        read(file, source)


def test_neighbouring_rows_are_not_copied(file: ModelFile) -> None:
    place = Place(file, file.tensors, CONFIG)
    with locate(QueryKeyValue("matrix", "k"), place).lend() as part, file.read(file.tensors["matrix"]) as whole:
        first, start = np.frombuffer(part, "f4"), np.frombuffer(whole, "f4")
        assert first.ctypes.data - start.ctypes.data == 6 * 4 * 4


def test_rows_of_quantised_blocks_stay_blocks(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((8, 64)).astype("f4")
    blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q4_1)
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "test")
    writer.add_tensor("x", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with closing(open_model(tmp_path / "model.gguf")) as file:
        stored = locate(PerHead(Part("x", 1, 2), 1, 2), Place(file, file.tensors, CONFIG))
        with stored.lend() as data:
            assert (stored.type, stored.shape) == ("Q4_1", (2, 64))
            np.testing.assert_array_equal(np.frombuffer(data, "u1").reshape(2, -1), blocks[[5, 7]])


def test_mxfp4_of_hugging_face_is_that_of_gguf(file: ModelFile) -> None:
    stored = locate(Flat(Mxfp4("codes", "scales")), Place(file, file.tensors, CONFIG))
    with stored.lend() as data:
        values = gguf.quants.dequantize(np.frombuffer(data, "u1").reshape(1, -1), gguf.GGMLQuantizationType.MXFP4)
    levels = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    codes = np.arange(32)[:, None] >> [0, 4] & 15  # the neighbours in each byte, low half first
    expected = levels[codes].reshape(2, 32) * [[1.0], [2.0]]
    assert (stored.type, stored.shape) == ("MXFP4", (1, 64))
    np.testing.assert_array_equal(values.reshape(2, 32), expected)


@pytest.mark.parametrize("name", ["F8_E4M3", "F8_E5M2", "F64"])
def test_types_without_kernels_are_widened(tmp_path: Path, name: str) -> None:
    dtype = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F64": torch.float64}[name]
    codes = torch.arange(256, dtype=torch.uint8)
    values = codes.view(dtype) if name != "F64" else codes.double() / 7
    data = bytes(values.view(torch.uint8).numpy())
    path = write_directory(tmp_path / "model", {"model.safetensors": safetensors(x=(name, [256], data))})
    with closing(open_model(path)) as file:
        np.testing.assert_array_equal(read(file, "x"), values.float().numpy())


def test_bfloat16_is_rounded_as_pytorch_does() -> None:
    values = np.random.default_rng(0).standard_normal(1000).astype("f4") * 10.0 ** np.arange(-40, 38, 0.078)
    values = np.append(values.astype("f4"), np.array([np.inf, -np.inf, np.nan, 1 + 2**-8, 1 + 3 * 2**-8], "f4"))
    expected = torch.from_numpy(values).bfloat16().float().numpy()
    np.testing.assert_array_equal(to_float32(to_bfloat16(values).tobytes(), "BF16"), expected)
