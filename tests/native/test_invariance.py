"""A row's logits do not depend, to the last bit, on its batch, its chunks or the number of threads."""

import numpy as np
import pytest

from myna.models.decoder import build_decoder
from tests.native.models import INSTRUCTION_SETS, Model, batch, random_weights, tiny_config

TARGETS = ("w4", "w4s", "w8", "f32")
LENGTHS = (1, 5, 16, 40, 300, 290)
TABLES = [range(20 * i, 20 * i + 20) for i in range(len(LENGTHS))]


def model(target, instruction_set, threads=2):
    program = build_decoder(tiny_config(layers=2, width=96, heads=6, kv_heads=2, mlp_width=160))
    weights = random_weights(program)
    return Model(program, weights, target=target, instruction_set=instruction_set, threads=threads, blocks=200,
                 dtype="float16")  # fmt: skip


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", TARGETS)
def test_batched_is_single(target, instruction_set):
    rng = np.random.default_rng(4)
    prompts = [rng.integers(0, 100, n) for n in LENGTHS]
    nexts = rng.integers(0, 100, len(LENGTHS))
    together, alone = model(target, instruction_set), model(target, instruction_set)

    batched = together.run(batch([(p, 0, t) for p, t in zip(prompts, TABLES, strict=True)]))
    single = [alone.run(batch([(p, 0, t)])) for p, t in zip(prompts, TABLES, strict=True)]
    np.testing.assert_array_equal(batched, np.concatenate(single))

    decode = [([n], len(p), t) for n, p, t in zip(nexts, prompts, TABLES, strict=True)]
    batched = together.run(batch(decode))
    single = [alone.run(batch([one])) for one in decode]
    np.testing.assert_array_equal(batched, np.concatenate(single))


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", TARGETS)
def test_chunked_is_whole(target, instruction_set):
    tokens = np.random.default_rng(5).integers(0, 100, 300)
    one = model(target, instruction_set)
    whole = one.run(batch([(tokens, 0, TABLES[0])]))
    for sizes in ([1] * 20 + [280], [17, 100, 3, 64, 1, 115], [255, 2, 43], [256, 44]):
        parts, start = [], 0
        for size in sizes:
            parts.append(one.run(batch([(tokens[start : start + size], start, TABLES[1])])))
            start += size
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_threads_do_not_matter(instruction_set):
    tokens = np.random.default_rng(6).integers(0, 100, 300)
    results = []
    for threads in (1, 2, 5):
        one = model("w4", instruction_set, threads)
        results.append([one.run(batch([(tokens, 0, TABLES[0])])), one.run(batch([([7], 300, TABLES[0])]))])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_executors_do_not_disturb_each_other():
    """Two executors in one process, stepping at the same time from two Python threads."""
    from concurrent.futures import ThreadPoolExecutor

    tokens = np.random.default_rng(6).integers(0, 100, 100)
    step = batch([(tokens, 0, TABLES[0])])
    first, second = model("w4", INSTRUCTION_SETS[0]), model("w8", INSTRUCTION_SETS[0])
    expected = first.run(step), second.run(step)
    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(m.run, step) for _ in range(20) for m in (first, second)]
        for i, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(), expected[i % 2])
