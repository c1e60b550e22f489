"""How speed changes with the number of streams, the length of the context and the size of the model.

A part of `compare.py`, which measures and draws in one command. Each curve comes from one process an engine, so that
its points share a start; a point is one run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engines import ENGINES, LLAMACPP, OWN
from benchmarks.environments import Workplace, say
from benchmarks.peers.measuring import Load
from benchmarks.plot import Chart, Series
from benchmarks.shapes import SHAPES

STREAMS = [1, 2, 4, 8, 16, 32, 64]
CONTEXTS = [128, 256, 512, 1024, 2048, 4096, 8192]
NEW = 32
SIZES = list(SHAPES)
OPENVINO = "OpenVINO GenAI"
OPENVINO_SIZES = SIZES[: SIZES.index("3B")]
"""While it starts it holds more than three times the file; a larger one may not fit."""
COLOURS = {OWN: "#3b7ddd", LLAMACPP: "#d9730d", OPENVINO: "#2e9e6b"}


def measure(workplace: Workplace, threads: int, *, quick: bool = False) -> dict[str, Any]:
    """Tokens a second by kind of growth, engine and point: ``{"streams": {"Myna": {"1": 250.0, …}, …}, …}``."""
    few = slice(0, 2) if quick else slice(None)
    engines = [OWN, LLAMACPP, OPENVINO]
    files = {name: ENGINES[name].default_model(workplace) for name in engines}
    by_streams: dict[str, dict[str, float]] = {}
    by_context: dict[str, dict[str, float]] = {}
    by_size: dict[str, dict[str, float]] = {}
    for name in engines:
        say(f"  {name}: streams and context")
        streams = {str(count): Load(count, 42, 64) for count in STREAMS[few]}
        contexts = {str(length): Load(1, length - NEW - 1, NEW) for length in CONTEXTS[few]}
        by_streams[name] = _curve(name, workplace, files[name], threads, streams)
        by_context[name] = _curve(name, workplace, files[name], threads, contexts)
        by_size[name] = {}
        for size in (OPENVINO_SIZES if name == OPENVINO else SIZES)[few]:
            say(f"  {name}: {size}")
            point = {str(SHAPES[size].parameters): Load(1, 16, NEW)}
            by_size[name] |= _curve(name, workplace, workplace.synthetic(size), threads, point)
    return {"streams": by_streams, "context": by_context, "size": by_size}


def _curve(name: str, workplace: Workplace, file: Path, threads: int, points: Mapping[str, Load]) -> dict[str, float]:
    """Tokens a second while decoding, all streams together, at every point."""
    figures = ENGINES[name].measure(workplace, file, threads, [str(load) for load in points.values()])
    return {
        point: load.streams * load.new / figures["loads"][str(load)]["decode_seconds"] for point, load in points.items()
    }


def charts(results: Mapping[str, Any]) -> dict[str, Chart]:
    """The drawings, by file name."""
    return {
        "speed-by-streams": Chart(
            "Decoding, all streams together", "streams", "tokens a second", _series(results["streams"]), STREAMS
        ),
        "speed-by-context": Chart(
            "Decoding one stream", "tokens of context", "tokens a second", _series(results["context"]), CONTEXTS
        ),
        "speed-by-size": Chart(
            "Decoding one stream, Q4_0",
            "parameters",
            "tokens a second",
            _series(results["size"]),
            [SHAPES[size].parameters for size in SIZES],
            labels=SIZES,
        ),
    }


def _series(curves: Mapping[str, Mapping[str, float]]) -> Sequence[Series]:
    return [
        Series(name, COLOURS[name], sorted((float(x), speed) for x, speed in curve.items()))
        for name, curve in curves.items()
        if curve
    ]
