"""Ctrl-C before there is anything to give back: the process is gone, without a word."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from myna.cli.interrupts import ends_on_interrupt, raises_on_interrupt
from tests.processes import myna

INTERRUPTED = """\
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):
        pass
except KeyboardInterrupt:  # as compiled code does, which calls Python and cannot pass an exception on
    print("the interrupt was lost")
raise ImportError("the import went on")
"""


@pytest.mark.parametrize(("module", "arguments"), [("typer", ["models"]), ("uvicorn", ["serve", "--port", "0"])])
def test_an_import_is_interrupted_silently(
    module: str, arguments: list[str], env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / f"{module}.py").write_text(INTERRUPTED)
    result = myna(*arguments, env=env | {"PYTHONPATH": str(tmp_path)})
    assert result.returncode == -signal.SIGINT
    assert (result.stdout, result.stderr) == ("", "")


def test_what_holds_something_gives_it_back() -> None:
    with ends_on_interrupt(), pytest.raises(KeyboardInterrupt), raises_on_interrupt():
        signal.raise_signal(signal.SIGINT)


def test_a_process_in_the_background_stays_deaf() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ends_on_interrupt(), raises_on_interrupt():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
