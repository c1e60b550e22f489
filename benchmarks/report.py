"""Raw results as Markdown: the table of goals, what was missed, and the figures behind it."""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.engines import OWN
from benchmarks.goals import (
    GOALS,
    Results,
    bytes_read,
    decoding,
    load_of,
    median_at,
    overall,
    prefilling,
    share_of_bound,
)
from benchmarks.growth import charts


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are aligned right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def summary(results: Results) -> str:
    """The goals: what was reached, beside whom, whether that is enough."""
    rows = []
    for goal in GOALS:
        verdict = goal.verdict(results)
        if verdict is None:
            rows.append([goal.measure, "not measured", "", "", goal.goal, ""])
            continue
        ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f}"
        state = "met" if verdict.met else "**missed**"
        rows.append([goal.measure, verdict.value, verdict.beside, ratio, goal.goal, state])
    return f"{machine(results)}\n\n{table(['measure', 'Myna', 'beside', 'ratio', 'goal', ''], rows)}"


def missed(results: Results) -> str:
    """The goals that were not reached, and by how much."""
    lines = []
    for goal in GOALS:
        verdict = goal.verdict(results)
        if verdict and not verdict.met:
            beside = f", beside {verdict.beside}" if verdict.beside else ""
            ratio = f": {verdict.ratio:.2f}" if verdict.ratio is not None else ""
            lines.append(f"- {goal.measure}: {verdict.value}{beside}{ratio}; the goal is {goal.goal}.")
    return "\n".join(lines) or "None is."


def machine(results: Results) -> str:
    """When and on what this was measured."""
    about = results["about"]
    sections = [results[name] for name in ("single", "streams", "large") if results.get(name)]
    bandwidth = [value for section in sections for value in section["bandwidth"]]
    text = f"Myna {about['version']} on {about['date']}; {about['machine']}."
    if bandwidth:
        read = f"{statistics.median(bandwidth) / 1e9:.1f} GB/s"
        text += f" {about['threads']} threads read {read} from memory in the same run."
    if about["quick"]:
        text += " **A quick trial: these figures say that the benchmark works, no more.**"
    return text


def speed(results: Results) -> str:
    """All the figures behind the goals."""
    return "\n\n".join([machine(results), *(PARTS[name](results[name]) for name in PARTS if results.get(name))])


def single(section: Results) -> str:
    """One stream, in process and over HTTP."""
    short, long = (load_of(section, 1, prompt) for prompt in sorted(_prompts(section)))
    rows = [
        [
            name,
            figure(decoding(rounds, short)),
            figure(decoding(rounds, long)),
            figure(prefilling(rounds, long)),
            f"{median_at(rounds, 'start_seconds'):.2f}",
            f"{median_at(rounds, 'loads', str(long), 'peak_memory_bytes') / 1e6:.0f}",
        ]
        for name, rounds in section["engines"].items()
    ]
    header = [
        "one stream, in process",
        f"decode after {short.prompt} tokens, tok/s",
        f"decode after {long.prompt}, tok/s",
        f"prefill {long.prompt}, tok/s",
        "start, s",
        "peak memory, MB",
    ]
    return "\n\n".join([table(header, rows), bound(section), http(section["http"], ["1"]), chats(section["http"])])


def chats(rounds: Sequence[Mapping[str, Any]]) -> str:
    """A long chat, and prompt lookup."""
    tokens, cached = (median_at(rounds, "chat", key) for key in ("prompt_tokens", "cached_tokens"))
    lookup = figure(median_at(rounds, "lookup", "tokens_per_second_each"))
    return (
        f"- With prompt lookup, as `myna serve` has it unless told otherwise, one stream decodes at {lookup} tok/s.\n"
        f"- Turn 10 of the long chat had {tokens:.0f} tokens of prompt; {cached:.0f} of them were in the cache."
    )


def bound(section: Results) -> str:
    """What decoding reads, and how much of the bandwidth that is."""
    rounds = section["engines"][OWN]
    lines = []
    for prompt in sorted(_prompts(section)):
        load = load_of(section, 1, prompt)
        share, size = share_of_bound(section, load), bytes_read(rounds, load) / 1e6
        weights = rounds[0]["bytes_per_token"] / 1e6
        lines.append(
            f"- After {prompt} tokens a token reads {size:.1f} MB, {weights:.1f} MB of them weights; in process Myna "
            f"reaches {share:.0%} of what the bandwidth allows."
        )
    return "\n".join(lines)


