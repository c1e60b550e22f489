import dataclasses

import pytest

from myna.models.config import AttentionConfig, ModelConfig, RopeConfig
from myna.models.decoder import build_decoder

CONFIG = ModelConfig(
    architecture="llama", width=48, heads=6, kv_heads=2, head_dim=8, mlp_width=80, vocab_size=100, context=64,
    norm="rms", norm_epsilon=1e-5, activation="silu", tied_embeddings=False,
    attention=(AttentionConfig(RopeConfig(8, 1e4, "half")),) * 2,
)  # fmt: skip


def test_weights_by_place():
    weights = build_decoder(CONFIG).weights
    assert len(weights) == 3 + 2 * 9
    shapes = {name: (w.rows, w.columns) for name, w in weights.items()}
    assert shapes["embedding"] == shapes["head"] == (100, 48)
    assert shapes["output_norm"] == shapes["layers.1.attention_norm"] == shapes["layers.1.mlp_norm"] == (1, 48)
    assert shapes["layers.1.attention.q"] == shapes["layers.1.attention.output"] == (48, 48)
    assert shapes["layers.1.attention.k"] == shapes["layers.1.attention.v"] == (16, 48)
    assert shapes["layers.1.mlp.gate"] == shapes["layers.1.mlp.up"] == (80, 48)
    assert shapes["layers.1.mlp.down"] == (48, 80)
    assert {name for name, w in weights.items() if w.kind == "vector"} == {n for n in weights if n.endswith("norm")}


def test_tied_embeddings_have_no_head():
    assert "head" not in build_decoder(dataclasses.replace(CONFIG, tied_embeddings=True)).weights


def test_layer_norm_has_biases():
    weights = build_decoder(dataclasses.replace(CONFIG, norm="layer")).weights
    assert weights["layers.0.mlp_norm.bias"].columns == 48
    assert weights["output_norm.bias"].kind == "vector"


def test_heads_need_not_fill_the_width():
    weights = build_decoder(dataclasses.replace(CONFIG, head_dim=16)).weights
    assert weights["layers.0.attention.output"].columns == 96


def test_contradictions_are_named():
    with pytest.raises(ValueError, match="6 heads over 4 KV heads"):
        build_decoder(dataclasses.replace(CONFIG, kv_heads=4))
    with pytest.raises(ValueError, match="rope over 16 of 8 dimensions"):
        build_decoder(dataclasses.replace(CONFIG, attention=(AttentionConfig(RopeConfig(16, 1e4, "half")),)))
