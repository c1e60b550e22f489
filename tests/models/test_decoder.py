import dataclasses

import pytest

from myna.models.config import AttentionConfig, ExpertsConfig, ModelConfig, RopeConfig
from myna.models.decoder import alibi_slopes, build_decoder
from myna.models.program import Attend, Rope, Softcap

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


@pytest.mark.parametrize(
    ("changes", "shapes"),
    [
        ({"qkv_bias": True}, {f"layers.1.attention.{part}.bias": (1, size) for part, size in (("q", 48), ("k", 16))}),
        ({"output_bias": True}, {"layers.1.attention.output.bias": (1, 48)}),
        ({"mlp_bias": True}, {"layers.0.mlp.gate.bias": (1, 80), "layers.0.mlp.down.bias": (1, 48)}),
        ({"head_bias": True}, {"head.bias": (1, 100)}),
        ({"head_norm": True}, {"layers.1.attention.q_norm": (1, 8), "layers.1.attention.k_norm": (1, 8)}),
        ({"post_norms": True}, {"layers.1.attention_post_norm": (1, 48), "layers.1.mlp_post_norm": (1, 48)}),
        ({"embedding_norm": True}, {"embedding_norm": (1, 48)}),
        ({"learned_positions": 64}, {"position_embedding": (64, 48)}),
        ({"sinks": True}, {"layers.1.attention.sinks": (1, 6)}),
        (
            {"experts": ExpertsConfig(4, 2, renormalise=True, bias=True)},
            {
                "layers.1.mlp.router": (4, 48), "layers.1.mlp.router.bias": (1, 4),
                "layers.1.mlp.experts.gate": (320, 48), "layers.1.mlp.experts.up.bias": (1, 320),
                "layers.1.mlp.experts.down": (192, 80), "layers.1.mlp.experts.down.bias": (1, 192),
            },
        ),
    ],
    ids=lambda value: next(iter(value)),
)  # fmt: skip
def test_a_quirk_brings_its_weights(changes, shapes):
    plain = build_decoder(CONFIG).weights
    weights = build_decoder(dataclasses.replace(CONFIG, **changes)).weights
    for name, shape in shapes.items():
        assert name not in plain
        assert (weights[name].rows, weights[name].columns) == shape


def test_experts_stand_in_for_the_mlp():
    weights = build_decoder(dataclasses.replace(CONFIG, experts=ExpertsConfig(4, 2, renormalise=False))).weights
    assert not {"layers.0.mlp.gate", "layers.0.mlp.up", "layers.0.mlp.down"} & set(weights)


def test_an_mlp_without_a_gate_has_two_matrices():
    weights = build_decoder(dataclasses.replace(CONFIG, gated_mlp=False)).weights
    assert {name for name in weights if name.startswith("layers.0.mlp.")} == {"layers.0.mlp.up", "layers.0.mlp.down"}


def test_one_norm_can_feed_both_halves_of_a_parallel_layer():
    two = build_decoder(dataclasses.replace(CONFIG, parallel_residual=True)).weights
    one = build_decoder(dataclasses.replace(CONFIG, parallel_residual=True, shared_norm=True)).weights
    assert set(two) - set(one) == {"layers.0.mlp_norm", "layers.1.mlp_norm"}


def test_layers_may_attend_differently():
    rope = RopeConfig(8, 1e4, "half")
    mixed = (AttentionConfig(rope, window=16), AttentionConfig(None))
    program = build_decoder(dataclasses.replace(CONFIG, attention=mixed, attention_scale=0.5, attention_softcap=30.0))
    attends = [op for op in program.ops if isinstance(op, Attend)]
    assert [op.window for op in attends] == [16, 0]
    assert {op.scale for op in attends} == {0.5}
    assert {op.softcap for op in attends} == {30.0}
    assert sum(isinstance(op, Rope) for op in program.ops) == 2


def test_logits_may_be_capped():
    program = build_decoder(dataclasses.replace(CONFIG, logit_softcap=30.0))
    assert isinstance(program.ops[-1], Softcap)


@pytest.mark.parametrize(
    ("heads", "exponents"),
    [
        (1, [8]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (6, [2, 4, 6, 8, 1, 3]),
        (12, [1, 2, 3, 4, 5, 6, 7, 8, 0.5, 1.5, 2.5, 3.5]),
    ],
)
def test_alibi_slopes_are_the_papers_for_any_number_of_heads(heads, exponents):
    assert alibi_slopes(heads) == pytest.approx([2.0**-exponent for exponent in exponents])


def test_short_sequences_choose_their_own_rope_factors():
    rope = RopeConfig(8, 1e4, "half", (2.0,) * 4, short_factors=(1.0,) * 4, short_context=32)
    config = dataclasses.replace(CONFIG, attention=(AttentionConfig(rope), AttentionConfig(None)))
    assert config.within(33).attention[0].rope == rope
    assert config.within(32).attention[0].rope.factors == (1.0,) * 4
    assert config.within(32).context == 32
