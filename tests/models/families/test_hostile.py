"""Whatever a configuration says, what comes of it is a Program or an error that names the file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna.errors import ModelFileError
from myna.formats.base import Tensor
from myna.formats.jsonfile import flatten
from myna.models.config import ModelConfig
from myna.models.families import FAMILIES
from myna.models.loader import build_program
from tests.models.families.directories import LLAMA

PATH = Path("hostile")
ROPE = {"rope_type": "yarn", "factor": 2.0, "short_factor": [1.0] * 8, "long_factor": [2] * 8, "mscale": 1.0}
WORDS = LLAMA | {
    "rope_parameters": ROPE | {"full_attention": ROPE}, "rope_theta": 1e4, "sliding_window": 8, "layer_types": ["x"],
    "n_embd": 64, "n_head": 4, "n_layer": 4, "n_inner": 96, "n_positions": 64, "activation_function": "gelu",
    "layer_norm_epsilon": 1e-5, "rotary_dim": 8, "head_dim": 16, "num_key_value_heads": 2, "no_rope_layers": [1] * 4,
    "num_local_experts": 4, "num_experts_per_tok": 2, "use_sliding_window": True, "max_window_layers": 2,
    "sliding_window_pattern": 2, "query_pre_attn_scalar": 16, "rotary_pct": 0.5, "max_sequence_length": 9,
}  # fmt: skip
KEYS = {
    "block_count": 4, "context_length": 64, "embedding_length": 64, "feed_forward_length": 96,
    "attention.head_count": 4, "attention.head_count_kv": 2, "attention.key_length": 16, "attention.value_length": 16,
    "attention.layer_norm_rms_epsilon": 1e-5, "attention.layer_norm_epsilon": 1e-5, "attention.sliding_window": 8,
    "rope.dimension_count": 16, "rope.freq_base": 1e4, "rope.scaling.type": "yarn", "rope.scaling.factor": 2.0,
    "rope.scaling.original_context_length": 32, "expert_count": 0, "expert_used_count": 2, "vocab_size": 100,
    "final_logit_softcapping": 30.0, "use_parallel_residual": True, "expert_feed_forward_length": 32,
}  # fmt: skip

anything = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-2, 20), st.floats(), st.text(max_size=8), st.booleans(),
    st.lists(st.integers(-2, 2**40), max_size=9), st.lists(st.floats(), max_size=9), st.lists(st.text(max_size=3)),
    st.sampled_from(["longrope", "linear", "llama3", "yarn", "dynamic", "sliding_attention", "gelu"]),
)  # fmt: skip


def attempt(kind: str, name: str, values: dict[str, Any]) -> None:
    layout = getattr(FAMILIES[name], kind)
    metadata = flatten(PATH, values)
    tensors = {"token_embd.weight": Tensor("token_embd.weight", "F32", (100, 64), 0, 0)}
    file: Any = SimpleNamespace(path=PATH, kind=kind, metadata=metadata, tensors=tensors)
    try:
        config = layout.configure(file)
        if isinstance(config, ModelConfig) and config.layers < 32:
            build_program(file, config)
    except ModelFileError:
        pass


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.huggingface])
@settings(max_examples=60)
@given(changes=st.dictionaries(st.sampled_from(sorted(WORDS)), anything, min_size=1, max_size=4), rope=st.data())
def test_any_config_json(name: str, changes: dict[str, Any], rope: st.DataObject) -> None:
    turned = rope.draw(st.dictionaries(st.sampled_from(sorted(ROPE)), anything, max_size=3))
    attempt("huggingface", name, WORDS | {"model_type": name, "rope_parameters": ROPE | turned} | changes)


@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if family.gguf])
@settings(max_examples=60)
@given(changes=st.dictionaries(st.sampled_from(sorted(KEYS)), anything, min_size=1, max_size=4))
def test_any_gguf_keys(name: str, changes: dict[str, Any]) -> None:
    attempt("gguf", name, {f"{name}.{key}": value for key, value in (KEYS | changes).items()})
