"""Myna beside llama.cpp, OpenVINO GenAI, Transformers and others on this machine, in one run.

    python -m benchmarks.compare [--rounds 3] [--peers DIRECTORY] [--text FILE] [--write README.md docs/performance.md]

The first run makes the peers' environments (llama.cpp is compiled for this processor) and the files that are compared.
Rounds alternate between the engines; medians count. Every finished section is saved, so that `--only large,growth`
measures just these again and writes the documents from all that is there; `--only none` only writes them. `--write`
also draws the charts of docs/images. Needs the development install, from the root of the repository.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.documents import ROOT, read_results, save_results, write_parts
from benchmarks.environments import Workplace, say
from benchmarks.growth import charts
from benchmarks.report import parts
from benchmarks.sections import SECTIONS, Plan
from myna import __version__, hardware


def about(plan: Plan) -> dict[str, Any]:
    """What every table begins with."""
    kernels = f"instruction set {hardware.instruction_sets()[0]}"
    return {
        "version": __version__,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{hardware.processor_name()}, {plan.threads} cores, {platform.system()}, {kernels}",
        "threads": plan.threads,
        "quick": plan.quick,
    }


def measure(plan: Plan, names: Sequence[str]) -> dict[str, Any]:
    """Measure these sections and save each when it is done; the others stay as they were.

    A trial and a full run keep apart.
    """
    saved = "compare-quick" if plan.quick else "compare"
    results = {**read_results(saved), "about": about(plan)}
    for name in names:
        say(name)
        results[name] = SECTIONS[name](plan)
        save_results(saved, results)
    return results


def main() -> None:
    """Read the command line, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=Path(tempfile.gettempdir()) / "myna-peers")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections to measure, by commas; none: only write")
    parser.add_argument("--text", type=Path, help="a text in English to count perplexity on")
    parser.add_argument("--vllm", action="store_true", help="vLLM too (it installs with difficulty)")
    parser.add_argument("--quick", action="store_true", help="try everything out: one round, few tokens")
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose measured parts to replace")
    given = parser.parse_args()
    names = [] if given.only == "none" else given.only.split(",")
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    rounds = 1 if given.quick else given.rounds
    results = measure(Plan(Workplace(given.peers), rounds, given.quick, given.text, given.vllm), names)
    made = parts(results)
    print(made["summary"], made["speed"], sep="\n\n")
    for document in given.write:
        write_parts(document, made)
    if given.write and results.get("growth"):
        for name, chart in charts(results["growth"]).items():
            (ROOT / "docs" / "images" / f"{name}.svg").write_text(chart.svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
