"""Small random models, on the native executor and in the interpreter side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from myna import _native
from myna.models.config import AttentionConfig, ModelConfig, RopeConfig
from myna.models.interpreter import Interpreter
from myna.models.program import Program
from tests.native.blocks import decode, encode

Floats = NDArray[np.float32]
INSTRUCTION_SETS = _native.instruction_sets()
# The file type whose values each weight format keeps exactly.
EXACT = {"w4": "Q4_1", "w4s": "Q4_0", "w8": "Q8_0", "bf16": "BF16", "f32": "F32"}


def tiny_config(*, layers: int = 2, rope: RopeConfig | None = None, **changes: object) -> ModelConfig:
    """All layers attend alike, with ``rope`` or interleaved pairs, unless ``attention`` is among the changes."""
    fields: dict[str, object] = {
        "architecture": "llama", "width": 64, "heads": 4, "kv_heads": 2, "head_dim": 16, "mlp_width": 96,
        "vocab_size": 100, "context": 512, "norm": "rms", "norm_epsilon": 1e-5, "activation": "silu",
        "attention": (AttentionConfig(rope or RopeConfig(dims=16, base=1e4, layout="interleaved")),) * layers,
        "tied_embeddings": True,
    }  # fmt: skip
    return ModelConfig(**{**fields, **changes})  # type: ignore[arg-type]


def random_weights(program: Program, seed: int = 0) -> dict[str, Floats]:
    """Matrices [rows, columns] scaled to keep activations near 1; vectors [size]."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, weight in program.weights.items():
        if weight.kind == "vector":
            offset = 0 if name.endswith(".bias") else 1
            weights[name] = (offset + 0.2 * rng.standard_normal(weight.columns)).astype(np.float32)
        else:
            values = rng.standard_normal((weight.rows, weight.columns)) * 1.5 / np.sqrt(weight.columns)
            weights[name] = values.astype(np.float32)
    return weights


@dataclass
class Batch:
    tokens: NDArray[np.int32]
    starts: NDArray[np.int32]
    contexts: NDArray[np.int32]
    tables: NDArray[np.int32]
    logit_rows: NDArray[np.int32]

    def arrays(self) -> tuple[NDArray[np.int32], ...]:
        return self.tokens, self.starts, self.contexts, self.tables, self.logit_rows


def batch(
    sequences: Sequence[tuple[Sequence[int], int, Sequence[int]]], logit_rows: Sequence[int] | None = None
) -> Batch:
    """From (new tokens, context length, cache blocks) of each sequence; logits of every row unless given."""
    tokens = [token for new, _, _ in sequences for token in new]
    width = max(len(blocks) for _, _, blocks in sequences)
    rows = range(len(tokens)) if logit_rows is None else logit_rows
    return Batch(
        np.array(tokens, np.int32),
        np.cumsum([0] + [len(new) for new, _, _ in sequences], dtype=np.int32),
        np.array([context for _, context, _ in sequences], np.int32),
        np.array([[*blocks, *[-1] * (width - len(blocks))] for _, _, blocks in sequences], np.int32),
        np.array(rows, np.int32),
    )


class Model:
    """A Program with weights on the native executor, and the interpreter with what those weights became."""

    def __init__(
        self,
        program: Program,
        weights: Mapping[str, Floats],
        *,
        target: str = "f32",
        instruction_set: str = INSTRUCTION_SETS[0],
        threads: int = 2,
        blocks: int = 64,
        dtype: str = "float32",
    ) -> None:
        self.executor = _native.Executor(program.to_ops(), threads, instruction_set)
        kept = {}
        for name, weight in program.weights.items():
            rows = weights[name].reshape(weight.rows, weight.columns)
            source = "F32" if weight.kind == "vector" else EXACT[target]
            data = encode(source, rows)
            kind = "f32" if weight.kind == "vector" else target
            self.executor.set_weight(name, data, source, weight.rows, weight.columns, kind)
            kept[name] = decode(source, data, weight.columns).reshape(weights[name].shape)
        self.executor.seal()
        self.executor.allocate_cache(blocks, 16, dtype)
        self.interpreter = Interpreter(
            program,
            kept,
            blocks=blocks,
            cache_dtype=np.dtype(dtype).type,
            int8_activations=target in ("w4", "w4s", "w8"),
        )

    def run(self, batch: Batch) -> Floats:
        self.executor.forward(*batch.arrays())
        return self.executor.logits()

    def expect(self, batch: Batch) -> Floats:
        return self.interpreter.forward(*batch.arrays())


def error(got: Floats, expected: Floats) -> float:
    """Largest difference over the largest magnitude."""
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())
