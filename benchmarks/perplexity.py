"""What each weight format costs: perplexity and logit error beside Transformers on the same weights, dequantised.

    python -m benchmarks.perplexity MODEL.gguf TEXT.txt

Prints a Markdown table. The text's first tokens are cut into windows that are scored independently; every token of a
window but its first is predicted from those before it. The error of logits is the largest difference over the largest
magnitude, over the first window. Needs the development tools (torch, transformers, gguf).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from myna import _native, hardware
from myna.formats import GGUFFile
from myna.models.families import layout_of
from myna.models.loader import build_program, pack
from myna.models.packing import describe_quantisation, plan_packing
from myna.models.tokenizer import load_tokenizer
from myna.settings import Quantisation
from tests.parity.reference import load_reference, relative_error

BLOCK_SIZE = 16
STEP_TOKENS = 256


@dataclass(frozen=True)
class WeightFormat:
    """A row of the table: a format of all matrices, and exceptions by weight name."""

    title: str
    quant: Quantisation
    overrides: dict[str, str]


FORMATS = (
    WeightFormat("f32", "f32", {}),
    WeightFormat("bf16", "bf16", {}),
    WeightFormat("as shipped", "auto", {}),
    WeightFormat("w8", "w8", {}),
    WeightFormat("as shipped, embedding and head w4", "auto", {"embedding": "w4"}),
    WeightFormat("as shipped, embedding and head f32", "auto", {"embedding": "f32"}),
)


@dataclass(frozen=True)
class Result:
    """``logits`` of the first window, [tokens, vocab]; ``log_probabilities`` of every predicted token."""

    logits: NDArray[np.float32]
    log_probabilities: NDArray[np.float64]
    packed: str
    weight_bytes: int
    seconds: float

    @property
    def perplexity(self) -> float:
        """The exponential of the mean negative log-likelihood."""
        return float(np.exp(-self.log_probabilities.mean()))


def measure(path: Path, windows: Sequence[Sequence[int]], weights: WeightFormat, kv_dtype: str) -> Result:
    """Score the windows with the native executor."""
    with closing(GGUFFile(path)) as file:
        layout = layout_of(file)
        config = layout.configure(file)
        program = build_program(file, config)
        plan = plan_packing(file, layout, program, config, weights.quant, weights.overrides)
        executor = _native.Executor(program.to_ops(), hardware.usable_cores(), _native.instruction_sets()[0])
        pack(file, plan, executor)
    blocks = -(-len(windows[0]) // BLOCK_SIZE)
    executor.allocate_cache(blocks, BLOCK_SIZE, kv_dtype)
    table = np.arange(blocks, dtype=np.int32)[None]
    begin = time.perf_counter()
    first_logits, scores = [], []
    for number, window in enumerate(windows):
        ids = np.array(window, np.int32)
        for start in range(0, len(ids), STEP_TOKENS):
            step = ids[start : start + STEP_TOKENS]
            rows = np.arange(len(step), dtype=np.int32)
            executor.forward(step, np.array([0, len(step)], np.int32), np.array([start], np.int32), table, rows)
            targets = ids[start + 1 : start + 1 + len(step)]
            scores.append(executor.score(rows[: len(targets)], targets, 0)[0])
            if number == 0:
                first_logits.append(executor.logits())
    return Result(
        np.concatenate(first_logits),
        np.concatenate(scores).astype(np.float64),
        describe_quantisation(plan),
        executor.weight_bytes,
        time.perf_counter() - begin,
    )


def measure_reference(path: Path, windows: Sequence[Sequence[int]]) -> Result:
    """Score the windows with Transformers in float32."""
    model = load_reference(path)
    begin = time.perf_counter()
    first_logits, scores = np.zeros((0, 0), np.float32), []
    for number, window in enumerate(windows):
        ids = torch.tensor([list(window)])
        with torch.inference_mode():
            logits = model(ids).logits[0]
            chosen = torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None])[:, 0]
        scores.append(chosen.numpy())
        if number == 0:
            first_logits = logits.numpy().copy()
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return Result(first_logits, np.concatenate(scores).astype(np.float64), "float32", size, time.perf_counter() - begin)


def main() -> None:
    """Measure every format and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokens", type=int, default=20_480)
    parser.add_argument("--window", type=int, default=1_024)
    parser.add_argument("--kv-dtype", choices=("float16", "float32"), default="float32")
    options = parser.parse_args()
    with closing(GGUFFile(options.model)) as file:
        ids = load_tokenizer(file).encode(options.text.read_text(encoding="utf-8"))[: options.tokens]
    windows = [ids[start : start + options.window] for start in range(0, len(ids) - 1, options.window)]
    torch.set_num_threads(hardware.usable_cores())
    print(
        f"{len(ids)} tokens in {len(windows)} windows of {options.window}; KV cache {options.kv_dtype}; "
        f"{_native.instruction_sets()[0]} on {hardware.processor_name()}\n"
    )
    print("| weights | packed as | MB | perplexity | difference | logit error | same first choice | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    reference = measure_reference(options.model, windows)
    show("Transformers, dequantised", reference, reference)
    for weights in FORMATS:
        show(weights.title, measure(options.model, windows, weights, options.kv_dtype), reference)


def show(title: str, result: Result, reference: Result) -> None:
    """One row."""
    difference = result.perplexity / reference.perplexity - 1
    agreement = np.mean(result.logits.argmax(-1) == reference.logits.argmax(-1))
    print(
        f"| {title} | {result.packed} | {result.weight_bytes / 1e6:.1f} | {result.perplexity:.4f} | {difference:+.3%} "
        f"| {relative_error(result.logits, reference.logits):.1e} | {agreement:.1%} | {result.seconds:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
