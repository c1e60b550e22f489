"""Each op of the interpreter against PyTorch or the formula written out another way."""

from dataclasses import replace

import numpy as np
import pytest

from myna.models.config import RopeConfig
from myna.models.interpreter import Interpreter, activate, int8_groups, normalise, rope, softcap
from myna.models.program import Attend, Program, Rope

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


def test_rope_scale_stretches_what_turns():
    x, positions = normal(3, 16), np.array([0, 3, 9])
    op = Rope(1, 0, heads=2, head_dim=8, dims=6, base=1e4, layout="half", factors=())
    plain, scaled = (rope(x, positions, replace(op, scale=scale)).reshape(3, 2, 8) for scale in (1.0, 1.5))
    close(scaled[..., :6], 1.5 * plain[..., :6])
    close(scaled[..., 6:], plain[..., 6:])


def test_softcap_bends():
    x = np.array([-1000, -1, 0, 0.001, 50], np.float32)
    close(softcap(x, 30.0), 30 * torch.tanh(torch.from_numpy(x) / 30))


def attention_model(heads, kv_heads, head_dim, **options):
    """Attention straight on embeddings of q, k and v: token t has row t."""
    program = Program()
    x = program.embed(program.matrix("e", 50, 8))
    q = program.linear(x, program.matrix("q", heads * head_dim, 8))
    k = program.linear(x, program.matrix("k", kv_heads * head_dim, 8))
    v = program.linear(x, program.matrix("v", kv_heads * head_dim, 8))
    mixed = program.select(program.attention(q, k, v, layer=0, heads=heads, kv_heads=kv_heads, **options))
    program.finish(mixed)
    return program, {name: normal(w.rows, w.columns) for name, w in program.weights.items()}


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


def naive_attention(weights, tokens, heads, *, window=0, softcap=0.0, slopes=None, sinks=None, causal=True):
    """One query and key at a time, as the papers write it, every head with keys of its own."""
    x = weights["e"][tokens].astype(np.float64)
    q, k, v = ((x @ weights[name].T).reshape(len(tokens), heads, -1) for name in "qkv")
    out = np.zeros_like(q)
    for head in range(heads):
        for i in range(len(tokens)):
            seen = [j for j in range(len(tokens)) if (j <= i or not causal) and (not window or j > i - window)]
            scores = np.array([q[i, head] @ k[j, head] / np.sqrt(q.shape[-1]) for j in seen])
            if softcap:
                scores = softcap * np.tanh(scores / softcap)
            if slopes is not None:
                scores = scores + slopes[head] * (np.array(seen) - i)
            rest = 0 if sinks is None else np.exp(sinks[head])
            shares = np.exp(scores) / (np.exp(scores).sum() + rest)
            out[i, head] = shares @ v[seen, head]
    return out.reshape(len(tokens), -1).astype(np.float32)


@pytest.mark.parametrize(
    "options",
    [
        {"window": 5}, {"window": 1}, {"window": 100}, {"softcap": 0.5}, {"slopes": (0.5, 0.25, 0.0)},
        {"causal": False}, {"sinks": (1.0, -2.0, 30.0)},
        {"window": 7, "softcap": 2.0, "slopes": (1.0, 0.1, 0.01), "sinks": (0.0, 1.0, 2.0)},
        {"causal": False, "slopes": (0.5, 0.25, -0.125)},
    ],
)  # fmt: skip
def test_attention_options(options):
    sinks = options.get("sinks")
    program, weights = attention_model(3, 3, 4)
    if sinks is not None:
        program.vector("sinks", 3)
        weights["sinks"] = np.array(sinks, np.float32)
    attend = next(i for i, op in enumerate(program.ops) if isinstance(op, Attend))
    program.ops[attend] = replace(program.ops[attend], **{**options, "sinks": "sinks" if sinks else None})
    tokens = RNG.integers(0, 50, 12).astype(np.int32)
    got = Interpreter(program, weights, blocks=1).forward(tokens, ids(0, 12), ids(0), ids(0)[None], np.arange(12))
    close(got, naive_attention(weights, tokens, 3, **options))


def test_a_window_looks_back_into_the_cache():
    program, weights = attention_model(3, 3, 4, window=5)
    tokens = RNG.integers(0, 50, 12).astype(np.int32)
    interpreter = Interpreter(program, weights, blocks=1)
    interpreter.forward(tokens[:9], ids(0, 9), ids(0), ids(0)[None], ids())
    got = interpreter.forward(tokens[9:], ids(0, 3), ids(9), ids(0)[None], ids(0, 1, 2))
    close(got, naive_attention(weights, tokens, 3, window=5)[9:])


