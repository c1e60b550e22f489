"""Each op of the interpreter against PyTorch or the formula written out another way."""

import numpy as np
import pytest

from myna.models.config import RopeConfig
from myna.models.interpreter import Interpreter, activate, int8_groups, normalise, rope
from myna.models.program import Program, Rope

torch = pytest.importorskip("torch", reason="PyTorch is the reference here")
RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def close(got, expected, tolerance=1e-5):
    np.testing.assert_allclose(got, expected.numpy() if hasattr(expected, "numpy") else expected, atol=tolerance)


def test_norms():
    x, weight, bias = normal(5, 12), normal(12), normal(12)
    t = torch.from_numpy
    close(normalise(x, weight, None, "rms", 1e-5), torch.nn.functional.rms_norm(t(x), (12,), t(weight), 1e-5))
    close(
        normalise(x, weight, bias, "layer", 1e-5), torch.nn.functional.layer_norm(t(x), (12,), t(weight), t(bias), 1e-5)
    )


def test_activations():
    x = normal(100)
    t = torch.from_numpy(x)
    close(activate(x, "silu"), torch.nn.functional.silu(t))
    close(activate(x, "gelu"), torch.nn.functional.gelu(t))
    close(activate(x, "gelu_tanh"), torch.nn.functional.gelu(t, approximate="tanh"))


@pytest.mark.parametrize("layout", ["half", "interleaved"])
def test_rope_turns_complex_numbers(layout):
    factors = (1.0, 2.0, 4.0)
    op = Rope(1, 0, heads=2, head_dim=8, dims=6, base=1e4, layout=layout, factors=factors)
    x, positions = normal(4, 16), np.array([0, 1, 5, 700])
    got = rope(x, positions, op)
    for token, position in enumerate(positions):
        for head in range(2):
            before, after = x[token, head * 8 : head * 8 + 8], got[token, head * 8 : head * 8 + 8]
            for i in range(3):
                a, b = (2 * i, 2 * i + 1) if layout == "interleaved" else (i, i + 3)
                turned = complex(before[a], before[b]) * np.exp(1j * position * 1e4 ** (-2 * i / 6) / factors[i])
                close([after[a], after[b]], [turned.real, turned.imag])
            close(after[6:], before[6:])
    close(got[0], x[0])


def attention_model(heads, kv_heads, head_dim):
    """Attention straight on embeddings of q, k and v: token t has row t."""
    program = Program()
    x = program.embed(program.matrix("e", 50, 8))
    q = program.linear(x, program.matrix("q", heads * head_dim, 8))
    k = program.linear(x, program.matrix("k", kv_heads * head_dim, 8))
    v = program.linear(x, program.matrix("v", kv_heads * head_dim, 8))
    mixed = program.select(program.attention(q, k, v, layer=0, heads=heads, kv_heads=kv_heads))
    program.finish(program.linear(mixed, program.matrix("out", heads * head_dim, heads * head_dim)))
    weights = {name: normal(w.rows, w.columns) for name, w in program.weights.items()}
    return program, {**weights, "out": np.eye(heads * head_dim, dtype=np.float32)}


def ids(*values):
    return np.array(values, np.int32)


@pytest.mark.parametrize("kv_heads", [4, 2, 1])
def test_attention_is_causal_and_grouped(kv_heads):
    program, weights = attention_model(4, kv_heads, 8)
    interpreter = Interpreter(program, weights, blocks=4)
    tokens = RNG.integers(0, 50, 20).astype(np.int32)
    got = interpreter.forward(tokens, ids(0, 20), ids(0), ids(3, 1)[None], np.arange(20, dtype=np.int32))
    x = weights["e"][tokens]
    q, k, v = ((x @ weights[name].T).reshape(20, -1, 8).transpose(1, 0, 2) for name in "qkv")
    expected = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(np.ascontiguousarray(part))[None] for part in (q, k, v)), is_causal=True, enable_gqa=True
    )
    close(got, expected[0].numpy().transpose(1, 0, 2).reshape(20, -1))


def test_steps_over_a_paged_cache_are_one_pass():
    program, weights = attention_model(4, 2, 8)
    tokens = RNG.integers(0, 50, 40).astype(np.int32)
    table = ids(5, 2, 0)[None]
    whole = Interpreter(program, weights, blocks=8).forward(tokens, ids(0, 40), ids(0), table, np.arange(40))
    stepwise = Interpreter(program, weights, blocks=8)
    parts = [
        stepwise.forward(tokens[a:b], ids(0, b - a), ids(a), table, np.arange(b - a))
        for a, b in ((0, 3), (3, 30), (30, 31), (31, 40))
    ]
    close(np.concatenate(parts), whole)


def test_sequences_of_a_batch_do_not_meet():
    program, weights = attention_model(4, 2, 8)
    tokens = RNG.integers(0, 50, 30).astype(np.int32)
    together = Interpreter(program, weights, blocks=8)
    tables = np.array([[0, -1], [1, 2]], np.int32)
    got = together.forward(tokens, ids(0, 10, 30), ids(0, 0), tables, np.arange(30))
    alone = Interpreter(program, weights, blocks=8)
    close(got[:10], alone.forward(tokens[:10], ids(0, 10), ids(0), tables[:1], np.arange(10)))
    close(got[10:], alone.forward(tokens[10:], ids(0, 20), ids(0), tables[1:], np.arange(20)))


def test_only_wanted_rows_have_logits():
    program, weights = attention_model(2, 2, 4)
    interpreter = Interpreter(program, weights, blocks=1)
    everything = interpreter.forward(ids(1, 2, 3), ids(0, 3), ids(0), ids(0)[None], ids(0, 1, 2))
    close(interpreter.forward(ids(1, 2, 3), ids(0, 3), ids(0), ids(0)[None], ids(2)), everything[2:])


def test_int8_groups_keep_the_largest_and_round_the_rest():
    x = np.zeros((2, 40), np.float32)
    x[0, :3] = [127, 1.4, -0.6]
    x[1, 39] = -5
    got = int8_groups(x)
    close(got[0, :3], [127, 1, -1], 1e-4)
    assert got[1, 39] == pytest.approx(-5)
    assert np.count_nonzero(got) == 4


def test_cache_rounds_to_its_dtype():
    program, weights = attention_model(1, 1, 8)
    tokens = RNG.integers(0, 50, 16).astype(np.int32)
    arguments = tokens, ids(0, 16), ids(0), ids(0)[None], np.arange(16, dtype=np.int32)
    exact = Interpreter(program, weights, blocks=1).forward(*arguments)
    rounded = Interpreter(program, weights, blocks=1, cache_dtype=np.float16).forward(*arguments)
    assert 0 < np.abs(exact - rounded).max() < 1e-2


def test_rope_config_reaches_the_op():
    program = Program()
    x = program.embed(program.matrix("e", 4, 8))
    program.rope(x, 1, RopeConfig(8, 5e5, "half", (1.0, 2.0, 3.0, 4.0)))
    assert program.ops[1] == Rope(1, 0, 1, 8, 8, 5e5, "half", (1.0, 2.0, 3.0, 4.0))
