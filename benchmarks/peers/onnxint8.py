"""ONNX Runtime in int8, run inside its own environment; prints one line of JSON.

python onnxint8.py quantise MODEL.onnx TARGET.onnx
python onnxint8.py embed MODEL.onnx TOKENIZER.json THREADS TEXTS.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def quantise(source: str, target: str) -> None:
    """Dynamic quantisation: weights once, a scale a channel; activations as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, per_channel=True, weight_type=QuantType.QInt8)
    print(json.dumps({"bytes": Path(target).stat().st_size}))


def embed(path: str, tokenizer_path: str, threads: str, texts: str) -> None:
    """Embed the texts, once to warm up and once by the clock: tokens, hidden states, their mean, its direction."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(threads)
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(tokenizer_path)
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()

    def encode(lists: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = []
        for begin in range(0, len(lists), 32):
            batch = tokenizer.encode_batch(lists[begin : begin + 32])
            ids = np.array([each.ids for each in batch], np.int64)
            mask = np.array([each.attention_mask for each in batch], np.int64)
            (hidden,) = session.run(["hidden"], {"input_ids": ids, "attention_mask": mask})
            means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
            vectors += (means / np.linalg.norm(means, axis=1, keepdims=True)).tolist()
        return vectors

    lists: list[str] = json.loads(Path(texts).read_text())
    encode(lists[:32])
    began = time.perf_counter()
    vectors = encode(lists)
    print(json.dumps({"seconds": time.perf_counter() - began, "first": vectors[0]}))


if __name__ == "__main__":
    if sys.argv[1] == "quantise":
        quantise(*sys.argv[2:])
    else:
        embed(*sys.argv[2:])
