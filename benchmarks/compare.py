"""Myna beside llama.cpp on this machine, in one run: start, memory, prefill, decoding, and the share of the bound.

    python benchmarks/compare.py [--rounds 5] [--peers DIRECTORY] [--write README.md docs/performance.md]

The first run compiles llama.cpp natively in an environment of its own (8 minutes on two cores) and requantises the
default model with llama.cpp's own tool. Runs alternate, medians count. The bound is the bandwidth that as many
threads read from memory, measured in every round, divided by the bytes of weights that one token reads.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil
from load import load

from myna import __version__, hardware
from myna.hub import Hub
from myna.settings import load_settings

HERE = Path(__file__).resolve().parent
PEER = "llama-cpp-python==0.3.36"
MODEL = "smollm2:135m"
PROMPT_TOKENS, NEW_TOKENS = 512, 128

Figures = dict[str, float]


def run(*command: object) -> Figures:
    """Run one measurement; its last line is JSON."""
    output = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout
    return dict(json.loads(output.splitlines()[-1]))


def peer_python(directory: Path) -> Path:
    """The Python of an environment with a native build of llama.cpp, made if it is not there."""
    environment = directory / "llamacpp"
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True)
    if subprocess.run([python, "-c", "import llama_cpp"], capture_output=True, check=False).returncode:
        print("compiling llama.cpp natively; this takes some minutes", file=sys.stderr)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", PEER],
            check=True,
            env={**os.environ, "CMAKE_ARGS": "-DGGML_NATIVE=ON"},
        )
    return python


def peer_files(python: Path, shipped: Path, directory: Path) -> dict[str, Path]:
    """The default model as shipped and in llama.cpp's other quantisations."""
    files = {"Q4_1": shipped}
    for kind in ("Q4_0", "Q8_0"):
        files[kind] = directory / f"{MODEL.replace(':', '-')}-{kind}.gguf"
        if not files[kind].exists():
            run(python, HERE / "peers" / "llamacpp.py", "quantise", shipped, files[kind], kind)
    return files


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(base: str) -> bool:
    """Whether one token can be had from this server now."""
    body = {"model": MODEL, "prompt": "A", "max_tokens": 1}
    try:
        return httpx2.post(f"{base}/v1/completions", json=body, timeout=30).is_success
    except httpx2.HTTPError:
        return False


@contextlib.contextmanager
def server(models: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """A cold `myna serve` in an empty data directory: its address, its process, seconds until the model is ready."""
    base = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "myna", "serve", "--no-browser", "--port", base.rsplit(":", 1)[1]]
        environment = {**os.environ, "MYNA_DATA_DIR": data, "MYNA_CACHE_DIR": str(models)}
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not answers(base):
                if process.poll() is not None:
                    raise RuntimeError(f"myna serve ended with exit code {process.returncode}")
                time.sleep(0.005)
            yield base, psutil.Process(process.pid), time.perf_counter() - start
        finally:
            process.terminate()
            process.wait(30)


def resident(process: psutil.Process) -> int:
    """Resident bytes of a process and all of its children."""
    return sum(int(each.memory_info().rss) for each in [process, *process.children(recursive=True)])


def over_http(models: Path, rounds: int) -> dict[str, Figures]:
    """What a user of the server feels, at one and at sixteen streams."""
    figures: dict[str, list[Figures]] = {"1": [], "16": []}
    starts, memory = [], []
    for _ in range(rounds):
        with server(models) as (base, process, first_token):
            starts.append(first_token)
            for streams in figures:
                count = int(streams)
                figures[streams].append(asyncio.run(load(base, MODEL, count, 2 * count + 2, NEW_TOKENS)))
                if count == 1:
                    memory.append(resident(process))
    result = {streams: medians(runs) for streams, runs in figures.items()}
    result["server"] = {"first_token_seconds": statistics.median(starts), "resident_bytes": statistics.median(memory)}
    return result


