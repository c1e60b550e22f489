"""OpenVINO GenAI, run inside its own environment; prints one line of JSON.

    python openvinogenai.py MODEL.gguf THREADS LOAD...

The library reads the GGUF file itself. Requests go through its continuous batching, whose steps are driven from here,
so that the first token of every stream can be seen.
"""

from __future__ import annotations

import time
from typing import Any

from measuring import Engine, Load, Seconds, run_loads

STEP_TOKENS = 2048


def start(path: str, threads: int, loads: list[Load]) -> tuple[Engine, dict[str, Any]]:
    """The engine, with a cache of 2 GB, without prefix caching: no load may profit from another's prompts."""
    import numpy as np
    import openvino
    import openvino_genai as genai

    scheduling = genai.SchedulerConfig()
    scheduling.cache_size = 2
    scheduling.max_num_seqs = max(load.streams for load in loads)
    scheduling.max_num_batched_tokens = STEP_TOKENS
    scheduling.enable_prefix_caching = False
    pipeline = genai.ContinuousBatchingPipeline(path, scheduling, "CPU", {"INFERENCE_NUM_THREADS": threads})
    vocabulary = len(pipeline.get_tokenizer().get_vocab())

    def engine(load: Load) -> Seconds:
        config = genai.GenerationConfig()
        config.max_new_tokens = load.new + 1
        config.ignore_eos, config.do_sample = True, False
        began = time.perf_counter()
        handles = [  # a request whose handle is gone is cancelled
            pipeline.add_request(stream, openvino.Tensor(np.array([prompt], np.int64)), config)
            for stream, prompt in enumerate(load.prompts(vocabulary))
        ]
        first, waiting = None, handles
        while pipeline.has_non_finished_requests():
            pipeline.step()
            if first is None:
                waiting = [handle for handle in waiting if not handle.can_read()]
                if not waiting:
                    first = time.perf_counter()
        assert first is not None
        return first - began, time.perf_counter() - first

    return engine, {}


if __name__ == "__main__":
    run_loads(start)
