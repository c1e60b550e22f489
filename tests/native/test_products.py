"""Matrix products of every format, instruction set and row count against NumPy."""

import numpy as np
import pytest

from myna import _native
from myna.models.interpreter import int8_groups
from myna.models.program import Program
from tests.native.blocks import decode, encode
from tests.native.models import EXACT, INSTRUCTION_SETS, batch, error

ROWS = (1, 2, 3, 5, 16, 17, 40, 130)
# (outputs, columns): whole tiles, part of a tile, many tiles, part of a group (float sources only).
SHAPES = ((32, 64), (1, 32), (19, 96), (300, 160))
RAGGED = ((7, 20), (33, 48), (16, 1))


def product(matrix, source, target, x, instruction_set, columns):
    """matrix (bytes of ``source``) times each row of x, on the executor."""
    program = Program()
    e, w = program.matrix("e", len(x), columns), program.matrix("w", len(matrix), columns)
    program.finish(program.linear(program.select(program.embed(e)), w))
    executor = _native.Executor(program.to_ops(), 2, instruction_set)
    executor.set_weight("e", x, "F32", *x.shape, "f32")
    executor.set_weight("w", matrix, source, len(matrix), columns, target)
    executor.seal()
    executor.allocate_cache(1 + len(x) // 16, 16, "float32")
    one = batch([(range(len(x)), 0, range(1 + len(x) // 16))])
    executor.forward(*one.arrays())
    return executor.logits()


def close(got, expected, tolerance=3e-6):
    assert got.dtype == np.float32
    assert error(got, expected) < tolerance


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", EXACT)
def test_every_row_count_and_shape(instruction_set, target):
    rng = np.random.default_rng(7)
    for outputs, columns in SHAPES if target not in ("bf16", "f32") else SHAPES + RAGGED:
        data = encode(EXACT[target], rng.standard_normal((outputs, columns)).astype(np.float32))
        weights = decode(EXACT[target], data, columns)
        for rows in ROWS:
            x = (rng.standard_normal((rows, columns)) * np.exp(rng.standard_normal((rows, 1)))).astype(np.float32)
            rounded = int8_groups(x) if target in ("w4", "w4s", "w8") else x
            got = product(data, EXACT[target], target, x, instruction_set, columns)
            close(got, (rounded.astype(np.float64) @ weights.T.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", ["w4", "w4s", "w8"])
def test_largest_codes_do_not_overflow(instruction_set, target):
    x = np.where(np.arange(64) % 2, 1.0, -1.0).astype(np.float32)[None]
    for value in (-1.0, 1.0):
        data = encode(EXACT[target], value * np.sign(x).repeat(16, 0).astype(np.float32))
        weights = decode(EXACT[target], data, 64)
        close(product(data, EXACT[target], target, x, instruction_set, 64), int8_groups(x) @ weights.T)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Q4_0", "w4"), ("Q4_0", "f32"), ("Q4_1", "f32"), ("Q8_0", "f32"), ("F16", "f32"), ("BF16", "f32"),
        ("BF16", "bf16"),
    ],
)  # fmt: skip
def test_exact_conversions_keep_every_value(source, target):
    rng = np.random.default_rng(3)
    data = encode(source, rng.standard_normal((40, 64)).astype(np.float32))
    identity = np.eye(64, dtype=np.float32)
    np.testing.assert_array_equal(
        product(data, source, target, identity, INSTRUCTION_SETS[0], 64).T,
        decode(source, data, 64) if target != "w4" else rounded_units(decode(source, data, 64)),
    )


def rounded_units(weights):
    """What int8 activations make of a unit vector: 127 times 1 / 127."""
    return weights * (np.float32(127) * np.float32(1 / 127))


@pytest.mark.parametrize(
    ("source", "target", "limit"),
    [
        ("F32", "w8", 0.006), ("F16", "w8", 0.006), ("Q4_1", "w8", 0.006), ("F32", "bf16", 0.004),
        ("F32", "w4", 0.078), ("F32", "w4s", 0.09), ("Q8_0", "w4", 0.078), ("Q8_0", "w4s", 0.09),
    ],
)  # fmt: skip
def test_rounding_conversions_stay_within_their_error(source, target, limit):
    rng = np.random.default_rng(5)
    values = rng.standard_normal((64, 256)).astype(np.float32)
    data = encode(source, values)
    values = decode(source, data, 256)
    kept = embedded(data, source, target, 64, 256)
    assert np.sqrt(np.mean((kept - values) ** 2) / np.mean(values**2)) < limit


def embedded(data, source, target, rows, columns):
    """The packed weights as floats again, read back through the embedding."""
    program = Program()
    e, w = program.matrix("e", rows, columns), program.matrix("w", columns, columns)
    program.finish(program.linear(program.select(program.embed(e)), w))
    executor = _native.Executor(program.to_ops(), 1, INSTRUCTION_SETS[0])
    executor.set_weight("e", data, source, rows, columns, target)
    executor.set_weight("w", np.eye(columns, dtype=np.float32), "F32", columns, columns, "f32")
    executor.seal()
    executor.allocate_cache(1 + rows // 16, 16, "float32")
    one = batch([(range(rows), 0, range(1 + rows // 16))])
    executor.forward(*one.arrays())
    return executor.logits()


@pytest.mark.parametrize("target", ["w4", "w4s", "w8"])
@pytest.mark.parametrize("columns", [96, 40])
def test_every_instruction_set_rounds_to_the_same_bytes(target, columns):
    values = np.random.default_rng(6).standard_normal((40, columns)).astype(np.float32)
    values[3] = 0
    values[4] = 0.25
    kept = []
    for instruction_set in INSTRUCTION_SETS:
        program = Program()
        program.finish(program.linear(program.select(program.embed(program.matrix("e", 40, columns))), "e"))
        executor = _native.Executor(program.to_ops(), 1, instruction_set)
        executor.set_weight("e", values, "F32", 40, columns, target)
        kept.append(executor.packed("e"))
    assert all(bytes_ == kept[0] for bytes_ in kept)


@pytest.mark.parametrize("target", EXACT)
@pytest.mark.parametrize("columns", [20, 48])
def test_columns_that_do_not_fill_a_group(target, columns):
    values = np.random.default_rng(1).standard_normal((50, columns)).astype(np.float32)
    kept = embedded(values, "F32", target, 50, columns)
    assert kept.shape == values.shape
    assert np.sqrt(np.mean((kept - values) ** 2)) < 0.1


@pytest.mark.parametrize("target", EXACT)
def test_extreme_values_survive(target):
    values = np.zeros((17, 64), np.float32)
    values[1] = 1e-30
    values[2] = 6e4
    values[3, 5] = -3e4
    values[4, ::2] = 1e-7
    kept = embedded(values, "F32", target, 17, 64)
    assert np.isfinite(kept).all()
    np.testing.assert_allclose(kept[[0, 2]], values[[0, 2]], rtol=0.01)
    assert kept[3, 5] == pytest.approx(-3e4, rel=0.01)
