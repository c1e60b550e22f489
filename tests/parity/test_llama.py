"""Logits against Transformers on the same weights, dequantised to float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from myna.models.loader import load_model
from myna.settings import Quantisation
from tests.parity.reference import load_reference, native_logits, reference_logits, relative_error
from tests.synthetic import write_model

TEXT = (
    "The capital of France is Paris. It lies on the Seine, and its people are called Parisians; about 2,100,000 of them"
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # on few cores more of them only wait for each other


@pytest.fixture(scope="module")
def reference(default_model: Path) -> LlamaForCausalLM:
    return load_reference(default_model)


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"width": 96, "heads": 6, "kv_heads": 3, "head_dim": 16, "mlp_width": 160, "layers": 3, "tied": False},
        {"width": 72, "heads": 9, "kv_heads": 3, "head_dim": 8, "mlp_width": 100, "vocab_size": 387},
        {"width": 40, "heads": 5, "kv_heads": 1, "head_dim": 24, "mlp_width": 56, "layers": 1},
        {"width": 64, "heads": 2, "kv_heads": 2, "metadata": {"llama.rope.freq_base": 500_000.0}},
    ],
    ids=["plain", "untied", "awkward", "one-kv-head", "rope-base"],
)
def test_random_models_of_awkward_shapes_agree_in_float32(tmp_path: Path, shape: dict[str, object]) -> None:
    path = write_model(tmp_path / "random.gguf", **shape)  # type: ignore[arg-type]
    ids = np.random.default_rng(7).integers(3, 380, 50).tolist()
    expected = reference_logits(load_reference(path), ids)
    assert relative_error(native_logits(load_model(path), ids), expected) < 1e-4


@pytest.mark.parametrize(
    ("quant", "error", "agreement"),
    # Measured on 256 tokens of prose (avx512-vnni): f32 2e-6, bf16 6e-3, as shipped 4e-2, w8 6e-2. The last two
    # are mostly the int8 activations, so the bounds leave room for another text.
    [("f32", 1e-4, 1.0), ("bf16", 2e-2, 0.95), ("auto", 1e-1, 0.85), ("w8", 1e-1, 0.85)],
)
def test_the_default_model_agrees_in_every_weight_format(
    default_model: Path, reference: LlamaForCausalLM, quant: Quantisation, error: float, agreement: float
) -> None:
    model = load_model(default_model, quant=quant)
    ids = model.tokenizer.encode(TEXT)
    expected = reference_logits(reference, ids)
    actual = native_logits(model, ids)
    assert relative_error(actual, expected) < error
    assert np.mean(actual.argmax(-1) == expected.argmax(-1)) >= agreement


def test_a_float16_cache_costs_little(default_model: Path) -> None:
    model = load_model(default_model, quant="f32")
    ids = model.tokenizer.encode(TEXT)
    exact = native_logits(model, ids)
    assert relative_error(native_logits(model, ids, "float16"), exact) < 1e-2
