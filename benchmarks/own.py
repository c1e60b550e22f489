"""One measurement of Myna's engine, without HTTP; prints one line of JSON.

    python benchmarks/own.py MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS [QUANT]

The counterpart of `peers/llamacpp.py`: the same prompt, greedy, whole steps with sampling and detokenising.
"""

from __future__ import annotations

import json
import resource
import sys
import time


def speed(path: str, threads: int, prompt_tokens: int, new_tokens: int, quant: str = "auto") -> dict[str, float]:
    """Load, prefill once, decode greedily."""
    start = time.perf_counter()
    from myna import hardware  # the imports are part of a cold start
    from myna.engine.engine import Engine
    from myna.engine.options import EngineOptions
    from myna.engine.request import GenerationRequest, SamplingParams, Started
    from myna.models.loader import load_model

    model = load_model(path, threads=threads, quant=quant)  # type: ignore[arg-type]
    engine = Engine(model, EngineOptions(name=path, path=path), hardware.available_memory())
    ready = time.perf_counter()

    prompt = tuple(1000 + (i * 7919) % 20000 for i in range(prompt_tokens))
    params = SamplingParams(temperature=0.0, max_tokens=new_tokens + 1, ignore_eos=True)
    engine.add(engine.prepare(GenerationRequest(id="benchmark", params=params, token_ids=prompt)))
    while not any(isinstance(event, Started) for events in engine.step().values() for event in events):
        pass
    first = time.perf_counter()
    while not engine.is_idle:
        engine.step()
    end = time.perf_counter()
    return {
        "start_seconds": ready - start,
        "prefill_tokens_per_second": prompt_tokens / (first - ready),
        "decode_tokens_per_second": new_tokens / (end - first),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "weight_bytes": model.weight_bytes,
        "bytes_per_token": model.bytes_per_token,
    }


if __name__ == "__main__":
    path_, threads_, prompt_, new_, *quant_ = sys.argv[1:]
    print(json.dumps(speed(path_, int(threads_), int(prompt_), int(new_), *quant_)))
