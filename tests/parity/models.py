"""Tiny random models of every decoder family, as Transformers builds them: what parity is measured against.

Their shapes are awkward on purpose: no power of two where none is needed, odd numbers of heads, fewer keys than
queries, sliding windows shorter than the texts. Norms and biases are random too, since ones and zeros hide mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

VOCABULARY = 320
CONTEXT = 128
WINDOW = 20
"""Shorter than the texts, and no multiple of the cache's blocks."""

LLAMA = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3,
    "num_key_value_heads": 1, "head_dim": 32, "intermediate_size": 160, "max_position_embeddings": CONTEXT,
}  # fmt: skip
GPT = {"vocab_size": VOCABULARY, "n_embd": 96, "n_layer": 2, "n_positions": CONTEXT}
NEOX = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3,
    "intermediate_size": 160, "max_position_embeddings": CONTEXT,
}  # fmt: skip
GEMMA = LLAMA | {
    "num_hidden_layers": 3, "head_dim": 24, "sliding_window": WINDOW, "query_pre_attn_scalar": 24,
}  # fmt: skip
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 48,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
LONGROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 32,
    "short_factor": [1 + 0.1 * pair for pair in range(12)], "long_factor": [1 + 1.5 * pair for pair in range(12)],
}  # fmt: skip

LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}
GLOBAL_AND_LOCAL = {
    "full_attention": LINEAR | {"rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}  # fmt: skip
PHI = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 160, "max_position_embeddings": CONTEXT, "pad_token_id": 0,
}  # fmt: skip

QWEN3_EXPERTS = {"head_dim": 40, "num_experts": 7, "num_experts_per_tok": 3, "moe_intermediate_size": 64}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("GPT2Config", GPT | {"n_head": 3}),
    "gptj": ("GPTJConfig", GPT | {"n_head": 3, "rotary_dim": 12, "n_inner": 160}),
    "gptneox": ("GPTNeoXConfig", NEOX),
    "gptneox-sequential": (
        "GPTNeoXConfig",
        NEOX | {"hidden_size": 80, "num_attention_heads": 5, "intermediate_size": 112, "use_parallel_residual": False},
    ),
    "bloom": ("BloomConfig", {"vocab_size": VOCABULARY, "hidden_size": 96, "n_layer": 2, "n_head": 12}),
    "llama": ("LlamaConfig", LLAMA),
    "llama-biased": ("LlamaConfig", LLAMA | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "llama-linear": (
        "LlamaConfig",
        LLAMA | {"hidden_size": 60, "head_dim": 20, "intermediate_size": 100, "rope_parameters": LINEAR},
    ),
    "llama3": ("LlamaConfig", LLAMA | {"num_attention_heads": 6, "num_key_value_heads": 2, "rope_parameters": LLAMA3}),
    "llama-yarn": ("LlamaConfig", LLAMA | {"rope_parameters": YARN}),
    "mistral": ("MistralConfig", LLAMA | {"sliding_window": WINDOW}),
    "qwen2": ("Qwen2Config", {key: value for key, value in LLAMA.items() if key != "head_dim"}),
    "qwen3": ("Qwen3Config", LLAMA | {"head_dim": 40, "tie_word_embeddings": True}),
    "gemma2": ("Gemma2Config", GEMMA | {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0}),
    "gemma3": (
        "Gemma3TextConfig",
        GEMMA
        | {
            "num_hidden_layers": 7, "num_attention_heads": 6, "num_key_value_heads": 2,
            "rope_parameters": GLOBAL_AND_LOCAL,
        },
    ),
    "phi3": ("Phi3Config", PHI | {"sliding_window": WINDOW}),
    "phi3-long": ("Phi3Config", PHI | {"rope_parameters": LONGROPE, "original_max_position_embeddings": 32}),
    "smollm3": ("SmolLM3Config", LLAMA | {"num_hidden_layers": 5, "pad_token_id": 0}),
    "mixtral": ("MixtralConfig", LLAMA | {"num_local_experts": 5, "num_experts_per_tok": 2}),
    "mixtral-window": ("MixtralConfig", LLAMA | {"num_local_experts": 3, "sliding_window": WINDOW}),
    "qwen3moe": ("Qwen3MoeConfig", LLAMA | QWEN3_EXPERTS | {"norm_topk_prob": True}),
    "qwen3moe-shares": ("Qwen3MoeConfig", LLAMA | QWEN3_EXPERTS | {"norm_topk_prob": False}),
    "gpt-oss": (
        "GptOssConfig",
        LLAMA
        | {
            "num_hidden_layers": 3, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": WINDOW,
            "rope_parameters": YARN | {"truncate": False},
        },
    ),
}  # fmt: skip
"""Transformers' class of the configuration, and its arguments."""


def build(name: str) -> PreTrainedModel:
    """A model with random weights, the same at every call."""
    torch.set_num_threads(1)  # on few cores more of them only wait for each other
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    class_name, arguments = CONFIGS[name]
    config = getattr(transformers, class_name)(**arguments)
    with no_init_weights():
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model.tie_weights()
    generator = torch.Generator().manual_seed(sum(name.encode()))
    for weight_name, weight in model.named_parameters():
        randomise(weight_name, weight, generator, around=0.0 if name.startswith("gemma") else 1.0)
    return model.float().eval()


def randomise(name: str, weight: torch.nn.Parameter, generator: torch.Generator, *, around: float) -> None:
    """Matrices that keep activations near one; norms near ``around``, biases near zero."""
    values = torch.randn(weight.shape, generator=generator)
    if weight.dim() > 1:
        inputs = weight.shape[-2] if ".c_" in name else weight.shape[-1]  # GPT-2 alone stores [in, out]
        values /= inputs**0.5
    else:
        values *= 0.2
        if name.endswith("weight"):
            values += around
    with torch.no_grad():
        weight.copy_(values)


def save(model: PreTrainedModel, directory: Path) -> Path:
    """As a Hugging Face directory."""
    model.save_pretrained(directory)
    return directory


def expected_logits(model: PreTrainedModel, ids: Sequence[int]) -> NDArray[np.float32]:
    """[tokens, vocab], without a cache."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = model(torch.tensor([list(ids)]), use_cache=False).logits[0].numpy()
    return logits
