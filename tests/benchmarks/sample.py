"""Raw results as a run saves them, with round figures: two rounds, whose medians are in the middle."""

from __future__ import annotations

import copy
from typing import Any


def engine(**seconds: tuple[float, float]) -> dict[str, Any]:
    """One process of a peer; a load ``s16x42_128`` took so long until the first tokens, and then until the end."""
    loads = {
        name[1:].replace("_", "+"): {"prefill_seconds": first, "decode_seconds": rest, "peak_memory_bytes": 200_000_000}
        for name, (first, rest) in seconds.items()
    }
    return {"start_seconds": 0.5, "loads": loads}


OWN = {"weight_bytes": 96_000_000, "bytes_per_token": 96_000_000, "cache_bytes_per_token": 20_000}


def answers(speed: float, first: float) -> dict[str, float]:
    return {
        "tokens_per_second": speed,
        "tokens_per_second_each": speed,
        "first_token_seconds": first,
        "first_token_seconds_worst": 2 * first,
    }


def one_user(speed: float) -> dict[str, Any]:
    return {
        "start_seconds": 1.25,
        "resident_bytes": 220_000_000,
        "resident_tokens": 170,
        "1": answers(speed, 0.02),
        "chat": {"first_token_seconds": 0.05, "prompt_tokens": 2005, "cached_tokens": 1984},
        "lookup": answers(400, 0.02),
    }


RESULTS: dict[str, Any] = {
    "about": {"version": "1.2.3", "date": "2026-01-02", "machine": "a processor", "threads": 2, "quick": False},
    "single": {
        "engines": {
            "Myna": [{**engine(s1x42_128=(0.02, 0.5), s1x512_128=(0.2, 0.5)), **OWN}] * 2,
            "llama.cpp Q4_0": [engine(s1x42_128=(0.05, 1.28), s1x512_128=(0.5, 1.28))] * 2,
            "llama.cpp Q8_0": [engine(s1x42_128=(0.05, 2.56), s1x512_128=(0.4, 2.56))] * 2,
        },
        "bandwidth": [29e9, 31e9],
        "http": [one_user(240), one_user(260)],
    },
    "streams": {
        "engines": {
            "Myna": [{**engine(s16x42_128=(0.2, 1), s32x42_128=(0.4, 2), s1x2048_1=(0.8, 0.01)), **OWN}] * 2,
            "llama.cpp Q4_0": [engine(s16x42_128=(0.64, 3.36), s32x42_128=(1, 7), s1x2048_1=(2, 0.01))] * 2,
        },
        "bandwidth": [30e9, 30e9],
        "http": [{"together": answers(900, 0.1), "16": answers(774, 0.1), "32": answers(500, 0.2)}] * 2,
    },
    "large": {
        "engines": {
            "Myna": [{**engine(s1x16_32=(0.5, 4)), **OWN, "bytes_per_token": 4_000_000_000}],
            "llama.cpp Q4_0": [engine(s1x16_32=(0.5, 5))],
        },
        "bandwidth": [33e9],
        "http": [],
        "file": "synthetic-7B-Q4_0",
    },
    "embeddings": {
        "texts": 256,
        "tokens": 128,
        "engines": {
            "Myna": [{"seconds": 8.0, "first": [0.6, 0.8]}],
            "Myna w8": [{"seconds": 2.0, "first": [0.6, 0.8]}],
            "sentence-transformers": [{"seconds": 4.0, "first": [0.8, 0.6]}],
            "ONNX Runtime int8": [{"seconds": 2.5, "first": [0.6, 0.8]}],
        },
    },
    "perplexity": {
        "text": "plays",
        "engines": {
            "Myna": {"perplexity": 40.0, "tokens": 5115},
            "llama.cpp Q4_0": {"perplexity": 44.0, "tokens": 5115},
        },
    },
    "growth": {
        "streams": {"Myna": {"1": 250.0, "64": 2000.0}, "llama.cpp Q4_0": {"1": 120.0, "64": 800.0}},
        "context": {"Myna": {"128": 250.0, "8192": 90.0}},
        "size": {"Myna": {"60439040": 600.0, "7241465856": 8.0}},
    },
}


def results() -> dict[str, Any]:
    """A copy that a test may change."""
    return copy.deepcopy(RESULTS)
