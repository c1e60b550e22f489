"""The executor computes what the interpreter says, whatever it fuses."""

import numpy as np
import pytest

from myna.models.config import RopeConfig
from myna.models.decoder import build_decoder
from myna.models.program import Program
from tests.native.models import INSTRUCTION_SETS, Model, batch, error, random_weights, tiny_config

MODELS = {
    "grouped queries": tiny_config(),
    "a key for every query": tiny_config(kv_heads=4),
    "one key for all": tiny_config(heads=6, kv_heads=1, head_dim=8, rope=RopeConfig(8, 1e4, "interleaved")),
    "three heads a key": tiny_config(width=72, heads=9, kv_heads=3, head_dim=8, rope=RopeConfig(8, 1e5, "half")),
    "more heads a key than a tile": tiny_config(heads=20, kv_heads=1, head_dim=4, rope=RopeConfig(4, 1e4, "half")),
    "half layout": tiny_config(rope=RopeConfig(16, 1e4, "half")),
    "rope on part of a head": tiny_config(rope=RopeConfig(6, 5e5, "half")),
    "rope factors": tiny_config(rope=RopeConfig(16, 1e4, "half", (1, 1, 1.5, 2, 4, 8, 8, 8))),
    "own head": tiny_config(tied_embeddings=False),
    "awkward sizes": tiny_config(width=20, heads=3, kv_heads=3, head_dim=20, mlp_width=50, vocab_size=37,
                                 rope=RopeConfig(20, 1e4, "interleaved")),
    "layer norm and gelu": tiny_config(norm="layer", activation="gelu_tanh"),
    "exact gelu": tiny_config(activation="gelu"),
}  # fmt: skip


def conversation(rng, vocab):
    """Two steps: three prompts, then decoding beside a fourth prompt and a continued one."""

    def prompt(n):
        return rng.integers(0, vocab, n)

    tables = [range(i * 4, i * 4 + 4) for i in range(4)]
    yield batch([(prompt(7), 0, tables[2]), (prompt(33), 0, tables[0]), (prompt(1), 0, tables[1])])
    news = [prompt(1), prompt(12), prompt(1), prompt(40)]
    contexts = [7, 33, 1, 0]
    order = [2, 0, 1, 3]
    yield batch([(new, c, tables[t]) for new, c, t in zip(news, contexts, order, strict=True)], [0, 5, 12, 13, 53])


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", MODELS)
def test_decoder(name, instruction_set):
    config = MODELS[name]
    program = build_decoder(config)
    model = Model(program, random_weights(program), instruction_set=instruction_set)
    for step in conversation(np.random.default_rng(1), config.vocab_size):
        assert error(model.run(step), model.expect(step)) < 1e-5


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", ["w4", "w4s", "w8", "bf16"])
def test_packed_weights(target, instruction_set):
    # Activations on the border between two int8 codes may fall either way, which moves whole steps of rounding.
    program = build_decoder(tiny_config())
    model = Model(program, random_weights(program), target=target, instruction_set=instruction_set)
    for step in conversation(np.random.default_rng(1), 100):
        assert error(model.run(step), model.expect(step)) < (1e-5 if target == "bf16" else 0.03)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_long_context(dtype, instruction_set):
    """Several chunks of keys: with one sequence they are spread over threads, with several they are not."""
    program = build_decoder(tiny_config())
    model = Model(program, random_weights(program), instruction_set=instruction_set, dtype=dtype, blocks=160)
    rng = np.random.default_rng(2)
    tables = np.random.default_rng(3).permutation(160).reshape(4, 40)
    limit = 1e-5 if dtype == "float32" else 2e-3
    prompts = batch(
        [(rng.integers(0, 100, n), 0, table) for n, table in zip((600, 255, 256, 257), tables, strict=True)]
    )
    assert error(model.run(prompts), model.expect(prompts)) < limit
    for step in (
        batch([(rng.integers(0, 100, 1), 600, tables[0])]),
        batch([(rng.integers(0, 100, 1), n, table) for n, table in zip((601, 255, 256, 257), tables, strict=True)]),
    ):
        assert error(model.run(step), model.expect(step)) < limit


