"""What every engine is asked to do, and how its answer is printed; standard library only, for any environment.

An engine's script is called as ``SCRIPT MODEL THREADS LOAD...``. A load such as ``16x48+128`` means: 16 streams that
start together, each with a prompt of 48 tokens of its own, and then 128 greedy tokens after the first. The script
prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Load:
    """``streams`` prompts of ``prompt`` tokens, each followed by ``new`` tokens beside the first."""

    streams: int
    prompt: int
    new: int

    def __str__(self) -> str:
        return f"{self.streams}x{self.prompt}+{self.new}"

    @classmethod
    def parse(cls, text: str) -> Load:
        streams, rest = text.split("x")
        prompt, new = rest.split("+")
        return cls(int(streams), int(prompt), int(new))

    def prompts(self, vocabulary: int) -> list[list[int]]:
        """Ids that differ from stream to stream, the same for every engine; the lowest are often control tokens."""
        reach = vocabulary - 300
        return [
            [300 + ((stream * 131 + position) * 7919) % reach for position in range(self.prompt)]
            for stream in range(self.streams)
        ]


Seconds = tuple[float, float]
"""Until every stream had its first token, and from then until all were done."""

Engine = Callable[[Load], Seconds]


def peak_memory() -> int:
    """The most bytes that this program ever had resident.

    Linux hands getrusage's figure on from the program that started this one, so there its own count is read.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def run_loads(start: Callable[[str, int, list[Load]], tuple[Engine, dict[str, Any]]]) -> None:
    """Start an engine, let it warm up, give it every load of the command line, print what it took.

    ``start(model, threads, loads)`` imports the engine's library, for that is a part of its start, and gives the engine
    and figures of its own.
    """
    model, threads, *texts = sys.argv[1:]
    loads = [Load.parse(text) for text in texts]
    began = time.perf_counter()
    engine, figures = start(model, int(threads), loads)
    figures["start_seconds"] = time.perf_counter() - began
    engine(Load(1, 16, 4))
    figures["loads"] = {}
    for load in loads:
        prefill, decode = engine(load)
        figures["loads"][str(load)] = {
            "prefill_seconds": prefill,
            "decode_seconds": decode,
            "peak_memory_bytes": peak_memory(),
        }
    print(json.dumps(figures))
