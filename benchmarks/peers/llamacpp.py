"""llama.cpp, run inside its own environment; prints one line of JSON.

    python llamacpp.py MODEL.gguf THREADS LOAD...
    python llamacpp.py quantise SOURCE.gguf TARGET.gguf Q4_0|Q8_0
    python llamacpp.py perplexity MODEL.gguf THREADS WINDOWS.json

Uses the library's C interface directly, sampler included, so that no Python of the bindings is on the clock.
"""

from __future__ import annotations

import ctypes
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

from measuring import Engine, Load, Seconds, run_loads

STEP_TOKENS = 512

KEPT: list[Any] = []
"""What the library points to and Python must not free."""


def open_model(path: str, threads: int, context: int, streams: int) -> tuple[Any, Any]:
    """The model, and a context with room for so many tokens, which the streams share."""
    import llama_cpp as llama

    KEPT.append(llama.llama_log_callback(lambda *_: None))
    llama.llama_log_set(KEPT[-1], ctypes.c_void_p(0))
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
    settings = llama.llama_context_default_params()
    settings.n_ctx = context
    settings.n_batch = settings.n_ubatch = STEP_TOKENS
    settings.n_seq_max = streams
    settings.kv_unified = True
    settings.n_threads = settings.n_threads_batch = threads
    return model, llama.llama_init_from_model(model, settings)


class Batch:
    """llama.cpp's batch, filled token by token."""

    def __init__(self) -> None:
        import llama_cpp as llama

        self.batch = llama.llama_batch_init(STEP_TOKENS, 0, 1)

    def add(self, token: int, position: int, stream: int, wanted: bool) -> None:
        batch, at = self.batch, self.batch.n_tokens
        batch.token[at], batch.pos[at] = token, position
        batch.n_seq_id[at], batch.seq_id[at][0] = 1, stream
        batch.logits[at] = wanted
        batch.n_tokens = at + 1

    @property
    def is_full(self) -> bool:
        return bool(self.batch.n_tokens == STEP_TOKENS)


def start(path: str, threads: int, loads: list[Load]) -> tuple[Engine, dict[str, Any]]:
    """The engine, with a cache that the largest of the loads fits into."""
    import llama_cpp as llama

    streams = max(load.streams for load in loads)
    room = max(load.streams * (load.prompt + load.new + 2) for load in loads)
    model, context = open_model(path, threads, room + 256, streams)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    sampler = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
    llama.llama_sampler_chain_add(sampler, llama.llama_sampler_init_greedy())
    batch = Batch()

    def run() -> None:
        assert llama.llama_decode(context, batch.batch) == 0

    def prefill(prompts: list[list[int]]) -> list[int]:
        """The first token of every stream; the prompts share steps."""
        firsts = []
        ends: list[int] = []
        batch.batch.n_tokens = 0
        for stream, prompt in enumerate(prompts):
            for position, token in enumerate(prompt):
                is_last = position == len(prompt) - 1
                if is_last:
                    ends.append(batch.batch.n_tokens)
                batch.add(token, position, stream, is_last)
                if batch.is_full or (is_last and stream == len(prompts) - 1):
                    run()
                    firsts += [llama.llama_sampler_sample(sampler, context, end) for end in ends]
                    ends, batch.batch.n_tokens = [], 0
        return firsts

    def engine(load: Load) -> Seconds:
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        began = time.perf_counter()
        tokens = prefill(load.prompts(vocabulary))
        first = time.perf_counter()
        for position in range(load.prompt, load.prompt + load.new):
            batch.batch.n_tokens = 0
            for stream, token in enumerate(tokens):
                batch.add(token, position, stream, True)
            run()
            tokens = [llama.llama_sampler_sample(sampler, context, stream) for stream in range(load.streams)]
        return first - began, time.perf_counter() - first

    return engine, {"file_bytes": Path(path).stat().st_size}


def quantise(source: str, target: str, kind: str) -> None:
    """Requantise a GGUF file as llama.cpp's own tool would."""
    import llama_cpp as llama

    settings = llama.llama_model_quantize_default_params()
    settings.nthread = 2
    settings.ftype = {"Q4_0": llama.LLAMA_FTYPE_MOSTLY_Q4_0, "Q8_0": llama.LLAMA_FTYPE_MOSTLY_Q8_0}[kind]
    settings.allow_requantize = True
    assert llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)) == 0
    print(json.dumps({"file_bytes": Path(target).stat().st_size}))


def perplexity(path: str, threads: str, windows: str) -> None:
    """Over windows of token ids that are scored independently; each but the first token is predicted."""
    import llama_cpp as llama
    import numpy as np

    lists: list[list[int]] = json.loads(Path(windows).read_text())
    model, context = open_model(path, int(threads), max(map(len, lists)) + 32, 1)
    vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(model))
    batch = Batch()
    total, count = 0.0, 0
    for window in lists:
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        for begin in range(0, len(window), STEP_TOKENS):
            part = window[begin : begin + STEP_TOKENS]
            batch.batch.n_tokens = 0
            for offset, token in enumerate(part):
                batch.add(token, begin + offset, 0, True)
            assert llama.llama_decode(context, batch.batch) == 0
            logits = np.ctypeslib.as_array(llama.llama_get_logits(context), (len(part), vocabulary))
            following = window[begin + 1 : begin + 1 + len(part)]
            logits = logits[: len(following)]
            highest = logits.max(axis=1)
            norms = highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1, dtype=np.float64))
            total += float((norms - logits[np.arange(len(following)), following]).sum())
            count += len(following)
    print(json.dumps({"perplexity": math.exp(total / count), "tokens": count}))


if __name__ == "__main__":
    commands = {"quantise": quantise, "perplexity": perplexity}
    if sys.argv[1] in commands:
        commands[sys.argv[1]](*sys.argv[2:])
    else:
        run_loads(start)
