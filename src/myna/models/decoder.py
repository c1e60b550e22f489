"""The one decoder: a transformer language model, written as a Program.

Weights are named by place: ``embedding``, ``layers.3.attention_norm``, ``layers.3.attention.q`` (``.k``, ``.v``,
``.output``), ``layers.3.mlp_norm``, ``layers.3.mlp.gate`` (``.up``, ``.down``), ``output_norm`` and, unless the
embedding doubles as it, ``head``; where the configuration asks for them ``position_embedding``, ``embedding_norm``,
``layers.3.attention.q_norm`` (``.k_norm``), ``.attention.sinks``, ``.attention_post_norm``, ``.mlp_post_norm``,
``.mlp.router`` and ``.mlp.experts.gate`` (``.up``, ``.down``: the rows of all experts, one expert after the other).
A bias is its owner's name with ``.bias``. Matrices are [out, in].
"""

from __future__ import annotations

from math import log2

from myna.models.config import ExpertsConfig, ModelConfig
from myna.models.program import Program, Value


def build_decoder(config: ModelConfig) -> Program:
    """The forward pass of ``config``: tokens to logits [logit rows, vocab_size].

    Raises ValueError naming the op when the configuration contradicts itself.
    """
    program = Program()
    x = embed(program, config)  # [tokens, width]
    for layer in range(config.layers):
        x = block(program, config, layer, x)
    x = norm(program, config, "output_norm", program.select(x))  # [logit rows, width]
    head = program.matrix("embedding" if config.tied_embeddings else "head", config.vocab_size, config.width)
    logits = program.linear(x, head, program.vector("head.bias", config.vocab_size) if config.head_bias else None)
    if config.logit_softcap is not None:
        logits = program.softcap(logits, config.logit_softcap)
    return program.finish(logits)


def embed(program: Program, config: ModelConfig) -> Value:
    """What enters the first layer: [tokens, width]."""
    table = program.matrix("embedding", config.vocab_size, config.width)
    x = program.embed(table, scale=config.embedding_scale)
    if config.learned_positions:
        positions = program.matrix("position_embedding", config.learned_positions, config.width)
        x = program.add(x, program.embed(positions, source="positions"))
    return norm(program, config, "embedding_norm", x) if config.embedding_norm else x


def block(program: Program, config: ModelConfig, layer: int, x: Value) -> Value:
    """One layer: x plus what attention and then the MLP make of it. x and result: [tokens, width].

    In parallel (Wang and Komatsuzaki 2021, https://github.com/kingoflolz/mesh-transformer-jax) both read the same x.
    """
    name = f"layers.{layer}"
    normed = norm(program, config, f"{name}.attention_norm", x)
    attended = attention(program, config, layer, normed)
    if config.post_norms:
        attended = norm(program, config, f"{name}.attention_post_norm", attended)
    y = program.add(x, attended)
    if not config.shared_norm:
        normed = norm(program, config, f"{name}.mlp_norm", x if config.parallel_residual else y)
    if config.experts is None:
        thought = mlp(program, config, f"{name}.mlp", normed)
    else:
        thought = mixture(program, config, config.experts, f"{name}.mlp", normed)
    if config.post_norms:
        thought = norm(program, config, f"{name}.mlp_post_norm", thought)
    return program.add(y, thought)


def attention(program: Program, config: ModelConfig, layer: int, x: Value) -> Value:
    """Causal self-attention; kv_heads < heads is grouped-query attention. x and result: [tokens, width].

    Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762); Ainslie et al. 2023 (https://arxiv.org/abs/2305.13245).
    """
    name, heads, kv_heads, here = f"layers.{layer}.attention", config.heads, config.kv_heads, config.attention[layer]
    q = linear(program, f"{name}.q", x, heads * config.head_dim, bias=config.qkv_bias)
    k = linear(program, f"{name}.k", x, kv_heads * config.head_dim, bias=config.qkv_bias)
    v = linear(program, f"{name}.v", x, kv_heads * config.head_dim, bias=config.qkv_bias)
    if config.head_norm:
        q = norm(program, config, f"{name}.q_norm", q, heads=heads)
        k = norm(program, config, f"{name}.k_norm", k, heads=kv_heads)
    if here.rope is not None:
        q, k = program.rope(q, heads, here.rope), program.rope(k, kv_heads, here.rope)
    mixed = program.attention(
        q, k, v,
        layer=layer,
        heads=heads,
        kv_heads=kv_heads,
        scale=config.attention_scale,
        window=here.window or 0,
        softcap=config.attention_softcap or 0.0,
        slopes=alibi_slopes(heads) if config.alibi else (),
        sinks=program.vector(f"{name}.sinks", heads) if config.sinks else None,
    )  # fmt: skip
    return linear(program, f"{name}.output", mixed, config.width, bias=config.output_bias)


