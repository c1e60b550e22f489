"""The one encoder: a transformer that reads a whole text at once, written as a Program.

Weights are named as the decoder's are: ``embedding``, ``position_embedding``, ``embedding_norm``,
``layers.3.attention.q`` (``.k``, ``.v``, ``.output``), ``layers.3.attention_norm``, ``layers.3.mlp.up`` (``.down``) and
``layers.3.mlp_norm``; of a head that scores, ``head.hidden`` and ``head.output``. Every linear and every norm has a
bias, ``.bias`` behind its name. Here each norm follows the sum that it is named after. What is the same for every token
of every text (BERT's first token type) is part of ``position_embedding``.
"""

from __future__ import annotations

from myna.models.config import EncoderConfig
from myna.models.program import Program, Value


def build_encoder(config: EncoderConfig) -> Program:
    """The forward pass of ``config``: tokens to vectors [wanted rows, width], before they are pooled.

    With a head the result is [wanted rows, 1], scores.

    Devlin et al. 2018 (https://arxiv.org/abs/1810.04805). Raises ValueError naming the op when the configuration
    contradicts itself.
    """
    program = Program()
    positions = program.matrix("position_embedding", config.context, config.width)
    table = program.matrix("embedding", config.vocab_size * config.segments, config.width)
    x = program.embed(table)  # [tokens, width]
    x = norm(program, config, "embedding_norm", program.add(x, program.embed(positions, source="positions")))
    for layer in range(config.layers):
        name = f"layers.{layer}"
        x = norm(program, config, f"{name}.attention_norm", program.add(x, attention(program, config, layer, x)))
        x = program.add(x, mlp(program, config, f"{name}.mlp", x))
        if layer == config.layers - 1:
            x = program.select(x)  # [wanted rows, width]
        x = norm(program, config, f"{name}.mlp_norm", x)
    if config.ranks:
        hidden = program.softcap(linear(program, "head.hidden", x, config.width), 1.0)  # tanh
        x = linear(program, "head.output", hidden, 1)
    return program.finish(x)


def attention(program: Program, config: EncoderConfig, layer: int, x: Value) -> Value:
    """Self-attention in which every token sees every other. x and result: [tokens, width]."""
    name = f"layers.{layer}.attention"
    q, k, v = (linear(program, f"{name}.{part}", x, config.width) for part in "qkv")
    mixed = program.attention(q, k, v, layer=layer, heads=config.heads, kv_heads=config.heads, causal=False)
    return linear(program, f"{name}.output", mixed, config.width)


def mlp(program: Program, config: EncoderConfig, name: str, x: Value) -> Value:
    """down(activation(up x))."""
    hidden = program.activation(linear(program, f"{name}.up", x, config.mlp_width), config.activation)
    return linear(program, f"{name}.down", hidden, config.width)


def norm(program: Program, config: EncoderConfig, name: str, x: Value) -> Value:
    """LayerNorm."""
    weight, bias = program.vector(name, x.size), program.vector(f"{name}.bias", x.size)
    return program.norm(x, weight, "layer", config.norm_epsilon, bias)


def linear(program: Program, name: str, x: Value, size: int) -> Value:
    """[rows, size], with a bias."""
    return program.linear(x, program.matrix(name, size, x.size), program.vector(f"{name}.bias", size))
