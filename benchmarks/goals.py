"""The goals for the default model on this machine, and how far the measured figures reach.

A goal looks at the raw results of `sections.py` and gives a verdict, or none when its sections were not measured. Every
figure is a median over rounds; a ratio is of medians.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.engines import LLAMACPP, OWN
from benchmarks.peers.measuring import Load

Results = Mapping[str, Any]
"""Raw results by section."""


@dataclass(frozen=True)
class Verdict:
    """One row: Myna's figure, what stands beside it, their ratio if there is one, and whether that is enough."""

    value: str
    beside: str
    ratio: float | None
    met: bool


@dataclass(frozen=True)
class Goal:
    """``judge`` raises KeyError when what it needs was not measured."""

    measure: str
    goal: str
    judge: Callable[[Results], Verdict]

    def verdict(self, results: Results) -> Verdict | None:
        try:
            return self.judge(results)
        except KeyError:
            return None


def median_at(rounds: Iterable[Mapping[str, Any]], *path: str) -> float:
    """The median over rounds of what lies at a path of keys."""
    values = []
    for each in rounds:
        value: Any = each
        for key in path:
            value = value[key]
        values.append(float(value))
    return statistics.median(values)


def load_of(section: Results, streams: int, prompt: int | None = None) -> Load:
    """The load of a section with so many streams (and, where there are several, this prompt)."""
    for text in next(iter(section["engines"].values()))[0]["loads"]:
        load = Load.parse(text)
        if load.streams == streams and prompt in (None, load.prompt):
            return load
    raise KeyError(streams)


def decoding(rounds: Sequence[Mapping[str, Any]], load: Load) -> float:
    """Tokens a second after the first, all streams together."""
    return load.streams * load.new / median_at(rounds, "loads", str(load), "decode_seconds")


def prefilling(rounds: Sequence[Mapping[str, Any]], load: Load) -> float:
    """Tokens of prompt a second."""
    return load.streams * load.prompt / median_at(rounds, "loads", str(load), "prefill_seconds")


def overall(rounds: Sequence[Mapping[str, Any]], load: Load) -> float:
    """New tokens a second from the request on, prompts included in the time."""
    first = median_at(rounds, "loads", str(load), "prefill_seconds")
    rest = median_at(rounds, "loads", str(load), "decode_seconds")
    return load.streams * (load.new + 1) / (first + rest)


def best_peer(
    section: Results, figure: Callable[[Sequence[Mapping[str, Any]], Load], float], load: Load
) -> tuple[str, float]:
    """Which engine but Myna has the highest figure."""
    figures = {name: figure(rounds, load) for name, rounds in section["engines"].items() if name != OWN}
    name = max(figures, key=figures.__getitem__)
    return name, figures[name]


def speed_over_http(streams: int, least: float) -> Callable[[Results], Verdict]:
    """Total speed of the server against the best peer in process, from request to last token on both sides."""

    def judge(results: Results) -> Verdict:
        section = results["streams"]
        value = median_at(section["http"], str(streams), "tokens_per_second")
        return beside_peer(value, best_peer(section, overall, load_of(section, streams)), least)

    return judge


def beside_peer(value: float, peer: tuple[str, float], least: float) -> Verdict:
    """A speed against the fastest peer."""
    name, speed = peer
    return Verdict(f"{value:.0f} tok/s", f"{speed:.0f} ({name})", value / speed, value >= least * speed)


def one_stream(results: Results) -> Verdict:
    """Decoding over HTTP against the best peer in process, after prompts of the same length."""
    section = results["single"]
    value = median_at(section["http"], "1", "tokens_per_second_each")
    return beside_peer(value, best_peer(section, decoding, load_of(section, 1)), 2.0)


def perplexity(results: Results) -> Verdict:
    """Against the file of the peer that decodes one stream fastest."""
    section, scores = results["single"], results["perplexity"]["engines"]
    peer, _ = best_peer(
        {"engines": {name: rounds for name, rounds in section["engines"].items() if name in scores}},
        decoding,
        load_of(section, 1),
    )
    own, other = scores[OWN]["perplexity"], scores[peer]["perplexity"]
    return Verdict(f"{own:.2f}", f"{other:.2f} ({peer})", own / other, own <= other)


def bytes_read(rounds: Sequence[Mapping[str, Any]], load: Load) -> float:
    """Bytes that a token of this load reads on average: the weights, and the keys and values before it."""
    first = rounds[0]
    return float(first["bytes_per_token"] + first["cache_bytes_per_token"] * (load.prompt + load.new / 2))


def share_of_bound(section: Results, load: Load) -> float:
    """Bytes a second that decoding reads, over what as many threads read from memory in the same rounds."""
    rounds = section["engines"][OWN]
    return decoding(rounds, load) * bytes_read(rounds, load) / float(statistics.median(section["bandwidth"]))


def single_bound(results: Results) -> Verdict:
    """Over HTTP, against the bandwidth of the same rounds."""
    section = results["single"]
    load = load_of(section, 1)
    speed = median_at(section["http"], "1", "tokens_per_second_each")
    bound = statistics.median(section["bandwidth"]) / bytes_read(section["engines"][OWN], load)
    return Verdict(f"{speed:.0f} tok/s", f"{bound:.0f} (bound)", speed / bound, speed >= 0.75 * bound)


