"""One measurement of llama.cpp, run inside the peer's own environment; prints one line of JSON.

    python llamacpp.py speed MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS
    python llamacpp.py quantise SOURCE.gguf TARGET.gguf Q4_0|Q8_0

Uses the library's C interface directly, sampler included, so that no Python of the bindings is on the clock.
"""

from __future__ import annotations

import ctypes
import json
import resource
import sys
import time
from pathlib import Path


def speed(path: str, threads: int, prompt_tokens: int, new_tokens: int) -> dict[str, float]:
    """Load, prefill once, decode greedily."""
    start = time.perf_counter()
    import llama_cpp as llama  # the import is part of a cold start

    silent = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(silent, ctypes.c_void_p(0))
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    settings = llama.llama_context_default_params()
    settings.n_ctx = prompt_tokens + new_tokens + 64
    settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = threads
    context = llama.llama_init_from_model(model, settings)
    sampler = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(sampler, llama.llama_sampler_init_greedy())
    ready = time.perf_counter()

    # Ids of ordinary words; llama.cpp and Myna get the same ones.
    prompt = [1000 + (i * 7919) % 20000 for i in range(prompt_tokens)]
    for offset in range(0, prompt_tokens, 512):
        chunk = prompt[offset : offset + 512]
        array = (llama.llama_token * len(chunk))(*chunk)
        assert llama.llama_decode(context, llama.llama_batch_get_one(array, len(chunk))) == 0
    token = llama.llama_sampler_sample(sampler, context, -1)
    first = time.perf_counter()
    one = (llama.llama_token * 1)()
    for _ in range(new_tokens):
        one[0] = token
        assert llama.llama_decode(context, llama.llama_batch_get_one(one, 1)) == 0
        token = llama.llama_sampler_sample(sampler, context, -1)
    end = time.perf_counter()
    return {
        "start_seconds": ready - start,
        "prefill_tokens_per_second": prompt_tokens / (first - ready),
        "decode_tokens_per_second": new_tokens / (end - first),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "file_bytes": Path(path).stat().st_size,
    }


def quantise(source: str, target: str, kind: str) -> dict[str, float]:
    """Requantise a GGUF file as llama.cpp's own tool would."""
    import llama_cpp as llama

    settings = llama.llama_model_quantize_default_params()
    settings.nthread = 2
    settings.ftype = {"Q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0, "Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0}[kind]
    settings.allow_requantize = True
    assert llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)) == 0
    return {"file_bytes": Path(target).stat().st_size}


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    result = speed(arguments[0], *map(int, arguments[1:])) if command == "speed" else quantise(*arguments)
    print(json.dumps(result))
