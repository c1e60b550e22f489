"""Tiny model files with random weights: real structure, real vocabulary, no knowledge. For fast tests only."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.quantised import UNQUANTISABLE, random_rows

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""SmolLM2's own, which the catalog knows, so that it is rendered without a process of its own."""

TEXT = (
    "The quick brown fox jumps over the lazy dog. A myna is a bird that talks, and this is a model that says nothing. "
    "User and assistant take turns; the system speaks first. def main(): return [x for x in range(10)]\n"
)


@lru_cache(maxsize=4)
def vocabulary(size: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Pieces by id and merges of a byte-level BPE vocabulary, control tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=1,
        special_tokens=list(CONTROL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    pieces = sorted(trained["vocab"], key=trained["vocab"].__getitem__)
    merges = [" ".join(pair) for pair in trained["merges"]]
    pieces += [f"<unused{number}>" for number in range(size - len(pieces))]
    return tuple(pieces), tuple(merges)


def write_model(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int | None = None,
    mlp_width: int = 128,
    vocab_size: int = 384,
    context: int = 512,
    tied: bool = True,
    quant: str = "F32",
    seed: int = 0,
    chat_template: str | None = CHAT_TEMPLATE,
    without: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Path:
    """Write a GGUF file of the LLaMA family with random weights.

    Args:
        path: where to.
        layers, width, heads, kv_heads, head_dim, mlp_width, vocab_size, context, tied: the model's shape; vocab_size is
            at least 259 (all bytes and the control tokens).
        quant: GGUF type of the matrices. Where the `gguf` package cannot quantise, their blocks are random too.
        seed: of the weights.
        chat_template: None writes a model without one.
        without: name of a tensor to leave out.
        metadata: keys to set besides, or instead of, the usual ones: str, int, float, bool or list.
    """
    random = np.random.default_rng(seed)
    head_dim = head_dim or width // heads
    pieces, merges = vocabulary(vocab_size)
    kinds = [3] * len(CONTROL_TOKENS) + [5 if piece.startswith("<unused") else 1 for piece in pieces[3:]]
    values: dict[str, Any] = {
        "general.name": "Synthetic (random weights)",
        "llama.block_count": layers,
        "llama.context_length": context,
        "llama.embedding_length": width,
        "llama.feed_forward_length": mlp_width,
        "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": kv_heads,
        "llama.attention.key_length": head_dim,
        "llama.attention.value_length": head_dim,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10_000.0,
        "llama.rope.dimension_count": head_dim,
        "llama.vocab_size": vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(pieces),
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list(merges),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
        **({"tokenizer.chat_template": chat_template} if chat_template is not None else {}),
        **(metadata or {}),
    }
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in values.items():
        write_value(writer, key, value)
    matrices = {"token_embd.weight": (vocab_size, width)}
    if not tied:
        matrices["output.weight"] = (vocab_size, width)
    vectors = ["output_norm.weight"]
    for layer in range(layers):
        matrices |= {
            f"blk.{layer}.attn_q.weight": (heads * head_dim, width),
            f"blk.{layer}.attn_k.weight": (kv_heads * head_dim, width),
            f"blk.{layer}.attn_v.weight": (kv_heads * head_dim, width),
            f"blk.{layer}.attn_output.weight": (width, heads * head_dim),
            f"blk.{layer}.ffn_gate.weight": (mlp_width, width),
            f"blk.{layer}.ffn_up.weight": (mlp_width, width),
            f"blk.{layer}.ffn_down.weight": (width, mlp_width),
        }
        vectors += [f"blk.{layer}.attn_norm.weight", f"blk.{layer}.ffn_norm.weight"]
    for name, (rows, columns) in matrices.items():
        weights = random.standard_normal((rows, columns), dtype=np.float32) / np.sqrt(columns, dtype=np.float32)
        if name != without:
            kind = gguf.GGMLQuantizationType[quant]
            if quant in UNQUANTISABLE:
                blocks = random_rows(quant, rows, columns, random, largest=2 / np.sqrt(columns))
            else:
                blocks = gguf.quants.quantize(weights, kind)
            writer.add_tensor(name, blocks, raw_dtype=kind)
    for name in vectors:
        weights = 1 + 0.1 * random.standard_normal(width, dtype=np.float32)
        if name != without:
            writer.add_tensor(name, weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_value(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    """Add one metadata key of the type that its Python value suggests."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case _:
            writer.add_array(key, value)
