"""The fuzzer notices what it is there for: exceptions, processes that die, inputs that take too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import fuzz as fuzzer
from benchmarks.documents import ROOT
from tests.patience import WAIT_SECONDS

CHILD = """
import time
from benchmarks import fuzz

def bad(chance, scratch):
    match len(list(scratch.parent.glob("seen-*"))):
        case 0:
            raise KeyError("a count")
        case 1:
            bytearray(1 << 40)
        case 2:
            time.sleep(30)
    raise SystemExit

def counted(chance, scratch):
    try:
        bad(chance, scratch)
    finally:
        (scratch.parent / f"seen-{chance.random()}").touch()

fuzz.TARGETS, fuzz.SECONDS = {"bad": counted}, 3
fuzz.work("bad", 5, 1, 30)
"""


def test_what_a_target_does_wrong_is_a_finding_with_its_seed(tmp_path: Path) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    child = [sys.executable, "-c", CHILD]
    ended = subprocess.run(child, env=env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=WAIT_SECONDS)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [line["begins"] for line in lines if "begins" in line] == [5, 6, 7, 8]
    findings = {line["seed"]: line["what"] for line in lines if "seed" in line}
    assert list(findings) == [5, 6, 7]
    assert findings[5] == "KeyError: 'a count'"
    assert findings[6].startswith("MemoryError")
    assert findings[7] == "TimeoutError: more than 3 s for one input"


def test_a_process_that_dies_is_a_finding_and_another_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys\n"
        "seed, step = int(sys.argv[2]), int(sys.argv[3])\n"
        "for number in range(seed, 40, step):\n"
        "    print(json.dumps({'begins': number}), flush=True)\n"
        "    if number == 17: os.abort()\n"
    )
    monkeypatch.setattr(fuzzer, "WORKER", (sys.executable, str(script)))
    outcome = fuzzer.fuzz("any", 0, 30, workers=2)
    assert outcome.executions == 40
    assert [(finding["seed"], finding["what"][:7]) for finding in outcome.findings] == [(17, "SIGABRT")]


def test_a_seed_is_the_whole_input(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    targets = {name: lambda chance, scratch: seen.append(chance.random()) for name in ("one", "two")}
    monkeypatch.setattr(fuzzer, "TARGETS", targets)
    for target, seed in (("one", 1), ("one", 1), ("one", 2), ("two", 1)):
        fuzzer.execute(target, seed)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 3


def test_the_report_counts_and_shows_each_kind_once() -> None:
    finding = {"seed": 3, "what": "KeyError: 'a'", "where": "gguf.py:10"}
    outcomes = {
        "gguf": fuzzer.Outcome(1200, 60.0, [finding, {**finding, "seed": 9}]),
        "config": fuzzer.Outcome(60, 60.0),
    }
    text = fuzzer.report(outcomes)
    assert "1,260 inputs in 2 minutes" in text
    assert "| gguf | 1,200 | 20 | 2 |" in text
    assert "- gguf:3 (2 like it), gguf.py:10: KeyError: 'a'" in text
