"""Packed weights out and in again, as a cache on disk keeps them."""

import mmap

import numpy as np
import pytest

from myna import _native
from myna.models.decoder import build_decoder
from tests.native.models import EXACT, INSTRUCTION_SETS, Model, batch, random_weights, tiny_config
from tests.native.test_experts import mixture

PROGRAM = build_decoder(tiny_config(vocab_size=90))
STEP = batch([(range(40), 0, range(3))])


def aligned(data, offset=0):
    """A copy whose bytes begin at a multiple of 64, plus offset."""
    room = np.zeros(len(data) + 128, np.uint8)
    start = -room.ctypes.data % 64 + offset
    room[start : start + len(data)] = np.frombuffer(data, np.uint8)
    return room[start : start + len(data)]


def executor_of(program, weights):
    """From name -> (buffer, format)."""
    executor = _native.Executor(program.to_ops(), 2, INSTRUCTION_SETS[0])
    for name, (data, format_) in weights.items():
        executor.set_packed(name, data, format_)
    executor.seal()
    executor.allocate_cache(8, 16, "float32")
    return executor


@pytest.mark.parametrize("target", EXACT)
@pytest.mark.parametrize("program", [PROGRAM, mixture()], ids=["decoder", "experts"])
def test_the_same_model_again(program, target):
    first = Model(program, random_weights(program), target=target)
    packed = {
        name: (aligned(first.executor.packed(name)), "f32" if weight.kind == "vector" else target)
        for name, weight in program.weights.items()
    }
    again = executor_of(program, packed)
    del packed  # the executor keeps them
    again.forward(*STEP.arrays())
    np.testing.assert_array_equal(again.logits(), first.run(STEP))
    assert again.weight_bytes == first.executor.weight_bytes
    assert sum(len(again.packed(name)) for name in program.weights) == again.weight_bytes


def test_from_a_mapped_file(tmp_path):
    first = Model(PROGRAM, random_weights(PROGRAM), target="w4")
    places, size = {}, 0
    with (tmp_path / "packed").open("wb") as file:
        for name in PROGRAM.weights:
            data = first.executor.packed(name)
            places[name] = slice(size, size + len(data))
            size += file.write(data + bytes(-len(data) % 64))
    with (tmp_path / "packed").open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    again = executor_of(
        PROGRAM,
        {name: (mapped[places[name]], "f32" if "norm" in name else "w4") for name in PROGRAM.weights},
    )
    again.forward(*STEP.arrays())
    np.testing.assert_array_equal(again.logits(), first.run(STEP))


def test_what_does_not_fit():
    executor = _native.Executor(PROGRAM.to_ops(), 1, INSTRUCTION_SETS[0])
    name, size = "layers.0.attention.q", 64 * 64 * 17 // 16
    with pytest.raises(ValueError, match=f"{name} has 10 bytes instead of {size}"):
        executor.set_packed(name, aligned(bytes(10)), "w8")
    with pytest.raises(ValueError, match=f"{name} is not aligned"):
        executor.set_packed(name, aligned(bytes(size), 4), "w8")
    with pytest.raises(ValueError, match="unknown weight format w3"):
        executor.set_packed(name, aligned(bytes(size)), "w3")
    with pytest.raises(ValueError, match="no weight nothing"):
        executor.set_packed("nothing", aligned(bytes(size)), "w8")
    with pytest.raises(ValueError, match="must be kept as f32"):
        executor.set_packed("output_norm", aligned(bytes(68)), "w8")
    with pytest.raises(ValueError, match=f"{name} is not set yet"):
        executor.packed(name)
    executor.set_packed(name, aligned(bytes(size)), "w8")
    with pytest.raises(ValueError, match="set before"):
        executor.set_packed(name, aligned(bytes(size)), "w8")
    assert executor.packed(name) == bytes(size)
