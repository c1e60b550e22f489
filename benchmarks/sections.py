"""What is measured, a section each: a function from the plan to raw figures, every round apart. Nothing is judged here.

Peers run in process, without HTTP, tokenising or streaming; Myna runs in process beside them, and in the same round
over HTTP with all of that on the clock. Prompt lookup is off, as it is for the peers; ``lookup`` is one stream with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import growth
from benchmarks.chat import WORDS, chat
from benchmarks.engines import ENGINES, LLAMACPP, OWN, alternate
from benchmarks.environments import MODEL, QUANTISATIONS, Workplace, run, say
from benchmarks.load import load
from benchmarks.served import myna, served
from myna import hardware
from myna.formats import open_model
from myna.models.tokenizer import load_tokenizer

CHAT_PROMPT = 42
"""Tokens of the prompts of `load.py` with the default model's template, median."""
NEW = 128
HISTORY, TURNS = 2000, 10
TEXTS, TEXT_TOKENS = 256, 128
WINDOW, WINDOWS = 1024, 5


@dataclass(frozen=True)
class Plan:
    """What to measure with.

    ``quick``: short answers, a large model of few layers, few points of growth; its figures say that all parts work and
    no more. ``text``: a file to count perplexity on; None leaves it out. ``vllm``: run vLLM too.
    """

    workplace: Workplace
    rounds: int
    quick: bool = False
    text: Path | None = None
    vllm: bool = False

    @property
    def threads(self) -> int:
        return hardware.usable_cores()

    @property
    def new(self) -> int:
        return 16 if self.quick else NEW

    def defaults(self) -> dict[str, Path]:
        """Every engine with its file of the default model, which is made if it is not there."""
        return {name: engine.default_model(self.workplace) for name, engine in ENGINES.items()}


def single(plan: Plan) -> dict[str, Any]:
    """One stream: after a short prompt as in `load.py`, after a long one, and what one user of the server feels."""

    def serve() -> dict[str, Any]:
        figures: dict[str, Any] = {}
        with myna(plan.workplace.models, MODEL, speculation="false") as server:
            figures["start_seconds"] = server.start_seconds
            one = asyncio.run(load(server.base, server.model, 1, 1, NEW))
            figures["resident_bytes"] = server.resident()
            figures["resident_tokens"] = one["prompt_tokens"] + NEW
            figures["1"] = asyncio.run(load(server.base, server.model, 1, 4, plan.new))
        with myna(plan.workplace.models, MODEL) as server:
            figures["chat"] = asyncio.run(chat(server.base, server.model, TURNS, HISTORY))
            figures["lookup"] = asyncio.run(load(server.base, server.model, 1, 4, plan.new))
        return figures

    loads = [f"1x{CHAT_PROMPT}+{plan.new}", f"1x512+{plan.new}"]
    return alternate(plan.workplace, plan.defaults(), loads, plan.rounds, plan.threads, serve)


def streams(plan: Plan) -> dict[str, Any]:
    """Many streams at once, in process and over HTTP, and a prompt that is longer than a step."""

    def serve() -> dict[str, Any]:
        figures = {}
        with myna(plan.workplace.models, MODEL, speculation="false") as server:
            figures["together"] = asyncio.run(load(server.base, server.model, 16, 16, 16))
            for count in (16, 32):
                figures[str(count)] = asyncio.run(load(server.base, server.model, count, 2 * count, plan.new))
        return figures

    loads = [f"16x{CHAT_PROMPT}+{plan.new}", f"32x{CHAT_PROMPT}+{plan.new}", "1x2048+1"]
    return alternate(plan.workplace, plan.defaults(), loads, plan.rounds, plan.threads, serve)


def large(plan: Plan) -> dict[str, Any]:
    """The shape of Mistral 7B with random weights in Q4_0, where nothing fits into a cache."""
    file = plan.workplace.synthetic("7B", layers=2 if plan.quick else None)
    result = alternate(plan.workplace, {OWN: file, LLAMACPP: file}, ["1x16+32"], min(plan.rounds, 3), plan.threads)
    return {**result, "file": file.stem}


