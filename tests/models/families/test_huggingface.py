"""What config.json says, in the words of several years, and what of it is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from myna.errors import ModelFileError
from myna.models.config import AttentionConfig, RopeConfig
from tests.models.families.directories import LLAMA, configured

GEMMA2 = LLAMA | {"model_type": "gemma2", "head_dim": 16}
GEMMA3 = LLAMA | {"model_type": "gemma3_text", "head_dim": 16, "sliding_window": 32}
GPT2 = {"model_type": "gpt2", "n_embd": 48, "n_head": 3, "n_layer": 2, "n_ctx": 64, "vocab_size": 100,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5}  # fmt: skip
NEOX = {**LLAMA, "model_type": "gpt_neox", "hidden_act": "gelu", "layer_norm_eps": 1e-5}


def windows(attention: tuple[AttentionConfig, ...]) -> list[int | None]:
    return [layer.window for layer in attention]


def test_sizes_and_what_may_be_left_out(tmp_path: Path) -> None:
    config = configured(tmp_path, {})
    assert (config.width, config.heads, config.kv_heads, config.head_dim, config.layers) == (64, 4, 4, 16, 4)
    assert config.attention == (AttentionConfig(RopeConfig(16, 10_000.0, "half")),) * 4
    assert not config.tied_embeddings


def test_biases_are_switched_on_by_their_keys(tmp_path: Path) -> None:
    config = configured(tmp_path, {"attention_bias": True, "mlp_bias": True})
    assert (config.qkv_bias, config.output_bias, config.mlp_bias) == (True, True, True)


@pytest.mark.parametrize(
    ("name", "activation"),
    [("silu", "silu"), ("gelu", "gelu"), ("gelu_new", "gelu_tanh"), ("gelu_fast", "gelu_tanh")],
)
def test_activations_by_their_many_names(tmp_path: Path, name: str, activation: str) -> None:
    assert configured(tmp_path, {"hidden_act": name}).activation == activation


@pytest.mark.parametrize(
    "keys",
    [
        {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2}},
        {"rope_theta": 5e5, "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
        {"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 2.0}},
    ],
    ids=["old", "newer", "new"],
)
def test_rotary_scaling_wherever_it_is_said(tmp_path: Path, keys: dict[str, Any]) -> None:
    assert configured(tmp_path, keys).attention[0].rope == RopeConfig(16, 5e5, "half", (2.0,) * 8)


def test_a_share_of_each_head_may_turn(tmp_path: Path) -> None:
    rope = configured(tmp_path, {"rotary_pct": 0.5}, NEOX).attention[0].rope
    assert rope == RopeConfig(8, 10_000.0, "half")


def test_llama_3_divides_slow_pairs_only(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }  # fmt: skip
    rope = configured(tmp_path, {"rope_scaling": scaling}).attention[0].rope
    assert rope is not None
    assert rope.factors is not None
    assert (rope.factors[0], rope.factors[-1]) == (1.0, 8.0)
    assert list(rope.factors) == sorted(rope.factors)
    assert any(1 < factor < 8 for factor in rope.factors)


@pytest.mark.parametrize(
    ("keys", "scale"),
    [
        ({}, 0.1 * math.log(4) + 1),
        ({"attention_factor": 1.5}, 1.5),
        ({"mscale": 2.0, "mscale_all_dim": 1.0}, (0.2 * math.log(4) + 1) / (0.1 * math.log(4) + 1)),
    ],
)
def test_yarn_scales_what_it_turns(tmp_path: Path, keys: dict[str, float], scale: float) -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, **keys}
    rope = configured(tmp_path, {"rope_scaling": yarn}).attention[0].rope
    assert rope is not None
    assert rope.scale == pytest.approx(scale)


def test_yarn_reaches_beyond_the_context_of_training(tmp_path: Path) -> None:
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}
    assert configured(tmp_path, {"rope_scaling": yarn}).context == 1024


def test_longrope_has_factors_for_short_contexts_too(tmp_path: Path) -> None:
    scaling = {"type": "su", "short_factor": [1] * 8, "long_factor": [1.5, *range(2, 9)]}
    keys = {"model_type": "phi3", "original_max_position_embeddings": 64, "rope_scaling": scaling}
    config = configured(tmp_path, keys)
    long = config.attention[0].rope
    short = config.within(64).attention[0].rope
    assert long is not None
    assert short is not None
    assert long.factors == (1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
    assert short.factors == (1.0,) * 8
    assert long.scale == short.scale == pytest.approx(math.sqrt(1 + math.log(4) / math.log(64)))


def test_vicuna_says_its_scaled_context_in_a_word_of_its_own(tmp_path: Path) -> None:
    assert configured(tmp_path, {"max_sequence_length": 1024}).context == 1024


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"model_type": "mistral", "sliding_window": 32}, [32] * 4),
        ({"model_type": "mistral", "sliding_window": None}, [None] * 4),
        ({"model_type": "mistral", "sliding_window": 256}, [None] * 4),
        (
            {"model_type": "mistral", "sliding_window": 32, "layer_types": ["sliding_attention", "full_attention"] * 2},
            [32, None] * 2,
        ),
        ({"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": False}, [None] * 4),
        (
            {"model_type": "qwen2", "sliding_window": 32, "use_sliding_window": True, "max_window_layers": 3},
            [None, None, None, 32],
        ),
        ({"model_type": "phi3", "sliding_window": 32}, [32] * 4),
        (GEMMA2 | {"sliding_window": 32}, [32, None] * 2),
        (GEMMA3 | {"num_hidden_layers": 7}, [32] * 5 + [None, 32]),
        (GEMMA3 | {"sliding_window_pattern": 2}, [32, None] * 2),
    ],
)
def test_sliding_windows_of_each_layer(tmp_path: Path, keys: dict[str, Any], expected: list[int | None]) -> None:
    assert windows(configured(tmp_path, keys).attention) == expected


def test_gemma_scales_and_caps(tmp_path: Path) -> None:
    config = configured(tmp_path, {"query_pre_attn_scalar": 64, "final_logit_softcapping": 20.0}, GEMMA2)
    assert config.attention_scale == 0.125
    assert config.embedding_scale == 8.0
    assert (config.attention_softcap, config.logit_softcap) == (50.0, 20.0)
    assert config.tied_embeddings


def test_gemma_3_turns_local_layers_by_a_base_of_their_own(tmp_path: Path) -> None:
    keys = {"num_hidden_layers": 6, "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "rope_theta": 5e5}
    ropes = [layer.rope for layer in configured(tmp_path, keys, GEMMA3).attention]
    assert ropes == [RopeConfig(16, 1e4, "half")] * 5 + [RopeConfig(16, 5e5, "half", (8.0,) * 8)]


def test_gemma_3_that_sees_pictures_is_read_for_its_words(tmp_path: Path) -> None:
    text = {key: value for key, value in GEMMA3.items() if key not in ("vocab_size", "hidden_act")}
    config = configured(tmp_path, {"model_type": "gemma3", "text_config": text}, {})
    assert (config.vocab_size, config.activation, config.width) == (262_208, "gelu_tanh", 64)
    with pytest.raises(ModelFileError, match=r"text_config\.hidden_size is 0"):
        configured(tmp_path, {"model_type": "gemma3", "text_config": text | {"hidden_size": 0}}, {})


@pytest.mark.parametrize(
    ("keys", "turned"),
    [
        ({}, [True, True, True, False]),
        ({"no_rope_layer_interval": 2}, [True, False] * 2),
        ({"no_rope_layers": [0, 1, 1, 1]}, [False, True, True, True]),
    ],
)
def test_smollm3_leaves_some_layers_without_positions(tmp_path: Path, keys: dict[str, Any], turned: list[bool]) -> None:
    config = configured(tmp_path, {"model_type": "smollm3", **keys})
    assert [layer.rope is not None for layer in config.attention] == turned


def test_gpt_2_of_openais_own_words(tmp_path: Path) -> None:
    config = configured(tmp_path, {}, GPT2)
    assert (config.context, config.learned_positions, config.mlp_width) == (64, 64, 192)
    assert config.tied_embeddings


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"hidden_size": None}, "its metadata lacks hidden_size"),
        ({"hidden_size": "64"}, "hidden_size is '64', expected a whole number"),
        ({"hidden_size": 2**40}, "hidden_size is 1099511627776, expected 1 to"),
        ({"num_hidden_layers": -1}, "num_hidden_layers is -1"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True, expected a whole number"),
        ({"num_attention_heads": [4]}, "num_attention_heads is a list"),
        ({"num_key_value_heads": 3}, "4 attention heads cannot share 3 KV heads evenly"),
        ({"num_key_value_heads": 8}, "num_key_value_heads is 8, expected 1 to 4"),
        ({"head_dim": 10**9}, "head_dim is 1000000000"),
        ({"rms_norm_eps": 0}, "rms_norm_eps is 0"),
        ({"rms_norm_eps": "tiny"}, "rms_norm_eps is 'tiny'"),
        ({"hidden_act": "relu"}, "its activation 'relu' (hidden_act) is not supported; supported: silu"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes', expected true or false"),
        ({"rope_theta": 0.0}, "rope_theta is 0.0, expected 2 to"),
        ({"rope_theta": 1.0, "rope_scaling": {"type": "yarn", "factor": 2}}, "rope_theta is 1.0, expected 2 to"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rotary scaling 'dynamic' (rope_scaling.type)"),
        ({"rope_parameters": {"rope_type": "spiral", "factor": 2}}, "'spiral' (rope_parameters.rope_type)"),
        ({"rope_scaling": {"type": "linear"}}, "its metadata lacks rope_scaling.factor"),
        ({"rope_scaling": {"type": "linear", "factor": -1}}, "rope_scaling.factor is -1"),
        ({"rope_scaling": {"type": "longrope", "long_factor": [1], "short_factor": [1]}}, "has 1 factors, expected 8"),
        ({"partial_rotary_factor": 0.01}, "0 of 16 dimensions turn, expected an even number"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised by 'gptq'"),
        ({"quantization_config": {"bits": 4}}, "its metadata lacks quantization_config.quant_method"),
        ({"num_local_experts": 8}, "a mixture of experts (num_local_experts is 8)"),
        ({"model_type": "mistral", "sliding_window": "wide"}, "sliding_window is 'wide'"),
        ({"model_type": "mistral", "layer_types": ["full_attention"]}, "layer_types has 1 entries for 4 layers"),
        ({"model_type": "mistral", "layer_types": ["chunked"] * 4}, "layers of type 'chunked' (layer_types)"),
        ({"model_type": "smollm3", "no_rope_layers": [1]}, "no_rope_layers has 1 entries for 4 layers"),
        (GPT2 | {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx is True"),
        (GPT2 | {"n_head": 0}, "n_head is 0, expected 1 to 1024"),
        (GPT2 | {"model_type": "gptj", "rotary_dim": 5}, "rotary_dim is 5, expected an even number"),
        (GEMMA3 | {"use_bidirectional_attention": True}, "use_bidirectional_attention is True"),
        ({"model_type": "jamba"}, "its architecture 'jamba' is not supported; supported: "),
    ],
)
def test_what_cannot_be_run_is_refused_by_key(tmp_path: Path, keys: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        configured(tmp_path, keys)
    assert reason in caught.value.reason
