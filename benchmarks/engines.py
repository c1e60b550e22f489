"""The engines that are measured in process, by name: how each is started, and on which file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.environments import QUANTISATIONS, Workplace, run, say
from myna import hardware

OWN = "Myna"

Figures = dict[str, Any]
"""What a script in `peers/` printed: seconds of each load, and what the engine says of itself."""


@dataclass(frozen=True)
class Engine:
    """``measure(workplace, file, threads, loads)`` starts the engine, gives it all loads, and ends it."""

    measure: Callable[[Workplace, Path, int, Sequence[str]], Figures]
    default_model: Callable[[Workplace], Path]


def _own(workplace: Workplace, file: Path, threads: int, loads: Sequence[str]) -> Figures:
    return run(sys.executable, "-m", "benchmarks.own", file, threads, *loads)


def _llamacpp(workplace: Workplace, file: Path, threads: int, loads: Sequence[str]) -> Figures:
    return workplace.script("llamacpp", "llamacpp.py", file, threads, *loads)


def _openvino(workplace: Workplace, file: Path, threads: int, loads: Sequence[str]) -> Figures:
    return workplace.script("openvino", "openvinogenai.py", file, threads, *loads)


def _transformers(workplace: Workplace, file: Path, threads: int, loads: Sequence[str]) -> Figures:
    return workplace.script("transformers", "huggingface.py", "bfloat16", file, threads, *loads)


def _quantised(kind: str) -> Engine:
    return Engine(_llamacpp, lambda workplace: workplace.quantised(kind))


ENGINES: Mapping[str, Engine] = {
    OWN: Engine(_own, lambda workplace: workplace.shipped),
    **{f"llama.cpp {kind}": _quantised(kind) for kind in QUANTISATIONS},
    "OpenVINO GenAI": Engine(_openvino, lambda workplace: workplace.shipped),
    "Transformers bfloat16": Engine(_transformers, lambda workplace: workplace.dequantised),
}
LLAMACPP = "llama.cpp Q4_0"
"""The one for files that are Q4_0 already."""


def contenders(round_: Mapping[str, Figures]) -> set[str]:
    """Ourselves, and every peer that took at most twice as long as the fastest of them with any part of any load."""
    chosen = {OWN}
    peers = {name: figures["loads"] for name, figures in round_.items() if name != OWN}
    for load in next(iter(round_.values()))["loads"]:
        for part in ("prefill_seconds", "decode_seconds"):
            fastest = min(loads[load][part] for loads in peers.values())
            chosen |= {name for name, loads in peers.items() if loads[load][part] <= 2 * fastest}
    return chosen


def alternate(
    workplace: Workplace,
    files: Mapping[str, Path],
    loads: Sequence[str],
    rounds: int,
    threads: int,
    serve: Callable[[], Figures] | None = None,
) -> dict[str, Any]:
    """Every engine in turn, every round; the memory's bandwidth in between, and the server if there is one to measure.

    A peer that the first round shows to be no `contender` sits out the others: it cannot become the best, and the slow
    ones would take most of the time.

    Returns:
        By round, ``engines``: for each name its figures; ``bandwidth``: bytes a second; ``http``: what ``serve`` gave.
    """
    figures: dict[str, list[Figures]] = {name: [] for name in files}
    bandwidth: list[float] = []
    http: list[Figures] = []
    for number in range(rounds):
        bandwidth.append(hardware.read_bandwidth(threads))
        taking_part = contenders({name: runs[0] for name, runs in figures.items()}) if number else set(files)
        for name, file in files.items():
            if name not in taking_part:
                continue
            say(f"  round {number + 1} of {rounds}: {name}")
            figures[name].append(ENGINES[name].measure(workplace, file, threads, loads))
        if serve:
            say(f"  round {number + 1} of {rounds}: myna serve")
            http.append(serve())
    return {"engines": figures, "bandwidth": bandwidth, "http": http}
