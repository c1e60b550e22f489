"""Transformers on the very weights of a GGUF file, dequantised: what parity is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.initialization import no_init_weights

from myna.formats import GGUFFile
from myna.models.loader import LoadedModel

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
BLOCK_SIZE = 16


def load_reference(path: Path) -> LlamaForCausalLM:
    """The model of a llama GGUF file in float32, with q and k rows put back into Hugging Face's order."""
    with GGUFFile(path) as file:
        read = file.metadata
        heads = read.integer("llama.attention.head_count")
        kv_heads = read.integer("llama.attention.head_count_kv", heads)
        width = read.integer("llama.embedding_length")
        config = LlamaConfig(
            vocab_size=file.tensors["token_embd.weight"].shape[0],
            hidden_size=width,
            intermediate_size=read.integer("llama.feed_forward_length"),
            num_hidden_layers=read.integer("llama.block_count"),
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            head_dim=read.integer("llama.attention.key_length", width // heads),
            max_position_embeddings=read.integer("llama.context_length"),
            rms_norm_eps=read.number("llama.attention.layer_norm_rms_epsilon", minimum=0, maximum=1),
            rope_parameters={
                "rope_type": "default",
                "rope_theta": read.number("llama.rope.freq_base", minimum=1, maximum=1e9),
            },
            tie_word_embeddings="output.weight" not in file.tensors,
        )
        state = {}
        for tensor in file.tensors.values():
            kind = gguf.GGMLQuantizationType[tensor.type]
            with file.read(tensor) as data:
                rows = np.frombuffer(data, np.uint8).reshape(*tensor.shape[:-1], -1)
                weights = np.array(gguf.quants.dequantize(rows, kind), np.float32).reshape(tensor.shape)
                del rows
            *block, part = tensor.name.removesuffix(".weight").split(".")
            if part in ("attn_q", "attn_k"):
                weights = half_split(weights, heads if part == "attn_q" else kv_heads)
            prefix = f"model.layers.{block[1]}." if block else ""
            state[f"{prefix}{NAMES[part]}.weight"] = torch.from_numpy(weights)
    with no_init_weights():
        model = LlamaForCausalLM(config)
    missing, surplus = model.load_state_dict(state, strict=False, assign=True)
    assert set(missing) <= {"lm_head.weight"}
    assert surplus == []
    model.tie_weights()
    return model.eval()


def half_split(weights: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """[heads * head_dim, width] from rotary pairs side by side to pairs half a head apart."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def reference_logits(model: LlamaForCausalLM, ids: Sequence[int]) -> NDArray[np.float32]:
    """[tokens, vocab]."""
    with torch.inference_mode():
        logits: NDArray[np.float32] = model(torch.tensor([list(ids)])).logits[0].numpy()
    return logits


def native_logits(model: LoadedModel, ids: Sequence[int], kv_dtype: str = "float32") -> NDArray[np.float32]:
    """[tokens, vocab] of one sequence in one step."""
    count = len(ids)
    blocks = -(-count // BLOCK_SIZE)
    model.executor.allocate_cache(blocks, BLOCK_SIZE, kv_dtype)
    model.executor.forward(
        np.array(ids, np.int32),
        np.array([0, count], np.int32),
        np.array([0], np.int32),
        np.arange(blocks, dtype=np.int32)[None],
        np.arange(count, dtype=np.int32),
    )
    return model.executor.logits()


def relative_error(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference over the largest magnitude."""
    return float(np.abs(actual - expected).max() / np.abs(expected).max())