def test_grouped_heads_have_their_own_slopes_and_sinks():
    """Four heads on two keys: what head 3 sees must not depend on the others' slopes."""
    tokens, slopes = RNG.integers(0, 50, 12).astype(np.int32), (0.1, 0.2, 0.3, 0.4)
    program, weights = attention_model(4, 2, 4, slopes=slopes)
    arguments = tokens, ids(0, 12), ids(0), ids(0)[None], np.arange(12)
    got = Interpreter(program, weights, blocks=1).forward(*arguments)
    repeated = {
        name: rows.reshape(2, 4, 8).repeat(2, 0).reshape(16, 8) for name, rows in weights.items() if name in "kv"
    }
    close(got, naive_attention({**weights, **repeated}, tokens, 4, slopes=slopes))


def test_positions_have_embeddings_too():
    program = Program()
    words = program.embed(program.matrix("words", 10, 4), scale=2.5)
    places = program.embed(program.matrix("places", 40, 4), source="positions")
    program.finish(program.select(program.add(words, places)))
    weights = {name: normal(w.rows, w.columns) for name, w in program.weights.items()}
    interpreter = Interpreter(program, weights, blocks=1)
    got = interpreter.forward(ids(7, 8, 9), ids(0, 2, 3), ids(30, 0), ids()[None], ids(0, 1, 2))
    close(got, 2.5 * weights["words"][[7, 8, 9]] + weights["places"][[30, 31, 0]])


def test_heads_are_normalised_apart():
    program = Program()
    x = program.embed(program.matrix("e", 10, 12))
    program.finish(program.select(program.norm(x, program.vector("w", 4), "rms", 1e-6, heads=3)))
    weights = {"e": normal(10, 12), "w": normal(4)}
    got = Interpreter(program, weights, blocks=1).forward(ids(3), ids(0, 1), ids(0), ids()[None], ids(0))
    t = torch.from_numpy
    close(
        got, torch.nn.functional.rms_norm(t(weights["e"][3].reshape(3, 4)), (4,), t(weights["w"]), 1e-6).reshape(1, 12)
    )


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("clamped", [True, False])
def test_experts(renormalise, clamped):
    """Against one token and expert at a time."""
    program = Program()
    x = program.embed(program.matrix("e", 20, 6))
    router = program.linear(x, program.matrix("router", 4, 6))
    names = program.matrix("gate", 20, 6), program.matrix("up", 20, 6), program.matrix("down", 24, 5)
    biases = {
        f"{name}_bias": program.vector(f"{name}.bias", program.weights[name].rows) for name in ("gate", "up", "down")
    }
    kind = {"activation": "clamped_silu", "alpha": 1.7, "limit": 0.8} if clamped else {"activation": "silu"}
    out = program.mix_experts(x, router, *names, chosen=2, renormalise=renormalise, **biases, **kind)
    program.finish(program.select(out))
    weights = {
        name: normal(*((w.columns,) if w.kind == "vector" else (w.rows, w.columns)))
        for name, w in program.weights.items()
    }
    got = Interpreter(program, weights, blocks=1).forward(
        np.arange(20, dtype=np.int32), ids(0, 20), ids(0), ids()[None], np.arange(20)
    )
    for token in range(20):
        row = torch.from_numpy(weights["e"][token])
        chances = torch.softmax(torch.from_numpy(weights["router"]) @ row, 0)
        shares, chosen = torch.topk(chances, 2)
        if renormalise:
            shares = shares / shares.sum()
        expected = torch.zeros(6)
        for share, e in zip(shares, chosen.tolist(), strict=True):
            part = {
                name: torch.from_numpy(rows).chunk(4)[e]
                for name, rows in weights.items()
                if name not in ("e", "router")
            }
            gate, up = part["gate"] @ row + part["gate.bias"], part["up"] @ row + part["up.bias"]
            if clamped:
                gate, up = gate.clamp(max=0.8), up.clamp(-0.8, 0.8)
                hidden = gate * torch.sigmoid(1.7 * gate) * (up + 1)
            else:
                hidden = torch.nn.functional.silu(gate) * up
            expected += share * (part["down"] @ hidden + part["down.bias"])
        close(got[token], expected, 1e-4)


def test_equal_router_logits_go_to_the_first_experts():
    program = Program()
    x = program.embed(program.matrix("e", 1, 1))
    router = program.linear(x, program.matrix("router", 4, 1))
    names = program.matrix("gate", 4, 1), program.matrix("up", 4, 1), program.matrix("down", 4, 1)
    out = program.mix_experts(x, router, *names, chosen=2, renormalise=True, activation="silu")
    program.finish(program.select(out))
    ones = {name: np.ones((w.rows, w.columns), np.float32) for name, w in program.weights.items()}
    weights = {**ones, "down": np.array([[1], [10], [100], [1000]], np.float32)}
    got = Interpreter(program, weights, blocks=1).forward(ids(0), ids(0, 1), ids(0), ids()[None], ids(0))
    close(got, [[11 / 2 * activate(np.ones(1, np.float32), "silu")[0]]])


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
