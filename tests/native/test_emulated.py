"""An old processor, emulated: nothing outside a variant's own file may need its instructions."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from myna.models.decoder import build_decoder
from tests.native.models import INSTRUCTION_SETS, Model, batch, random_weights, tiny_config

EMULATOR = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
ROOT = Path(__file__).parents[2]

SCRIPT = """
import sys
sys.path[:0] = [{root!r}, {source!r}]
from tests.native import test_emulated
test_emulated.report()
"""


def logits() -> str:
    """A prompt and a decoded token of a small model on the generic kernels, every bit."""
    program = build_decoder(tiny_config(layers=1))
    model = Model(program, random_weights(program), target="w4", instruction_set="generic")
    parts = [model.run(batch([([1, 2, 3], 0, [0])])), model.run(batch([([4], 3, [0])]))]
    ids, *_ = model.executor.sample(*greedy(1), None, -1)
    return np.concatenate(parts).tobytes().hex() + f" {ids.tolist()}"


def greedy(n: int) -> tuple[np.ndarray, ...]:
    zeros, none = np.zeros(n, np.float32), np.zeros(0, np.int32)
    ids, starts = np.zeros(n, np.int32), np.zeros(n + 1, np.int32)
    return (
        np.arange(n, dtype=np.int32), zeros, ids, zeros + 1, zeros, zeros + 1, zeros, zeros, np.zeros(n, np.uint64),
        np.zeros(n, np.int64), none, starts, ids, none, np.zeros(0, np.float32), starts,
    )  # fmt: skip


def report() -> None:
    sys.stdout.write(f"{INSTRUCTION_SETS}\n{logits()}\n")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the emulated processor is an x86-64 one")
@pytest.mark.skipif(EMULATOR is None, reason="needs qemu-user (Debian: apt install qemu-user-static)")
def test_generic_kernels_run_on_a_processor_without_avx():
    assert EMULATOR is not None
    script = SCRIPT.format(root=str(ROOT), source=str(ROOT / "src"))
    # Nehalem (2008) has what NumPy itself needs, and nothing later.
    command = [EMULATOR, "-cpu", "Nehalem", sys.executable, "-c", script]
    # NumPy's BLAS goes by the processor's model number and would pick kernels that this one lacks.
    environment = {**os.environ, "OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['generic']", logits()]
