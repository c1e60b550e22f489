"""Quantised types of GGUF: what their blocks mean, and what packing makes of them."""

import numpy as np
import pytest

from myna import _native
from myna.models.program import Program
from tests.native.models import INSTRUCTION_SETS
from tests.native.test_products import embedded
from tests.quantised import HALVES, TYPES, block_size, random_rows, values

COLUMNS = 512


@pytest.mark.parametrize("source", TYPES)
def test_every_element_is_to_the_bit_what_the_format_says(source):
    data = random_rows(source, 40, COLUMNS, np.random.default_rng(1))
    np.testing.assert_array_equal(embedded(data, source, "f32", 40, COLUMNS), values(source, data))


@pytest.mark.parametrize(
    ("source", "target", "largest", "typical"),
    [
        ("Q4_0", "w8", 0, 0), ("Q5_0", "w8", 0, 0), ("IQ4_NL", "w8", 0, 0), ("MXFP4", "w8", 0, 0),
        ("Q4_K", "w4", 1e-3, 4e-4), ("Q6_K", "w8", 8e-3, 4e-3), ("Q3_K", "w8", 8e-3, 4e-3),
        ("Q5_1", "w8", 4e-3, 5e-3), ("Q5_K", "w8", 4e-3, 5e-3), ("Q2_K", "w8", 4e-3, 5e-3),
        ("Q2_K", "w4", 1e-1, 5e-2), ("Q3_K", "w4", 2e-1, 6e-2), ("Q6_K", "w4", 2e-1, 7e-2),
    ],
)  # fmt: skip
def test_packing_stays_within_its_error(source, target, largest, typical):
    """The largest error over the largest magnitude, and the root mean square error over that of the weights."""
    data = random_rows(source, 200, COLUMNS, np.random.default_rng(2), largest=0.2)
    exact = values(source, data)
    miss = embedded(data, source, target, 200, COLUMNS) - exact
    assert np.abs(miss).max() <= largest * np.abs(exact).max()
    assert np.sqrt(np.mean(miss**2) / np.mean(exact**2)) <= typical


@pytest.mark.parametrize("source", ["Q3_K", "Q6_K"])
def test_one_half_of_each_group_is_kept(source):
    """Groups of 32 have two scales there: what the coarser one scales is rounded with its scale only, to float16."""
    data = random_rows(source, 64, COLUMNS, np.random.default_rng(4), largest=0.2)
    exact = values(source, data).reshape(-1, 2, 16)
    kept = embedded(data, source, "w8", 64, COLUMNS).reshape(-1, 2, 16)
    same = (np.abs(kept - exact) <= 2**-11 * np.abs(exact)).all(2).any(1)
    assert same.mean() > 0.99  # not where 128 steps are needed and a byte ends at 127


@pytest.mark.parametrize("target", ["w8", "f32"])
@pytest.mark.parametrize(("source", "offset"), [(source, offset) for source in HALVES for offset in HALVES[source]])
@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E00], ids=["infinity", "-infinity", "nan"])
def test_scales_and_minimums_that_are_not_finite(source, offset, bits, target):
    data = random_rows(source, 64, 256, np.random.default_rng(3))
    start = 256 // block_size(source)[0] // 2 * block_size(source)[1] + offset
    data[40, start : start + 2] = [bits & 255, bits >> 8]
    refused(data, source, target)


def test_a_minimum_that_float16_cannot_hold():
    data = random_rows("Q4_K", 64, 256, np.random.default_rng(3))
    data[40, 2:4] = [0xFF, 0x7B]  # 65504, times up to 63
    refused(data, "Q4_K", "w4")


@pytest.mark.parametrize("exponent", [200, 255], ids=["beyond float16", "nan"])
def test_exponents_of_mxfp4(exponent):
    data = random_rows("MXFP4", 64, 256, np.random.default_rng(3))
    data[40, 17] = exponent
    refused(data, "MXFP4", "w8")


def refused(data, source, target):
    with pytest.raises(ValueError, match="weight w holds a value that is not finite"):
        executor_for(64, 256).set_weight("w", data, source, 64, 256, target)


def executor_for(rows, columns):
    """One that waits for a matrix w [rows, columns]."""
    program = Program()
    x = program.embed(program.matrix("e", 16, columns))
    program.finish(program.linear(program.select(x), program.matrix("w", rows, columns)))
    return _native.Executor(program.to_ops(), 1, INSTRUCTION_SETS[0])


@pytest.mark.parametrize("source", [source for source in TYPES if block_size(source)[0] == 256])
def test_rows_that_are_not_whole_blocks(source):
    with pytest.raises(ValueError, match="64 columns do not fill whole blocks of 256"):
        executor_for(64, 64).set_weight("w", bytes(64 * 64), source, 64, 64, "w8")
