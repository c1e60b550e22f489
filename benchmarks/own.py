"""Myna's engine without HTTP, the counterpart of the scripts in `peers/`; prints one line of JSON.

    python -m benchmarks.own MODEL THREADS LOAD... [--quant QUANT]
    python -m benchmarks.own perplexity MODEL THREADS WINDOWS.json [--quant QUANT]
    python -m benchmarks.own embed MODEL THREADS TEXTS.json [--quant QUANT]

Whole steps of the engine: scheduling, sampling and detokenising are on the clock. Prompt lookup is off, so that a token
is a forward pass and its bytes can be counted.
"""

from __future__ import annotations

import json
import math
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.measuring import Engine, Load, Seconds, run_loads

if TYPE_CHECKING:
    from myna.engine.engine import Engine as OwnEngine
    from myna.models.loader import LoadedModel


def open_engine(path: str, threads: int, quant: str) -> tuple[OwnEngine, LoadedModel]:
    """The engine of a model file; the imports are a part of a cold start."""
    from myna import hardware
    from myna.engine.engine import Engine as OwnEngine
    from myna.engine.options import EngineOptions
    from myna.models.loader import load_model

    model = load_model(path, threads=threads, quant=quant)  # type: ignore[arg-type]
    options = EngineOptions(name=path, path=path, speculation=False)
    return OwnEngine(model, options, hardware.available_memory()), model


def start(path: str, threads: int, quant: str) -> tuple[Engine, dict[str, Any]]:
    """The engine as the server would run it."""
    engine, model = open_engine(path, threads, quant)
    from myna.engine.request import GenerationRequest, SamplingParams, Started

    def run(load: Load) -> Seconds:
        params = SamplingParams(temperature=0.0, max_tokens=load.new + 1, ignore_eos=True)
        began = time.perf_counter()
        for stream, prompt in enumerate(load.prompts(model.config.vocab_size)):
            # An owner of its own for every load: none profits from the prompts of another.
            request = GenerationRequest(id=str(stream), params=params, token_ids=tuple(prompt), owner=f"{load} {began}")
            engine.add(engine.prepare(request))
        waiting = load.streams
        while waiting:
            waiting -= sum(isinstance(event, Started) for events in engine.step().values() for event in events)
        first = time.perf_counter()
        while not engine.is_idle:
            engine.step()
        return first - began, time.perf_counter() - first

    figures = {
        "weight_bytes": model.weight_bytes,
        "bytes_per_token": model.bytes_per_token,
        "cache_bytes_per_token": engine.kv_bytes_per_token,
        "parameters": model.parameters,
        "quantisation": model.quantisation,
    }
    return run, figures


def perplexity(path: str, threads: str, windows: str, quant: str) -> None:
    """Over windows of token ids that are scored independently; each but the first token is predicted."""
    engine, _ = open_engine(path, int(threads), quant)
    from myna.engine.request import GenerationRequest, SamplingParams, Started

    params = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0)
    total, count = 0.0, 0
    for window in json.loads(Path(windows).read_text()):
        engine.add(engine.prepare(GenerationRequest(id="window", params=params, token_ids=tuple(window))))
        while not engine.is_idle:
            for event in (event for events in engine.step().values() for event in events):
                if isinstance(event, Started):
                    assert event.prompt_logprobs is not None
                    scored = [each.logprob for each in event.prompt_logprobs if each is not None]
                    total -= sum(scored)
                    count += len(scored)
    print(json.dumps({"perplexity": math.exp(total / count), "tokens": count}))


def embed(path: str, threads: str, texts: str, quant: str) -> None:
    """Embed the texts, once to warm up and once by the clock; the first vector comes along, for comparison."""
    from myna import hardware
    from myna.engine.embedder import Embedder
    from myna.engine.embedding import Embedded, EmbeddingRequest
    from myna.engine.options import EngineOptions
    from myna.models.config import EncoderConfig
    from myna.models.loader import load_model

    model = load_model(path, threads=int(threads), quant=quant)  # type: ignore[arg-type]
    assert isinstance(model.config, EncoderConfig)
    embedder = Embedder(model, model.config, EngineOptions(name=path, path=path), hardware.available_memory())

    def encode(lists: list[str]) -> Embedded:
        embedder.add(embedder.prepare(EmbeddingRequest(id="texts", texts=tuple(lists))))
        ends: list[object] = []
        while not embedder.is_idle:
            ends += [event for events in embedder.step().values() for event in events]
        (end,) = ends
        assert isinstance(end, Embedded), end
        return end

    lists: list[str] = json.loads(Path(texts).read_text())
    encode(lists[:32])
    began = time.perf_counter()
    end = encode(lists)
    seconds = time.perf_counter() - began
    first = array("f", end.vectors)[: end.width]
    print(json.dumps({"seconds": seconds, "tokens": end.tokens, "first": list(first)}))


if __name__ == "__main__":
    quant = "auto"
    if "--quant" in sys.argv:
        at = sys.argv.index("--quant")
        _, quant = sys.argv[at : at + 2]
        del sys.argv[at : at + 2]
    commands: dict[str, Callable[[str, str, str, str], None]] = {"perplexity": perplexity, "embed": embed}
    if sys.argv[1] in commands:
        commands[sys.argv[1]](sys.argv[2], sys.argv[3], sys.argv[4], quant)
    else:
        run_loads(lambda path, threads, _: start(path, threads, quant))
