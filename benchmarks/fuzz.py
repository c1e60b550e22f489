"""Fuzz what strangers send, for as long as wanted: the mutators of the tests, in processes that may die.

    python -m benchmarks.fuzz [--minutes 10] [--only gguf,template] [--seed 0] [--write docs/performance.md]
    python -m benchmarks.fuzz --replay gguf:1234

A target makes one input from a seed, feeds it, and returns when it was answered or refused by an error of
`myna.errors`. A finding is anything else: another exception, more than `SECONDS` for one input, more than `MEMORY`
bytes, or the end of the process. A finding's seed makes its input again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.documents import save_results, write_parts
from benchmarks.report import table
from myna import hardware
from tests.formats.fuzz import FUZZERS as FORMATS
from tests.models.fuzz import FUZZERS as MODELS

SECONDS = 60
MEMORY = 8 << 30
"""Address space of a process: libraries take two gigabytes of it, an input may not take the rest."""

WORKER = (sys.executable, "-m", "benchmarks.fuzz", "--work")

TARGETS: Mapping[str, Callable[[random.Random, Path], None]] = {**FORMATS, **MODELS}
"""By name: makes an input from random numbers, in a scratch directory if it needs one, and feeds it."""


@dataclass
class Outcome:
    """What a target came to. A finding has its ``seed``, ``what`` it was and ``where``."""

    executions: int = 0
    seconds: float = 0.0
    findings: list[dict[str, Any]] = field(default_factory=list)


def execute(target: str, seed: int) -> None:
    """One input. Raises whatever is a finding."""
    with tempfile.TemporaryDirectory() as folder:
        TARGETS[target](random.Random(f"{target}:{seed}"), Path(folder))


def work(target: str, seed: int, step: int, seconds: float) -> None:
    """The worker: seeds from ``seed`` on until the time is over; a line of JSON before each, and one a finding."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _too_slow)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        print(json.dumps({"begins": seed}), flush=True)
        signal.alarm(SECONDS)
        try:
            execute(target, seed)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            print(
                json.dumps({"seed": seed, "what": f"{type(error).__name__}: {error}"[:300], "where": place}), flush=True
            )
        finally:  # also when the process ends: a signal that comes later would kill it
            signal.alarm(0)
        seed += step


def fuzz(target: str, seed: int, seconds: float, workers: int) -> Outcome:
    """A target on so many processes; one that dies is a finding, and another goes on behind its seed."""
    outcome = Outcome()
    began = time.monotonic()
    running = [_Worker(target, seed + index, workers, seconds) for index in range(workers)]
    while running:
        worker = running.pop(0)
        for line in worker.lines():
            if "begins" in line:
                outcome.executions += 1
            else:
                outcome.findings.append(line)
        left = seconds - (time.monotonic() - began)
        if worker.died:
            outcome.findings.append({"seed": worker.seed, "what": worker.died, "where": "the process"})
            if left > 0:
                running.append(_Worker(target, worker.seed + workers, workers, left))
    outcome.seconds = time.monotonic() - began
    return outcome


class _Worker:
    """A process that runs `work`; its output is read when it has ended."""

    def __init__(self, target: str, seed: int, step: int, seconds: float) -> None:
        self.seed = seed
        self.died = ""
        # Files, not pipes, which would fill and hold it up while another is waited for. `lines` closes them.
        self._output, self._errors = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115
        command = [*WORKER, target, str(seed), str(step), str(seconds)]
        environment = {**os.environ, "RUST_BACKTRACE": "0"}
        self._process = subprocess.Popen(command, stdout=self._output, stderr=self._errors, env=environment)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What it reported; afterwards ``seed`` is its last one."""
        code = self._process.wait()
        with self._output as output, self._errors as errors:
            errors.seek(0)
            said = errors.read().strip()
            if code:
                name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
                self.died = f"{name}: {said[-200:]}" if said else name
            output.seek(0)
            for text in output:
                line = dict(json.loads(text))
                self.seed = line.get("begins", self.seed)
                yield line


def _too_slow(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s for one input")


def report(outcomes: Mapping[str, Outcome]) -> str:
    """A table, and each kind of finding with its first seed."""
    rows = [
        [name, f"{each.executions:,}", f"{each.executions / each.seconds:.0f}", str(len(each.findings))]
        for name, each in outcomes.items()
    ]
    total = sum(each.executions for each in outcomes.values())
    minutes = sum(each.seconds for each in outcomes.values()) / 60
    lines = [
        f"{total:,} inputs in {minutes:.0f} minutes on {hardware.usable_cores()} cores, {time.strftime('%Y-%m-%d')}.",
        "",
        table(["target", "inputs", "a second", "findings"], rows),
    ]
    for name, outcome in outcomes.items():
        kinds = Counter((each["where"], each["what"].split(":")[0]) for each in outcome.findings)
        for (where, what), count in kinds.items():
            first = next(each for each in outcome.findings if each["where"] == where and each["what"].startswith(what))
            lines.append(f"- {name}:{first['seed']} ({count} like it), {where}: {first['what']}")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """0 when nothing was found."""
    if arguments[:1] == ["--work"]:
        target, seed, step, seconds = arguments[1:]
        work(target, int(seed), int(step), float(seconds))
        return 0
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="for all targets together")
    parser.add_argument("--only", default=",".join(TARGETS), help=f"by commas, of {', '.join(TARGETS)}")
    parser.add_argument("--seed", type=int, default=0, help="the first")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--replay", help="TARGET:SEED, here and now, with its traceback")
    parser.add_argument("--write", type=Path, nargs="+", default=[], help="documents whose part fuzz to replace")
    given = parser.parse_args(arguments)
    if given.replay:
        target, seed = given.replay.split(":")
        execute(target, int(seed))
        return 0
    names = given.only.split(",")
    if unknown := set(names) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    outcomes = {}
    for name in names:
        outcomes[name] = fuzz(name, given.seed, 60 * given.minutes / len(names), given.workers)
        print(f"{name}: {outcomes[name].executions} inputs, {len(outcomes[name].findings)} findings", flush=True)
    save_results("fuzz", {name: vars(outcome) for name, outcome in outcomes.items()})
    text = report(outcomes)
    print(text)
    for document in given.write:
        write_parts(document, {"fuzz": text})
    return int(any(outcome.findings for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
