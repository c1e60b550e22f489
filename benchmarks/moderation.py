"""What POST /v1/moderations catches: precision and recall by category over written sentences, and how long it takes.

    python benchmarks/moderation.py            # the held-out sentences, whose figures docs/api.md shows
    python benchmarks/moderation.py --set plain --show

The rules were made with the sentences for development; the others were written afterwards and measured then: plain ones
say what they mean, held-out ones say it in other words.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from myna.server.moderation import CATEGORIES, Classifier, default_classifier

Set = Literal["development", "plain", "held_out"]


def sentences(of: Set) -> Iterator[tuple[str, frozenset[str]]]:
    """The sentences of a set, each with the categories that it belongs to."""
    labels: frozenset[str] = frozenset()
    path = Path(__file__).with_name(f"moderation_{of}.txt")
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            labels = frozenset(name.strip() for name in line.strip("[]").split(",") if name.strip())
            continue
        yield line, labels


def figures(classifier: Classifier, of: Set) -> dict[str, tuple[int, int, int]]:
    """By category: sentences that are of it, that were flagged, and both. ``any``: of whatever category."""
    counts = {name: [0, 0, 0] for name in (*CATEGORIES, "any")}
    for sentence, labels in sentences(of):
        flags = {name for name, flagged in classifier.classify(sentence).flags.items() if flagged}
        for name, is_of, is_flagged in (
            *((name, name in labels, name in flags) for name in CATEGORIES),
            ("any", bool(labels), bool(flags)),
        ):
            counts[name][0] += is_of
            counts[name][1] += is_flagged
            counts[name][2] += is_of and is_flagged
    return {name: (is_of, flagged, both) for name, (is_of, flagged, both) in counts.items()}


def milliseconds(classifier: Classifier) -> tuple[float, float]:
    """For one sentence, the median and the 99th percentile over all."""
    taken = []
    for sentence, _ in sentences("held_out"):
        began = time.thread_time()
        classifier.classify(sentence)
        taken.append(1000 * (time.thread_time() - began))
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", default="held_out", choices=("development", "plain", "held_out"))
    parser.add_argument("--show", action="store_true", help="print what was missed and what was flagged wrongly")
    arguments = parser.parse_args()
    classifier = default_classifier()
    print(f"| category | sentences | precision | recall |  ({arguments.set})\n|---|---|---|---|")
    for name, (of, flagged, both) in figures(classifier, arguments.set).items():
        precision = f"{both / flagged:.0%}" if flagged else "-"
        print(f"| {name} | {of} | {precision} | {f'{both / of:.0%}' if of else '-'} |")
    harmless = [sentence for sentence, labels in sentences(arguments.set) if not labels]
    wrong = sum(classifier.classify(sentence).flagged for sentence in harmless)
    print(f"harmless sentences flagged: {wrong} of {len(harmless)}")
    median, slow = milliseconds(classifier)
    print(f"milliseconds a sentence: median {median:.3f}, 99 of 100 below {slow:.3f}")
    long = " ".join(sentence for sentence, _ in sentences("held_out")) * 60
    began = time.perf_counter()
    classifier.classify(long)
    print(f"a text of {len(long):,} characters: {time.perf_counter() - began:.2f} s")
    if arguments.show:
        for sentence, labels in sentences(arguments.set):
            flags = {name for name, flagged in classifier.classify(sentence).flags.items() if flagged}
            if flags != labels:
                print(f"missed {sorted(labels - flags)}, wrongly {sorted(flags - labels)}: {sentence}")


if __name__ == "__main__":
    main()
