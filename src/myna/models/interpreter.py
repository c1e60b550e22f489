"""What every op of a Program means, in NumPy: the reference for the native executor's tests, slow and plain."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import erf

import numpy as np
from numpy.typing import NDArray

from myna.models.program import (
    Activate,
    Add,
    Attend,
    Embed,
    Linear,
    MixExperts,
    Multiply,
    Normalise,
    Program,
    Rope,
    Select,
    Softcap,
)

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]


class Interpreter:
    """Runs a Program on float32 weights with a paged KV cache, batch by batch like `myna._native.Executor`.

    Args:
        program: what to run.
        weights: matrices [rows, columns] and vectors [size] by name.
        blocks: cache blocks there are.
        block_size: tokens a block.
        cache_dtype: what keys and values are rounded to.
        int8_activations: round the input of every linear and expert to int8 in groups of 32, as the native products do
            for integer weights, so that tests can compare tightly.
    """

    def __init__(
        self,
        program: Program,
        weights: Mapping[str, Floats],
        *,
        blocks: int,
        block_size: int = 16,
        cache_dtype: type = np.float32,
        int8_activations: bool = False,
    ) -> None:
        self.program = program
        self.weights = weights
        self.block_size = block_size
        self.int8_activations = int8_activations
        self.keys: dict[int, NDArray[np.floating]] = {}
        self.values: dict[int, NDArray[np.floating]] = {}
        for op in program.ops:
            if isinstance(op, Attend):
                shape = (blocks * block_size, op.kv_heads, op.head_dim)
                self.keys[op.layer] = np.zeros(shape, cache_dtype)
                self.values[op.layer] = np.zeros(shape, cache_dtype)

    def forward(self, tokens: Ids, starts: Ids, contexts: Ids, block_tables: Ids, logit_rows: Ids) -> Floats:
        """Logits [logit rows, vocab] of one flat batch; arguments as of `myna._native.Executor.forward`."""
        spans = list(pairwise(starts.tolist()))
        positions = np.concatenate([np.arange(c, c + b - a) for (a, b), c in zip(spans, contexts, strict=True)])
        results: list[Floats] = []
        for op in self.program.ops:
            match op:
                case Embed():
                    rows = tokens if op.source == "tokens" else positions
                    result = self.weights[op.weight][rows] * np.float32(op.scale)
                case Normalise():
                    bias = None if op.bias is None else self.weights[op.bias]
                    x = results[op.x]
                    parts = x.reshape(len(x), op.heads, -1)
                    result = normalise(parts, self.weights[op.weight], bias, op.kind, op.epsilon).reshape(x.shape)
                case Linear():
                    bias = None if op.bias is None else self.weights[op.bias]
                    result = self._linear(results[op.x], self.weights[op.weight], bias)
                case Rope():
                    result = rope(results[op.x], positions, op)
                case Attend():
                    q, k, v = results[op.q], results[op.k], results[op.v]
                    result = np.empty_like(q)
                    for (a, b), context, table in zip(spans, contexts, block_tables, strict=True):
                        result[a:b] = self._attend(op, q[a:b], k[a:b], v[a:b], int(context), table)
                case Add():
                    result = results[op.a] + results[op.b]
                case Multiply():
                    result = results[op.a] * results[op.b]
                case Activate():
                    result = activate(results[op.x], op.kind)
                case Softcap():
                    result = softcap(results[op.x], op.cap)
                case MixExperts():
                    result = self._mix_experts(op, results[op.x], results[op.router])
                case Select():
                    result = results[op.x][logit_rows]
            results.append(result.astype(np.float32))
        assert self.program.logits is not None
        return results[self.program.logits.id]

    def _attend(self, op: Attend, q: Floats, k: Floats, v: Floats, context: int, table: Ids) -> Floats:
        """One sequence. q: [new, heads * head_dim]; its positions follow context."""
        new, length, group = len(q), context + len(q), op.heads // op.kv_heads
        positions = np.arange(length)
        slots = table[positions // self.block_size] * self.block_size + positions % self.block_size
        self.keys[op.layer][slots[context:]] = k.reshape(new, op.kv_heads, op.head_dim)
        self.values[op.layer][slots[context:]] = v.reshape(new, op.kv_heads, op.head_dim)
        keys = self.keys[op.layer][slots].astype(np.float32)  # [length, kv_heads, head_dim]
        values = self.values[op.layer][slots].astype(np.float32)
        queries = q.reshape(new, op.kv_heads, group, op.head_dim)
        scores = np.einsum("nkgd,lkd->nkgl", queries, keys) * np.float32(op.scale)
        if op.softcap:
            scores = softcap(scores, op.softcap)
        distance = positions[None, :] - (context + np.arange(new))[:, None]  # [new, length]: key minus query
        if op.slopes:
            slopes = np.array(op.slopes, np.float32).reshape(op.kv_heads, group, 1)
            scores = scores + slopes * distance[:, None, None, :].astype(np.float32)
        hidden = (distance > 0) & op.causal
        if op.window:
            hidden |= distance <= -op.window
        scores = np.where(hidden[:, None, None, :], -np.inf, scores)
        peak = scores.max(-1, keepdims=True)
        if op.sinks is not None:
            sinks = self.weights[op.sinks].reshape(op.kv_heads, group, 1)
            peak = np.maximum(peak, sinks)
        weights = np.exp(scores - peak)
        total = weights.sum(-1, keepdims=True)
        if op.sinks is not None:
            total = total + np.exp(sinks - peak)
        mixed: Floats = np.einsum("nkgl,lkd->nkgd", weights / total, values).reshape(new, -1)
        return mixed

    def _mix_experts(self, op: MixExperts, x: Floats, router: Floats) -> Floats:
        """x: [rows, width]; router: [rows, experts]."""

        def part(name: str, expert: int) -> Floats:
            """The rows of one expert."""
            return np.split(self.weights[name], op.experts)[expert]

        def linear(x: Floats, weight: str, bias: str | None, expert: int) -> Floats:
            return self._linear(x, part(weight, expert), None if bias is None else part(bias, expert))

        order = np.argsort(-router, axis=-1, kind="stable")[:, : op.chosen]
        likely = np.exp(router - router.max(-1, keepdims=True))
        shares = np.take_along_axis(likely, order, -1)
        shares = shares / (shares if op.renormalise else likely).sum(-1, keepdims=True)
        results = np.zeros((op.experts, len(x), self.weights[op.down].shape[0] // op.experts), np.float32)
        for expert in range(op.experts):
            gates = linear(x, op.gate, op.gate_bias, expert)
            ups = linear(x, op.up, op.up_bias, expert)
            if op.activation == "clamped_silu":
                gates = np.minimum(gates, np.float32(op.limit))
                ups = np.clip(ups, -op.limit, op.limit).astype(np.float32) + 1
                hidden = gates / (1 + np.exp(np.float32(-op.alpha) * gates)) * ups
            else:
                hidden = activate(gates, op.activation) * ups
            results[expert] = linear(hidden, op.down, op.down_bias, expert)
        chosen = results[order, np.arange(len(x))[:, None]]  # [rows, chosen, out]
        mixed: Floats = np.einsum("rc,rco->ro", shares, chosen)
        return mixed

    def _linear(self, x: Floats, weight: Floats, bias: Floats | None) -> Floats:
        result: Floats = (int8_groups(x) if self.int8_activations else x) @ weight.T
        return result if bias is None else result + bias


def normalise(x: Floats, weight: Floats, bias: Floats | None, kind: str, epsilon: float) -> Floats:
    """RMSNorm or LayerNorm over the last axis."""
    if kind == "layer":
        x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(epsilon)) * weight
    return x if bias is None else x + bias


def activate(x: Floats, kind: str) -> Floats:
    """silu: x * sigmoid(x); gelu: x * Φ(x), Hendrycks and Gimpel 2016 (https://arxiv.org/abs/1606.08415)."""
    if kind == "silu":
        share = 1 / (1 + np.exp(-x))
    elif kind == "gelu_tanh":
        share = 0.5 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    else:
        share = 0.5 * (1 + np.vectorize(erf)(x / np.sqrt(2)))
    return np.asarray(x * share, np.float32)


def softcap(x: Floats, cap: float) -> Floats:
    """Bend x smoothly to stay within -cap … cap."""
    return np.asarray(np.float32(cap) * np.tanh(x / np.float32(cap)), np.float32)


def rope(x: Floats, positions: NDArray[np.int64], op: Rope) -> Floats:
    """Turn pairs of each head by position * frequency. x: [tokens, heads * head_dim]."""
    pairs = op.dims // 2
    frequencies = op.base ** (-np.arange(pairs) / pairs) / np.array(op.factors or [1.0])
    angles = positions[:, None] * frequencies  # [tokens, pairs]
    cos, sin = op.scale * np.cos(angles)[:, None, :], op.scale * np.sin(angles)[:, None, :]
    out = x.reshape(len(x), op.heads, op.head_dim).copy()
    halves = (slice(0, op.dims, 2), slice(1, op.dims, 2))
    if op.layout == "half":
        halves = (slice(0, pairs), slice(pairs, op.dims))
    a, b = (out[:, :, half].copy() for half in halves)
    out[:, :, halves[0]] = a * cos - b * sin
    out[:, :, halves[1]] = a * sin + b * cos
    return out.reshape(x.shape)


def int8_groups(x: Floats) -> Floats:
    """Each row rounded to int8 times one scale a group of 32 columns, as float32 again."""
    groups = np.pad(x, [(0, 0), (0, -x.shape[1] % 32)]).reshape(len(x), -1, 32)
    largest = np.abs(groups).max(-1, keepdims=True)
    inverse = np.float32(127) / np.where(largest > 0, largest, np.float32(1))
    rounded: Floats = (np.rint(groups * inverse) * (largest * np.float32(1 / 127))).astype(np.float32)
    return rounded.reshape(len(x), -1)[:, : x.shape[1]]
