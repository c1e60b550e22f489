"""Transformers and sentence-transformers, run inside their own environment; prints one line of JSON.

    python huggingface.py export MODEL.gguf DIRECTORY
    python huggingface.py bfloat16|float32 DIRECTORY THREADS LOAD...
    python huggingface.py embed DIRECTORY THREADS TEXTS.json

`export` dequantises a GGUF file once, so that later starts need not. Decoding is the plain loop over the model with its
own cache, which is quicker than `generate`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from measuring import Engine, Load, Seconds, run_loads


def export(source: str, directory: str) -> None:
    """A GGUF file's model and tokenizer as a directory of safetensors in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(Path(source).parent), Path(source).name
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
    )
    model.to(torch.bfloat16).save_pretrained(directory)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(directory)
    print(json.dumps({"parameters": model.num_parameters()}))


def start(path: str, threads: int, dtype: str) -> tuple[Engine, dict[str, Any]]:
    """The model in this floating-point type, with its cache."""
    import torch
    from transformers import AutoModelForCausalLM, DynamicCache

    torch.set_num_threads(threads)
    model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()

    @torch.inference_mode()
    def engine(load: Load) -> Seconds:
        tokens = torch.tensor(load.prompts(model.config.vocab_size))
        cache = DynamicCache(config=model.config)
        began = time.perf_counter()
        for step in range(load.new + 1):
            logits = model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            tokens = logits[:, -1].argmax(-1, keepdim=True)
            if step == 0:
                first = time.perf_counter()
        return first - began, time.perf_counter() - first

    return engine, {}


def embed(directory: str, threads: str, texts: str) -> None:
    """Embed the texts, once to warm up and once by the clock; their vectors come along, for comparison."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(int(threads))
    model = SentenceTransformer(directory, device="cpu")
    lists: list[str] = json.loads(Path(texts).read_text())
    model.encode(lists[:32], batch_size=32, normalize_embeddings=True)
    began = time.perf_counter()
    vectors = model.encode(lists, batch_size=32, normalize_embeddings=True, show_progress_bar=False)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "first": vectors[0].tolist()}))


if __name__ == "__main__":
    command = sys.argv.pop(1)
    if command == "export":
        export(*sys.argv[1:])
    elif command == "embed":
        embed(*sys.argv[1:])
    else:
        run_loads(lambda path, threads, _: start(path, threads, command))