def alibi_slopes(heads: int) -> tuple[float, ...]:
    """What a step into the past costs each head's scores; Press et al. 2022 (https://arxiv.org/abs/2108.12409).

    A geometric series from 2^(-8/n) to 2^-8 for n heads, if n is a power of two; else that of the largest power of
    two below, and then every other slope of the next one's, as the authors do.
    """
    power = 1 << int(log2(heads))
    slopes = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    between = [2 ** (-4 * (head + 1) / power) for head in range(0, 2 * power, 2)]
    return tuple(slopes + between[: heads - power])


def mlp(program: Program, config: ModelConfig, name: str, x: Value) -> Value:
    """down(activation(up x)), or gated: down(activation(gate x) * up x). x and result: [rows, width].

    Shazeer 2020 (https://arxiv.org/abs/2002.05202).
    """
    if config.gated_mlp:
        gate = linear(program, f"{name}.gate", x, config.mlp_width, bias=config.mlp_bias)
        gate = program.activation(gate, config.activation)
        hidden = program.multiply(gate, linear(program, f"{name}.up", x, config.mlp_width, bias=config.mlp_bias))
    else:
        up = linear(program, f"{name}.up", x, config.mlp_width, bias=config.mlp_bias)
        hidden = program.activation(up, config.activation)
    return linear(program, f"{name}.down", hidden, config.width, bias=config.mlp_bias)


def mixture(program: Program, config: ModelConfig, experts: ExpertsConfig, name: str, x: Value) -> Value:
    """A mixture of gated MLPs; Shazeer et al. 2017 (https://arxiv.org/abs/1701.06538). x and result: [rows, width]."""
    router = linear(program, f"{name}.router", x, experts.count, bias=experts.bias)
    gate, gate_bias = stacked(program, experts, f"{name}.experts.gate", config.mlp_width, config.width)
    up, up_bias = stacked(program, experts, f"{name}.experts.up", config.mlp_width, config.width)
    down, down_bias = stacked(program, experts, f"{name}.experts.down", config.width, config.mlp_width)
    return program.mix_experts(
        x, router, gate, up, down,
        gate_bias=gate_bias,
        up_bias=up_bias,
        down_bias=down_bias,
        chosen=experts.chosen,
        renormalise=experts.renormalise,
        activation=experts.activation,
        alpha=experts.alpha,
        limit=experts.limit,
    )  # fmt: skip


def stacked(program: Program, experts: ExpertsConfig, name: str, rows: int, columns: int) -> tuple[str, str | None]:
    """The matrix [experts * rows, columns] of one linear of all experts, and its bias."""
    bias = program.vector(f"{name}.bias", experts.count * rows) if experts.bias else None
    return program.matrix(name, experts.count * rows, columns), bias


def norm(program: Program, config: ModelConfig, name: str, x: Value, *, heads: int = 1) -> Value:
    """RMSNorm, or LayerNorm with its bias, of each of ``heads`` equal parts."""
    weight = program.vector(name, x.size // heads)
    bias = program.vector(f"{name}.bias", x.size // heads) if config.norm == "layer" else None
    return program.norm(x, weight, config.norm, config.norm_epsilon, bias, heads=heads)


def linear(program: Program, name: str, x: Value, size: int, *, bias: bool = False) -> Value:
    """[rows, size]."""
    vector = program.vector(f"{name}.bias", size) if bias else None
    return program.linear(x, program.matrix(name, size, x.size), vector)
