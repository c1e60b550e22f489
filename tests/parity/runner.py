"""A model file's logits by Myna's own code, fed in whichever way: whole, in chunks, from the cache, beside others."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from myna import _native
from myna.formats import open_model
from myna.models.families import layout_of
from myna.models.loader import build_program, pack
from myna.models.packing import plan_packing
from myna.settings import Quantisation

Floats = NDArray[np.float32]
BLOCK_SIZE = 16
BLOCKS_EACH = 8


class Runner:
    """A model without its tokenizer, which tiny random models do not have.

    Args:
        path: a GGUF file or a Hugging Face directory.
        quant: packed format of the matrices.
        context: longest sequence; 0 means the model's own.
        vocabulary: real tokens; 0 means as many as the embedding has rows.
        instruction_set: of the kernels; None means the best.
    """

    def __init__(
        self,
        path: Path,
        quant: Quantisation = "f32",
        *,
        context: int = 0,
        vocabulary: int = 0,
        instruction_set: str | None = None,
    ) -> None:
        with closing(open_model(path)) as file:
            layout = layout_of(file)
            config = layout.configure(file)
            self.config = replace(config.within(context or config.context), vocab_size=vocabulary or config.vocab_size)
            program = build_program(file, self.config)
            plan = plan_packing(file, layout, program, self.config, quant)
            self.executor = _native.Executor(program.to_ops(), 1, instruction_set or _native.instruction_sets()[0])
            pack(file, plan, self.executor)
        self.executor.allocate_cache(4 * BLOCKS_EACH, BLOCK_SIZE, "float32")

    def step(self, parts: Sequence[tuple[int, int, Sequence[int]]]) -> list[Floats]:
        """Logits of each part: (which sequence, how many of its tokens are in the cache, new ones)."""
        tokens = [token for _, _, new in parts for token in new]
        starts = np.cumsum([0] + [len(new) for _, _, new in parts])
        self.executor.forward(
            np.array(tokens, np.int32),
            starts.astype(np.int32),
            np.array([cached for _, cached, _ in parts], np.int32),
            np.array(
                [[which * BLOCKS_EACH + block for block in range(BLOCKS_EACH)] for which, _, _ in parts], np.int32
            ),
            np.arange(len(tokens), dtype=np.int32),
        )
        return np.split(self.executor.logits(), starts[1:-1])

    def whole(self, ids: Sequence[int]) -> Floats:
        """One sequence at once: [tokens, vocab]."""
        return self.step([(0, 0, ids)])[0]

    def together(self, sequences: Sequence[Sequence[int]]) -> list[Floats]:
        """Several sequences in one batch."""
        return self.step([(which, 0, ids) for which, ids in enumerate(sequences)])

    def in_chunks(self, ids: Sequence[int], sizes: Sequence[int]) -> Floats:
        """One sequence in parts of these sizes, the last of which repeats until all is read."""
        logits, cached = [], 0
        for index in range(len(ids)):
            if cached == len(ids):
                break
            size = sizes[min(index, len(sizes) - 1)]
            logits += self.step([(0, cached, ids[cached : cached + size])])
            cached = min(cached + size, len(ids))
        return np.concatenate(logits)


def relative_error(actual: Floats, expected: Floats) -> float:
    """The largest difference over the largest magnitude."""
    return float(token_errors(actual, expected).max())


def token_errors(actual: Floats, expected: Floats) -> Floats:
    """Of each token, the largest difference over the largest magnitude of all tokens."""
    assert actual.shape == expected.shape
    errors: Floats = np.abs(actual - expected).max(-1) / np.abs(expected).max()
    return errors