def test_ops_that_nothing_fuses():
    """Norms, activations, sums and rotations that stand alone, biases, results used more than once."""
    program = Program()
    vector, matrix = program.vector, program.matrix
    x = program.embed(matrix("embedding", 50, 48))
    x = program.norm(x, vector("embedding_norm", 48), "layer", 1e-5, vector("embedding_norm.bias", 48))
    normed = program.norm(x, vector("norm", 48), "rms", 1e-5)
    k = program.linear(normed, matrix("k", 48, 48), vector("k.bias", 48))
    q = program.rope(program.rope(k, 3, RopeConfig(8, 1e4, "half")), 3, RopeConfig(16, 1e3, "interleaved"))
    v = program.add(k, normed)
    mixed = program.attention(q, k, v, layer=3, heads=3, kv_heads=3, scale=0.5)
    hidden = program.activation(program.linear(mixed, matrix("up", 100, 48), vector("up.bias", 100)), "gelu")
    down = program.linear(hidden, matrix("down", 48, 100), vector("down.bias", 48))
    parallel = program.add(program.add(x, down), program.linear(normed, matrix("side", 48, 48)))
    gated = program.multiply(program.activation(parallel, "silu"), down)
    last = program.select(program.add(gated, gated))
    program.finish(program.linear(last, matrix("head", 50, 48), vector("head.bias", 50)))
    for instruction_set in INSTRUCTION_SETS:
        model = Model(program, random_weights(program), instruction_set=instruction_set)
        for step in conversation(np.random.default_rng(1), 50):
            assert error(model.run(step), model.expect(step)) < 1e-5


def plain_mlp(program, x, name, *, hidden=70):
    up = program.linear(x, program.matrix(f"{name}.up", hidden, x.size), program.vector(f"{name}.up.bias", hidden))
    weight = program.matrix(f"{name}.down", x.size, hidden), program.vector(f"{name}.down.bias", x.size)
    return program.linear(program.activation(up, "gelu"), *weight)


def attention(program, x, name, layer):
    q, k, v = (program.linear(x, program.matrix(f"{name}.{part}", 48, x.size)) for part in "qkv")
    mixed = program.attention(q, k, v, layer=layer, heads=3, kv_heads=3)
    return program.linear(mixed, program.matrix(f"{name}.out", x.size, 48))


def rms(program, x, name):
    return program.norm(x, program.vector(name, x.size), "rms", 1e-5)


def parallel_residual(program, x):
    """Attention and MLP of one norm, as GPT-J has it."""
    normed = rms(program, x, "norm")
    return program.add(program.add(x, attention(program, normed, "a", 0)), plain_mlp(program, normed, "mlp"))


def parallel_residual_of_two_norms(program, x):
    mlp = plain_mlp(program, rms(program, x, "mlp_norm"), "mlp")
    return program.add(x, program.add(attention(program, rms(program, x, "norm"), "a", 0), mlp))


def post_norms(program, x):
    x = program.add(x, rms(program, attention(program, rms(program, x, "norm"), "a", 0), "post"))
    return program.add(x, rms(program, plain_mlp(program, rms(program, x, "mlp_norm"), "mlp"), "mlp_post"))


def norms_after_sums(program, x):
    x = rms(program, program.add(x, attention(program, x, "a", 0)), "norm")
    return rms(program, program.add(x, plain_mlp(program, x, "mlp")), "mlp_norm")


ARRANGEMENTS = [parallel_residual, parallel_residual_of_two_norms, post_norms, norms_after_sums]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("arrange", ARRANGEMENTS)
def test_arrangements_of_a_layer(arrange, instruction_set):
    """With learned positions before, and capped logits after it."""
    program = Program()
    words = program.embed(program.matrix("words", 50, 48), scale=0.7)
    x = program.add(words, program.embed(program.matrix("places", 64, 48), source="positions"))
    x = program.select(arrange(program, x))
    program.finish(program.softcap(program.linear(x, "words"), 1.5))
    model = Model(program, random_weights(program), instruction_set=instruction_set)
    for step in conversation(np.random.default_rng(1), 50):
        assert error(model.run(step), model.expect(step)) < 1e-5


RESULTS = {
    "selected rows": lambda program, x: x,
    "norm": lambda program, x: program.norm(x, program.vector("n", 35), "layer", 1e-5, program.vector("n.bias", 35)),
    "norms of heads": lambda program, x: program.norm(x, program.vector("n", 7), "rms", 1e-5, heads=5),
    "sum": lambda program, x: program.add(x, x),
    "linear onto a residual": lambda program, x: program.add(x, program.linear(x, program.matrix("w", 35, 35))),
    "cap": lambda program, x: program.softcap(x, 0.5),
    "activation": lambda program, x: program.activation(program.linear(x, program.matrix("w", 35, 35)), "gelu_tanh"),
    "gate": lambda program, x: program.multiply(
        program.activation(program.linear(x, program.matrix("w", 35, 35)), "silu"),
        program.linear(x, program.matrix("u", 35, 35)),
    ),
}