def embeddings(plan: Plan) -> dict[str, Any]:
    """all-MiniLM-L6-v2: texts a second, and how near the vectors are to those of sentence-transformers."""
    workplace, threads = plan.workplace, plan.threads
    model, int8 = workplace.minilm, workplace.minilm_int8
    tokenizer = model / "tokenizer.json"
    count = 32 if plan.quick else TEXTS
    texts = [" ".join(WORDS[(i + k * k) % len(WORDS)] for k in range(TEXT_TOKENS - 2)) for i in range(count)]
    runs: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "texts.json"
        file.write_text(json.dumps(texts))
        own = [sys.executable, "-m", "benchmarks.own", "embed", model, threads, file]
        engines: Mapping[str, Callable[[], dict[str, Any]]] = {
            OWN: lambda: run(*own),
            f"{OWN} w8": lambda: run(*own, "--quant", "w8"),
            "sentence-transformers": lambda: workplace.script(
                "transformers", "huggingface.py", "embed", model, threads, file
            ),
            "ONNX Runtime int8": lambda: workplace.script(
                "onnx", "onnxint8.py", "embed", int8, tokenizer, threads, file
            ),
        }
        for number in range(plan.rounds):
            for name, measure in engines.items():
                say(f"  round {number + 1} of {plan.rounds}: {name}")
                runs.setdefault(name, []).append(measure())
    return {"texts": count, "tokens": TEXT_TOKENS, "engines": runs}


def perplexity(plan: Plan) -> dict[str, Any]:
    """Of the files that are compared for speed, in windows of a text; once, for it does not vary."""
    if plan.text is None:
        return {}
    workplace, threads = plan.workplace, plan.threads
    model = open_model(workplace.shipped)
    ids = list(load_tokenizer(model).encode(plan.text.read_text(encoding="utf-8")[: 8 * WINDOW * WINDOWS]))
    model.close()
    windows = [ids[begin : begin + WINDOW] for begin in range(0, WINDOW * (1 if plan.quick else WINDOWS), WINDOW)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "windows.json"
        file.write_text(json.dumps(windows))
        result = {OWN: run(sys.executable, "-m", "benchmarks.own", "perplexity", workplace.shipped, threads, file)}
        for kind in QUANTISATIONS:
            say(f"  llama.cpp {kind}")
            result[f"llama.cpp {kind}"] = workplace.script(
                "llamacpp", "llamacpp.py", "perplexity", workplace.quantised(kind), threads, file
            )
    return {"text": plan.text.stem, "engines": result}


def vllm(plan: Plan) -> dict[str, Any]:
    """The CPU build of vLLM over HTTP, in bfloat16; only when asked for."""
    if not plan.vllm:
        return {}
    model = str(plan.workplace.dequantised)
    command = [str(plan.workplace.python("vllm")), "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    with served(command, model, {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2"}) as server:
        figures: dict[str, Any] = {"start_seconds": server.start_seconds}
        for count in (1, 16, 32):
            figures[str(count)] = asyncio.run(load(server.base, model, count, max(4, 2 * count), plan.new))
    return {"rounds": [figures]}


def exactness(plan: Plan) -> dict[str, Any]:
    """Every family's logits beside those of Transformers."""
    from benchmarks import parity  # brings PyTorch, which no other section needs here
    from tests.parity.models import CONFIGS

    names = list(CONFIGS)[: 2 if plan.quick else None]
    return {"table": parity.render({name: parity.measure(name) for name in names})}


def growing(plan: Plan) -> dict[str, Any]:
    """Speed against streams, context and size, beside the peers."""
    return growth.measure(plan.workplace, plan.threads, quick=plan.quick)


SECTIONS: Mapping[str, Callable[[Plan], dict[str, Any]]] = {
    "single": single,
    "streams": streams,
    "large": large,
    "embeddings": embeddings,
    "perplexity": perplexity,
    "vllm": vllm,
    "growth": growing,
    "parity": exactness,
}
