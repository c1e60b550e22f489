"""Synthetic models: the shapes of well-known LLaMA-like models in Q4_0, filled with random blocks.

Speed depends on shapes and types alone, so a file that nobody can download here can still be measured. Its name says
that its weights are random.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import gguf
import numpy as np

from tests.quantised import random_rows
from tests.synthetic import CONTROL_TOKENS, vocabulary, write_value

VOCAB_SIZE = 32000
CONTEXT = 8192


@dataclass(frozen=True)
class Shape:
    """A LLaMA-like model; heads have ``width / heads`` dimensions."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    mlp_width: int
    tied: bool = True

    def matrices(self) -> dict[str, tuple[int, int]]:
        """Rows and columns of every quantised tensor, in the file's order."""
        kv_width = self.width // self.heads * self.kv_heads
        sizes = {"token_embd.weight": (VOCAB_SIZE, self.width)}
        if not self.tied:
            sizes["output.weight"] = (VOCAB_SIZE, self.width)
        for layer in range(self.layers):
            sizes |= {
                f"blk.{layer}.attn_q.weight": (self.width, self.width),
                f"blk.{layer}.attn_k.weight": (kv_width, self.width),
                f"blk.{layer}.attn_v.weight": (kv_width, self.width),
                f"blk.{layer}.attn_output.weight": (self.width, self.width),
                f"blk.{layer}.ffn_gate.weight": (self.mlp_width, self.width),
                f"blk.{layer}.ffn_up.weight": (self.mlp_width, self.width),
                f"blk.{layer}.ffn_down.weight": (self.width, self.mlp_width),
            }
        return sizes

    @property
    def parameters(self) -> int:
        """Weights of the matrices."""
        return sum(rows * columns for rows, columns in self.matrices().values())

    def with_layers(self, layers: int) -> Shape:
        """The same, cut short: for trying a benchmark out."""
        return replace(self, layers=layers)


SHAPES = {
    "60M": Shape(layers=14, width=512, heads=8, kv_heads=4, mlp_width=1536),
    "135M": Shape(layers=30, width=576, heads=9, kv_heads=3, mlp_width=1536),  # SmolLM2 135M
    "360M": Shape(layers=32, width=960, heads=15, kv_heads=5, mlp_width=2560),  # SmolLM2 360M
    "1.1B": Shape(layers=22, width=2048, heads=32, kv_heads=4, mlp_width=5632, tied=False),  # TinyLlama
    "3B": Shape(layers=28, width=3072, heads=24, kv_heads=8, mlp_width=8192),  # Llama 3.2 3B
    "7B": Shape(layers=32, width=4096, heads=32, kv_heads=8, mlp_width=14336, tied=False),  # Mistral 7B
}


def write_shape(path: Path, shape: Shape) -> None:
    """Write a file of this shape; its memory use is that of one tensor."""
    writer = gguf.GGUFWriter(path, "llama")
    pieces, merges = vocabulary(VOCAB_SIZE)
    head_dim = shape.width // shape.heads
    kinds = [5 if piece.startswith("<unused") else 1 for piece in pieces]
    kinds[: len(CONTROL_TOKENS)] = [3] * len(CONTROL_TOKENS)
    values = {
        "general.name": f"Synthetic, random weights ({path.stem})",
        "llama.block_count": shape.layers,
        "llama.context_length": CONTEXT,
        "llama.embedding_length": shape.width,
        "llama.feed_forward_length": shape.mlp_width,
        "llama.attention.head_count": shape.heads,
        "llama.attention.head_count_kv": shape.kv_heads,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.freq_base": 10_000.0,
        "llama.rope.dimension_count": head_dim,
        "llama.vocab_size": VOCAB_SIZE,
        "general.file_type": int(gguf.LlamaFileType.MOSTLY_Q4_0),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": list(pieces),
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": list(merges),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
    }
    for key, value in values.items():
        write_value(writer, key, value)
    matrices = shape.matrices()
    norms = [f"blk.{layer}.{kind}_norm.weight" for layer in range(shape.layers) for kind in ("attn", "ffn")]
    norms.append("output_norm.weight")
    q4_0 = gguf.GGMLQuantizationType.Q4_0
    for name, (rows, columns) in matrices.items():
        row_bytes = columns // 32 * 18
        writer.add_tensor_info(name, (rows, row_bytes), np.dtype(np.uint8), rows * row_bytes, q4_0)
    for name in norms:
        writer.add_tensor_info(name, (shape.width,), np.dtype(np.float32), 4 * shape.width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(0)
    drawn: dict[tuple[int, int], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
    for size in matrices.values():
        if size not in drawn:  # layers may look alike; memory does not know
            drawn[size] = random_rows("Q4_0", *size, random, largest=2 / np.sqrt(size[1]))
        writer.write_tensor_data(drawn[size])
    for _ in norms:
        writer.write_tensor_data(np.ones(shape.width, np.float32))
    writer.close()
