"""Models in every quantised type against Transformers on the same weights, dequantised to float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from myna.errors import ModelFileError
from myna.formats import GGUFFile
from myna.models.loader import load_model
from tests.parity.reference import load_reference, native_logits, reference_logits, relative_error
from tests.quantised import TYPES
from tests.synthetic import write_model

SHAPE = {"layers": 2, "width": 256, "heads": 4, "kv_heads": 2, "mlp_width": 512, "tied": False}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # on few cores more of them only wait for each other


@pytest.mark.parametrize("quant", TYPES)
def test_logits_agree_as_read_and_as_packed(tmp_path: Path, quant: str) -> None:
    path = write_model(tmp_path / "model.gguf", quant=quant, **SHAPE)  # type: ignore[arg-type]
    ids = np.random.default_rng(7).integers(3, 380, 50).tolist()
    expected = reference_logits(load_reference(path), ids)
    assert relative_error(native_logits(load_model(path, quant="f32"), ids), expected) < 1e-4
    # What is left with `auto` is the rounding of activations to 8 bits, much more than that of the weights.
    assert relative_error(native_logits(load_model(path), ids), expected) < 6e-2


@pytest.mark.parametrize("quant", ["Q4_K", "Q6_K"])
def test_a_scale_that_is_not_finite_is_refused_with_the_tensors_name(tmp_path: Path, quant: str) -> None:
    path = write_model(tmp_path / "model.gguf", quant=quant, **SHAPE)  # type: ignore[arg-type]
    with GGUFFile(path) as file:
        offset = file.tensors["blk.1.ffn_up.weight"].offset + {"Q4_K": 144, "Q6_K": 210 + 208}[quant]
    content = bytearray(path.read_bytes())
    content[offset : offset + 2] = np.float16(np.inf).tobytes()
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"tensor 'blk\.1\.ffn_up\.weight' cannot be packed"):
        load_model(path)