@pytest.mark.parametrize("name", RESULTS)
def test_any_op_may_be_the_last(name):
    """Rows of 35 are no whole number of registers: nothing may be written beyond them."""
    program = Program()
    x = program.select(program.embed(program.matrix("e", 50, 35)))
    program.finish(RESULTS[name](program, x))
    for instruction_set in INSTRUCTION_SETS:
        model = Model(program, random_weights(program), instruction_set=instruction_set)
        step = batch([(range(30), 0, [0, 1])], range(0, 30, 2))
        assert error(model.run(step), model.expect(step)) < 1e-5


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_plain_mlp_with_integer_weights(instruction_set):
    """The activation is rounded for the next product while it is made."""
    program = Program()
    x = program.embed(program.matrix("e", 50, 64))
    x = program.add(x, plain_mlp(program, rms(program, x, "norm"), "mlp", hidden=96))
    program.finish(program.linear(program.select(x), "e"))
    model = Model(program, random_weights(program), target="w8", instruction_set=instruction_set)
    for count in (1, 2, 40):
        step = batch([(range(count), 0, range(3))])
        assert error(model.run(step), model.expect(step)) < 0.01


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_caps_keep_small_values_exact(instruction_set):
    program = Program()
    program.finish(program.softcap(program.select(program.embed(program.matrix("e", 4, 40))), 30.0))
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((4, 40)) * np.array([[1e-6], [1e-2], [30], [1e4]])).astype(np.float32)
    model = Model(program, {"e": values}, instruction_set=instruction_set)
    exact = 30 * np.tanh(values.astype(np.float64) / 30)
    np.testing.assert_allclose(model.run(batch([(range(4), 0, [0])])), exact, rtol=5e-7)


def test_gated_product_used_twice_and_with_biases():
    program = Program()
    x = program.embed(program.matrix("embedding", 30, 40))
    gate = program.linear(x, program.matrix("gate", 72, 40), program.vector("gate.bias", 72))
    up = program.linear(x, program.matrix("up", 72, 40), program.vector("up.bias", 72))
    hidden = program.multiply(up, program.activation(gate, "silu"))
    twice = program.select(program.add(hidden, hidden))
    program.finish(program.linear(twice, program.matrix("head", 30, 72)))
    model = Model(program, random_weights(program))
    step = batch([(range(30), 0, [0, 1])])
    assert error(model.run(step), model.expect(step)) < 1e-5


def test_formats_may_differ_within_a_product():
    program = build_decoder(tiny_config())
    weights = random_weights(program)
    reference = Model(program, weights)
    mixed = Model.__new__(Model)
    from myna import _native

    mixed.executor = _native.Executor(program.to_ops(), 2, INSTRUCTION_SETS[0])
    targets = {"q": "w8", "k": "f32", "v": "bf16", "gate": "f32", "up": "w8", "down": "w8"}
    for name, weight in program.weights.items():
        target = targets.get(name.rsplit(".", 1)[-1], "f32")
        mixed.executor.set_weight(name, weights[name], "F32", weight.rows, weight.columns, target)
    mixed.executor.seal()
    mixed.executor.allocate_cache(16, 16, "float32")
    step = batch([(range(20), 0, [0, 1])])
    assert error(mixed.run(step), reference.run(step)) < 0.05


def test_no_logits_wanted():
    program = build_decoder(tiny_config())
    model = Model(program, random_weights(program))
    model.run(batch([(range(20), 0, [0, 1])], []))
    step = batch([(range(3), 20, [0, 1])], [2])
    model.expect(batch([(range(20), 0, [0, 1])]))
    assert error(model.run(step), model.expect(step)) < 1e-5
    assert model.run(batch([(range(20), 0, [0, 1])], [])).shape == (0, 100)


def test_sizes_are_reported():
    program = build_decoder(tiny_config())
    executor = Model(program, random_weights(program), target="w4").executor
    matrices = sum(w.rows * w.columns for w in program.weights.values() if w.kind == "matrix")
    assert matrices * 5 / 8 <= executor.weight_bytes < matrices * 5 / 8 * 1.2
    assert executor.weight_bytes < executor.bytes_per_token <= executor.weight_bytes + 64
    config = tiny_config()
    elements = 2 * config.layers * config.kv_heads * config.head_dim  # keys and values that a token adds
    assert executor.cache_block_bytes(16, "float16") == 2 * elements * 16
    assert executor.cache_block_bytes(32, "float32") == 4 * elements * 32