def prefill(prompt: int) -> Callable[[Results], Verdict]:
    """Prompt tokens a second, in process on both sides."""

    def judge(results: Results) -> Verdict:
        section = results["single" if prompt == 512 else "streams"]
        load = load_of(section, 1, prompt)
        value = prefilling(section["engines"][OWN], load)
        return beside_peer(value, best_peer(section, prefilling, load), 1.5)

    return judge


def milliseconds(most: float, *path: str) -> Callable[[Results], Verdict]:
    """A time over HTTP that stands for itself."""

    def judge(results: Results) -> Verdict:
        value = 1e3 * median_at(results["single"]["http"], *path)
        return Verdict(f"{value:.0f} ms", "", None, value <= most)

    return judge


def first_tokens(results: Results) -> Verdict:
    """Beside the peer in process that has all sixteen prompts done first."""
    section = results["streams"]
    value = 1e3 * median_at(section["http"], "together", "first_token_seconds")
    load = load_of(section, 16)
    name, speed = best_peer(section, prefilling, load)
    other = 1e3 * load.streams * load.prompt / speed
    return Verdict(f"{value:.0f} ms", f"{other:.0f} ({name}, the last of them)", value / other, value <= 150)


def cold_start(results: Results) -> Verdict:
    """From the start of the process until a client had its first token."""
    value = median_at(results["single"]["http"], "start_seconds")
    return Verdict(f"{value:.2f} s", "", None, value <= 1.5)


def memory(results: Results) -> Verdict:
    """Against 1.3 times the packed weights, the keys and values of the chat, and 120 MB."""
    rounds, own = results["single"]["http"], results["single"]["engines"][OWN][0]
    value = median_at(rounds, "resident_bytes")
    cache = own["cache_bytes_per_token"] * median_at(rounds, "resident_tokens")
    most = 1.3 * own["weight_bytes"] + cache + 120e6
    return Verdict(f"{value / 1e6:.0f} MB", f"{most / 1e6:.0f} (limit)", value / most, value <= most)


def large_peer(results: Results) -> Verdict:
    """Decoding weights that no cache holds."""
    section = results["large"]
    load = load_of(section, 1)
    own, other = (decoding(section["engines"][name], load) for name in (OWN, LLAMACPP))
    return Verdict(f"{own:.2f} tok/s", f"{other:.2f} ({LLAMACPP})", own / other, own >= 1.15 * other)


def large_bound(results: Results) -> Verdict:
    """The same against the bandwidth of the same rounds."""
    section = results["large"]
    load = load_of(section, 1)
    share = share_of_bound(section, load)
    own = decoding(section["engines"][OWN], load)
    return Verdict(f"{own:.2f} tok/s", f"{own / share:.2f} (bound)", share, share >= 0.85)


def embeddings(peer: str) -> Callable[[Results], Verdict]:
    """Texts a second; of Myna the faster of its weight formats."""

    def judge(results: Results) -> Verdict:
        section = results["embeddings"]
        speeds = {name: section["texts"] / median_at(runs, "seconds") for name, runs in section["engines"].items()}
        own = max((name for name in speeds if name.startswith(OWN)), key=speeds.__getitem__)
        value, other = speeds[own], speeds[peer]
        return Verdict(f"{value:.0f} texts/s ({own})", f"{other:.0f} ({peer})", value / other, value >= 1.5 * other)

    return judge


GOALS: Sequence[Goal] = (
    Goal("one stream, decode over HTTP", "≥ 2.0 times the best peer", one_stream),
    Goal("one stream over HTTP against memory bandwidth", "≥ 75 % of the bound", single_bound),
    Goal("perplexity beside that peer's file", "no worse", perplexity),
    Goal("16 streams over HTTP, total", "≥ 1.5 times the best peer", speed_over_http(16, 1.5)),
    Goal("32 streams over HTTP, total", "≥ 1.5 times the best peer", speed_over_http(32, 1.5)),
    Goal("prefill of 512 tokens", "≥ 1.5 times the best peer", prefill(512)),
    Goal("prefill of 2048 tokens", "≥ 1.5 times the best peer", prefill(2048)),
    Goal("first token of turn 10, 2000 tokens of history", "≤ 40 ms", milliseconds(40, "chat", "first_token_seconds")),
    Goal("first token, 16 streams that start together, median", "≤ 150 ms", first_tokens),
    Goal("cold start to first token over HTTP", "≤ 1.5 s", cold_start),
    Goal("resident memory, one chat", "≤ 1.3 weights + KV + 120 MB", memory),
    Goal("Mistral 7B's shape, Q4_0, decode", "≥ 1.15 times llama.cpp", large_peer),
    Goal("Mistral 7B's shape against memory bandwidth", "≥ 85 % of the bound", large_bound),
    Goal(
        "embeddings, MiniLM, texts of 128 tokens",
        "≥ 1.5 times sentence-transformers",
        embeddings("sentence-transformers"),
    ),
    Goal("embeddings beside ONNX Runtime", "≥ 1.5 times ONNX Runtime int8", embeddings("ONNX Runtime int8")),
)