def streams(section: Results) -> str:
    """Many streams, in process and over HTTP, and the long prompt."""
    first, second, long = load_of(section, 16), load_of(section, 32), load_of(section, 1)
    rows = [
        [
            name,
            *(figure(overall(rounds, load)) for load in (first, second)),
            *(figure(decoding(rounds, load)) for load in (first, second)),
            figure(prefilling(rounds, long)),
        ]
        for name, rounds in section["engines"].items()
    ]
    header = [
        f"in process, prompts of {first.prompt}",
        "16 streams, tok/s",
        "32 streams, tok/s",
        "16 after their first token, tok/s",
        "32, tok/s",
        f"prefill {long.prompt}, tok/s",
    ]
    return f"{table(header, rows)}\n\n{http(section['http'], ['together', '16', '32'])}"


def http(rounds: Sequence[Mapping[str, Any]], counts: Sequence[str]) -> str:
    """What a user of the server feels at so many streams."""
    rows = [
        [
            f"{count} at a time" if count != "together" else "16 that start together",
            figure(median_at(rounds, count, "tokens_per_second")),
            figure(median_at(rounds, count, "tokens_per_second_each")),
            f"{median_at(rounds, count, 'first_token_seconds') * 1e3:.0f}",
            f"{median_at(rounds, count, 'first_token_seconds_worst') * 1e3:.0f}",
        ]
        for count in counts
    ]
    header = ["`myna serve` over HTTP", "tok/s in all", "tok/s each", "first token, ms (median)", "(worst)"]
    return table(header, rows)


def large(section: Results) -> str:
    """The large model with random weights."""
    load = load_of(section, 1)
    rows = [
        [
            name,
            figure(decoding(rounds, load)),
            f"{median_at(rounds, 'start_seconds'):.1f}",
            f"{median_at(rounds, 'loads', str(load), 'peak_memory_bytes') / 1e6:.0f}",
        ]
        for name, rounds in section["engines"].items()
    ]
    size = bytes_read(section["engines"][OWN], load)
    header = [f"`{section['file']}`", "decode, tok/s", "start, s", "peak memory, MB"]
    return f"{table(header, rows)}\n\n- A token reads {size / 1e6:.0f} MB."


def embeddings(section: Results) -> str:
    """Texts a second, and how near the vectors are to the reference's."""
    reference = section["engines"]["sentence-transformers"][0]["first"]
    rows = [
        [name, figure(section["texts"] / median_at(runs, "seconds")), f"{_cosine(runs[0]['first'], reference):.5f}"]
        for name, runs in section["engines"].items()
    ]
    title = f"{section['texts']} texts of {section['tokens']} tokens, MiniLM"
    return table([title, "texts/s", "cosine to sentence-transformers"], rows)


def perplexity(section: Results) -> str:
    """Of each file on the same windows."""
    rows = [[name, f"{each['perplexity']:.3f}"] for name, each in section["engines"].items()]
    tokens = next(iter(section["engines"].values()))["tokens"]
    return table([f"{tokens} tokens of {section['text']}", "perplexity"], rows)


def vllm(section: Results) -> str:
    """The same load on vLLM."""
    (figures,) = section["rounds"]
    rows = [[f"{streams} at a time", figure(figures[streams]["tokens_per_second"])] for streams in ("1", "16", "32")]
    return table(["vLLM, bfloat16, over HTTP", "tok/s in all"], rows)


def growth(section: Results) -> str:
    """The drawings, and where in the repository they are."""
    return "\n\n".join(
        f"![{chart.title}: {chart.y_title} by {chart.x_title}](images/{name}.svg)"
        for name, chart in charts(section).items()
    )


PARTS = {
    "single": single,
    "streams": streams,
    "large": large,
    "embeddings": embeddings,
    "perplexity": perplexity,
    "vllm": vllm,
}


def parts(results: Results) -> dict[str, str]:
    """Every part that a document may have, by its name."""
    made = {"summary": summary(results), "missed": missed(results), "speed": speed(results)}
    if results.get("growth"):
        made["growth"] = growth(results["growth"])
    if results.get("parity"):
        made["parity"] = results["parity"]["table"]
    return made


def _prompts(section: Results) -> set[int]:
    """Lengths of the prompts of the loads with one stream."""
    loads: Mapping[str, Any] = next(iter(section["engines"].values()))[0]["loads"]
    return {int(text.split("x")[1].split("+")[0]) for text in loads if text.startswith("1x")}


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    return float(sum(map(operator.mul, left, right))) / (math.hypot(*left) * math.hypot(*right))
