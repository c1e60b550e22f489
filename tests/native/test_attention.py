"""Attention's options: windows, caps, slopes, sinks, both directions, norms of heads; against the interpreter, and to
the last bit the same in every batch."""

import numpy as np
import pytest

from myna.models.config import RopeConfig
from myna.models.program import Program
from tests.native.models import INSTRUCTION_SETS, Model, batch, error, random_weights

HEADS, KV_HEADS, HEAD_DIM, WIDTH, VOCAB = 8, 2, 20, 64, 50
SLOPES = tuple(2.0**-i for i in range(1, HEADS + 1))


def model_with(*, norm_heads=False, rope=True, sinks=False, threads=2, instruction_set=INSTRUCTION_SETS[0],
               target="f32", dtype="float32", **options):  # fmt: skip
    """Two layers of attention with a plain MLP."""
    program = Program()
    matrix, vector = program.matrix, program.vector
    x = program.embed(matrix("embedding", VOCAB, WIDTH))
    for i in range(2):
        normed = program.norm(x, vector(f"{i}.norm", WIDTH), "rms", 1e-5)
        q = program.linear(normed, matrix(f"{i}.q", HEADS * HEAD_DIM, WIDTH))
        k = program.linear(normed, matrix(f"{i}.k", KV_HEADS * HEAD_DIM, WIDTH))
        v = program.linear(normed, matrix(f"{i}.v", KV_HEADS * HEAD_DIM, WIDTH))
        if norm_heads:
            q = program.norm(q, vector(f"{i}.q_norm", HEAD_DIM), "rms", 1e-6, heads=HEADS)
            k = program.norm(k, vector(f"{i}.k_norm", HEAD_DIM), "rms", 1e-6, heads=KV_HEADS)
        if rope:
            config = RopeConfig(16, 1e4, "half", scale=1.1)
            q, k = program.rope(q, HEADS, config), program.rope(k, KV_HEADS, config)
        sink = vector(f"{i}.sinks", HEADS) if sinks else None
        mixed = program.attention(q, k, v, layer=i, heads=HEADS, kv_heads=KV_HEADS, sinks=sink, **options)
        x = program.add(x, program.linear(mixed, matrix(f"{i}.output", WIDTH, HEADS * HEAD_DIM)))
        up = program.activation(program.linear(x, matrix(f"{i}.up", 96, WIDTH)), "gelu_tanh")
        x = program.add(x, program.linear(up, matrix(f"{i}.down", WIDTH, 96)))
    program.finish(program.linear(program.select(x), "embedding"))
    return Model(program, random_weights(program), instruction_set=instruction_set, threads=threads, target=target,
                 dtype=dtype, blocks=160)  # fmt: skip


OPTIONS = {
    "window": {"window": 5},
    "window of one": {"window": 1},
    "window of a chunk": {"window": 256},
    "window over chunks": {"window": 300},
    "window beyond all": {"window": 5000},
    "cap": {"softcap": 2.0},
    "slopes instead of rotation": {"slopes": SLOPES, "rope": False},
    "sinks": {"sinks": True},
    "all at once": {"window": 37, "softcap": 5.0, "slopes": SLOPES, "sinks": True, "norm_heads": True, "scale": 0.3},
    "norms of heads": {"norm_heads": True},
    "norms without rotation": {"norm_heads": True, "rope": False},
    "no positions": {"rope": False},
}


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", OPTIONS)
def test_options(name, instruction_set):
    """Prompts over several chunks of keys, one step beside others and one alone, which is spread over threads."""
    model = model_with(**OPTIONS[name], instruction_set=instruction_set)
    rng = np.random.default_rng(2)
    tables = np.random.default_rng(3).permutation(160).reshape(4, 40)
    lengths = (600, 30, 256, 257)
    steps = [
        batch([(rng.integers(0, VOCAB, n), 0, table) for n, table in zip(lengths, tables, strict=True)]),
        batch([(rng.integers(0, VOCAB, 3), n, table) for n, table in zip(lengths, tables, strict=True)]),
        batch([(rng.integers(0, VOCAB, 1), 603, tables[0])]),
    ]
    for step in steps:
        assert error(model.run(step), model.expect(step)) < 1e-5


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("slopes", [(), SLOPES])
def test_both_directions(instruction_set, slopes):
    model = model_with(causal=False, slopes=slopes, instruction_set=instruction_set)
    rng = np.random.default_rng(2)
    sequences = [(rng.integers(0, VOCAB, n), 0, range(40 * i, 40 * i + 40)) for i, n in enumerate((300, 1, 70))]
    step = batch(sequences)
    together = model.run(step)
    assert error(together, model.expect(step)) < 1e-5
    np.testing.assert_array_equal(np.concatenate([model.run(batch([one])) for one in sequences]), together)
    first = model.run(batch([(sequences[0][0][:150], 0, range(40))]))
    assert error(first, together[:150]) > 1e-3  # the later half is seen by the first


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", ["window", "window over chunks", "all at once", "cap"])
def test_same_bits_in_every_batch(name, instruction_set):
    options = {**OPTIONS[name], "instruction_set": instruction_set, "target": "w8", "dtype": "float16"}
    model = model_with(**options)
    rng = np.random.default_rng(5)
    tokens, other = rng.integers(0, VOCAB, 620), rng.integers(0, VOCAB, 45)
    table = range(40)
    whole = model.run(batch([(tokens, 0, table)]))
    for sizes in ([1] * 20 + [600], [17, 100, 3, 400, 99, 1], [256, 256, 108]):
        parts, start = [], 0
        for size in sizes:
            step = batch([(other, 0, range(80, 83)), (tokens[start : start + size], start, range(40, 80))])
            parts.append(model.run(step)[len(other) :])
            start += size
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    for threads in (1, 5):
        again = model_with(**options, threads=threads)
        np.testing.assert_array_equal(again.run(batch([(tokens, 0, table)])), whole)
        np.testing.assert_array_equal(again.run(batch([(tokens[-1:], 619, table)])), whole[-1:])


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("tokens", [1, 40])
def test_keys_far_behind_the_window_are_not_read(instruction_set, tokens):
    """A token whose values overflow: zero times infinity would not be a number."""
    program = Program()
    x = program.embed(program.matrix("e", VOCAB, 16))
    mixed = program.attention(x, x, x, layer=0, heads=1, kv_heads=1, window=200)
    program.finish(program.select(mixed))
    weights = random_weights(program)
    weights["e"][0] = 3e38
    model = Model(program, weights, instruction_set=instruction_set, dtype="float16", blocks=40)
    prompt = np.random.default_rng(0).integers(1, VOCAB, 600)
    prompt[100] = 0
    model.run(batch([(prompt, 0, range(40))], []))
    assert np.isfinite(model.run(batch([(range(1, tokens + 1), 600, range(40))]))).all()