def medians(runs: list[Figures]) -> Figures:
    """The median of every figure."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure(rounds: int, peers: Path) -> dict[str, Any]:
    """Everything, alternating."""
    models = load_settings().models_dir
    shipped = Hub(models).pull(MODEL)
    python = peer_python(peers)
    files = peer_files(python, shipped, peers)
    threads = hardware.usable_cores()
    runs: dict[str, list[Figures]] = {"myna": [], **{f"llama.cpp {kind}": [] for kind in files}}
    bandwidth = []
    sizes = (threads, PROMPT_TOKENS, NEW_TOKENS)
    for _ in range(rounds):
        bandwidth.append(hardware.read_bandwidth(threads))
        runs["myna"].append(run(sys.executable, HERE / "own.py", shipped, *sizes))
        for kind, file in files.items():
            runs[f"llama.cpp {kind}"].append(run(python, HERE / "peers" / "llamacpp.py", "speed", file, *sizes))
    return {
        "machine": f"{hardware.processor_name()}, {threads} cores, {platform.system()}, instruction set "
        f"{hardware.instruction_sets()[0]}",
        "date": time.strftime("%Y-%m-%d"),
        "bandwidth": statistics.median(bandwidth),
        "engines": {name: medians(each) for name, each in runs.items()},
        "http": over_http(models, max(1, rounds // 2)),
    }


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    engines: dict[str, Figures] = result["engines"]
    own, bandwidth, http = engines["myna"], result["bandwidth"], result["http"]
    best = max(figures["decode_tokens_per_second"] for name, figures in engines.items() if name != "myna")
    speed, bound = own["decode_tokens_per_second"], bandwidth / own["bytes_per_token"]
    first_token, memory = http["server"]["first_token_seconds"], http["server"]["resident_bytes"]
    lines = [
        f"Myna {__version__} on {result['date']}; {result['machine']}. Model: {MODEL}. {PROMPT_TOKENS} tokens of",
        f"prompt, then {NEW_TOKENS} decoded greedily, in process; medians of alternating runs.",
        "",
        "| engine | decode, tok/s | prefill, tok/s | start, s | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {figures['decode_tokens_per_second']:.0f} | {figures['prefill_tokens_per_second']:.0f} "
        f"| {figures['start_seconds']:.2f} | {figures['peak_memory_bytes'] / 1e6:.0f} |"
        for name, figures in engines.items()
    ]
    lines += [
        "",
        f"- Decoding: {speed / best:.2f} times llama.cpp's best quantisation.",
        f"- A token reads {own['bytes_per_token'] / 1e6:.1f} MB of weights. At {bandwidth / 1e9:.1f} GB/s read",
        f"  from memory in the same run the bound is {bound:.0f} tok/s; Myna reaches {speed / bound:.0%} of it.",
        f"- Cold `myna serve`, from process start to the first token over HTTP: {first_token:.2f} s.",
        f"- Resident memory of server and engine together while chatting: {memory / 1e6:.0f} MB.",
    ]
    for streams in ("1", "16"):
        total, first = http[streams]["tokens_per_second"], http[streams]["first_token_seconds"] * 1e3
        name = f"{streams} streams" if streams != "1" else "one stream"
        lines.append(f"- Over HTTP, {name}: {total:.0f} tok/s in all, first token after {first:.0f} ms (median).")
    return "\n".join(lines)


def write(text: str, document: Path) -> None:
    """Replace what stands between the document's markers."""
    begin, end = "<!-- measured -->", "<!-- /measured -->"
    before, rest = document.read_text(encoding="utf-8").split(begin, 1)
    document.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "myna-peers")
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose measured part to replace")
    given = parser.parse_args()
    given.peers.mkdir(parents=True, exist_ok=True)
    measured = table(measure(given.rounds, given.peers))
    print(measured)
    for document in given.write:
        write(measured, document)
