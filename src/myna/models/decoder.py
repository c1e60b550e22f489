"""The one decoder: a transformer language model, written as a Program.

Weights are named by place: ``embedding``, ``layers.3.attention_norm``, ``layers.3.attention.q`` (``.k``, ``.v``,
``.output``), ``layers.3.mlp_norm``, ``layers.3.mlp.gate`` (``.up``, ``.down``), ``output_norm`` and, unless the
embedding doubles as it, ``head``. A bias is its owner's name with ``.bias``. Matrices are [out, in].
"""

from __future__ import annotations

from myna.models.config import ModelConfig
from myna.models.program import Program, Value


def build_decoder(config: ModelConfig) -> Program:
    """The forward pass of ``config``: tokens to logits [logit rows, vocab_size].

    Raises ValueError naming the op when the configuration contradicts itself.
    """
    program = Program()
    x = program.embed(program.matrix("embedding", config.vocab_size, config.width))  # [tokens, width]
    for layer in range(config.layers):
        name = f"layers.{layer}"
        x = program.add(x, attention(program, config, layer, norm(program, config, f"{name}.attention_norm", x)))
        x = program.add(x, mlp(program, config, f"{name}.mlp", norm(program, config, f"{name}.mlp_norm", x)))
    x = norm(program, config, "output_norm", program.select(x))  # [logit rows, width]
    head = "embedding" if config.tied_embeddings else "head"
    return program.finish(linear(program, head, x, config.vocab_size))


def attention(program: Program, config: ModelConfig, layer: int, x: Value) -> Value:
    """Causal self-attention with rotary positions; kv_heads < heads is grouped-query attention.

    Ainslie et al. 2023 (https://arxiv.org/abs/2305.13245). x and result: [tokens, width].
    """
    name, heads, kv_heads = f"layers.{layer}.attention", config.heads, config.kv_heads
    q = linear(program, f"{name}.q", x, heads * config.head_dim)
    k = linear(program, f"{name}.k", x, kv_heads * config.head_dim)
    v = linear(program, f"{name}.v", x, kv_heads * config.head_dim)
    if (rope := config.attention[layer].rope) is not None:
        q, k = program.rope(q, heads, rope), program.rope(k, kv_heads, rope)
    mixed = program.attention(q, k, v, layer=layer, heads=heads, kv_heads=kv_heads)
    return linear(program, f"{name}.output", mixed, config.width)


def mlp(program: Program, config: ModelConfig, name: str, x: Value) -> Value:
    """Gated linear unit: down(activation(gate x) * up x); Shazeer 2020 (https://arxiv.org/abs/2002.05202)."""
    gate = program.activation(linear(program, f"{name}.gate", x, config.mlp_width), config.activation)
    up = linear(program, f"{name}.up", x, config.mlp_width)
    return linear(program, f"{name}.down", program.multiply(gate, up), config.width)


def norm(program: Program, config: ModelConfig, name: str, x: Value) -> Value:
    """RMSNorm, or LayerNorm with its bias."""
    weight = program.vector(name, x.size)
    bias = program.vector(f"{name}.bias", x.size) if config.norm == "layer" else None
    return program.norm(x, weight, config.norm, config.norm_epsilon, bias)


def linear(program: Program, name: str, x: Value, size: int) -> Value:
    """[rows, size]."""
    return program.linear(x, program.matrix(name, size, x.size))
