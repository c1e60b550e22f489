import pytest

from myna.models.config import RopeConfig
from myna.models.program import Attend, Linear, Program, operands, weights


def small() -> Program:
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 4))
    x = program.norm(x, program.vector("norm", 4), "rms", 1e-5)
    return program.finish(program.linear(program.select(x), "embedding"))


def test_prints_each_op_on_a_line():
    assert str(small()).splitlines() == [
        "%0 [tokens, 4] = Embed(weight='embedding')",
        "%1 [tokens, 4] = Normalise(%0, weight='norm', kind='rms', epsilon=1e-05)",
        "%2 [logits, 4] = Select(%1)",
        "%3 [logits, 10] = Linear(%2, weight='embedding')",
        "logits = %3",
    ]


def test_to_ops_is_plain_data():
    ops = small().to_ops()
    assert ops[0] == {"op": "weight", "name": "embedding", "rows": 10, "columns": 4, "kind": "matrix"}
    assert ops[3] == {
        "op": "normalise", "out": 1, "x": 0, "weight": "norm", "bias": None, "kind": "rms", "epsilon": 1e-5,
        "heads": 1,
    }  # fmt: skip
    assert ops[-1] == {"op": "output", "x": 3}


def test_operands_in_order():
    assert operands(Attend(9, 1, 2, 3, 0, 4, 2, 8, 1.0)) == (1, 2, 3)
    assert operands(Linear(9, 5, "w", None)) == (5,)


def test_fields_with_their_default_are_not_printed():
    program = Program()
    x = program.embed(program.matrix("e", 9, 8), source="positions")
    program.attention(x, x, x, layer=0, heads=2, kv_heads=2, window=4, sinks=program.vector("sinks", 2))
    assert str(program).splitlines() == [
        "%0 [tokens, 8] = Embed(weight='e', source='positions')",
        "%1 [tokens, 8] = Attend(%0, %0, %0, layer=0, heads=2, kv_heads=2, head_dim=4, scale=0.5, window=4, "
        "sinks='sinks')",
    ]


def experts(program, x, router, **changes):
    """A mixture of 3 experts, 6 wide, over 12 elements."""
    parts = {"gate": (18, 12), "up": (18, 12), "down": (36, 6), **changes.pop("shapes", {})}
    names = [program.matrix(name, *shape) for name, shape in parts.items()]
    return program.mix_experts(x, router, *names, **{"chosen": 2, "renormalise": True, "activation": "silu", **changes})


def test_what_experts_read():
    program = Program()
    x = program.embed(program.matrix("e", 10, 12))
    router = program.linear(x, program.matrix("router", 3, 12))
    out = experts(program, x, router, down_bias=program.vector("bias", 36))
    assert out.size == 12
    assert operands(program.ops[-1]) == (x.id, router.id)
    assert weights(program.ops[-1]) == ("gate", "up", "down", "bias")
    assert program.finish(program.select(out)).to_ops()[-2]["op"] == "select"
    assert program.to_ops()[-3]["op"] == "mixexperts"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shapes": {"gate": (17, 12)}}, "gate: 17 rows are not 3 experts"),
        ({"shapes": {"up": (36, 12)}}, "gate and up: sizes 18 and 36 differ"),
        ({"shapes": {"gate": (18, 11)}}, "by gate: sizes 12 and 11 differ"),
        ({"shapes": {"down": (36, 7)}}, "by down: sizes 6 and 7 differ"),
        ({"chosen": 0}, "0 of 3 chosen"),
        ({"chosen": 4}, "4 of 3 chosen"),
        ({"activation": "swish"}, "unknown kind 'swish'"),
        ({"activation": "clamped_silu", "limit": 7.0}, "alpha=0.0 and limit=7.0 not positive"),
        ({"gate_bias": "v"}, "bias v: sizes 18 and 12 differ"),
    ],
)
def test_experts_are_checked(changes, message):
    program = Program()
    x = program.embed(program.matrix("e", 10, 12))
    program.vector("v", 12)
    with pytest.raises(ValueError, match=message):
        experts(program, x, program.linear(x, program.matrix("router", 3, 12)), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": -1}, "window = -1"),
        ({"window": 4, "causal": False}, "window of 4"),
        ({"softcap": -1.0}, "softcap = -1"),
        ({"slopes": (1.0, 2.0)}, "2 slopes for 3 heads"),
        ({"sinks": "v"}, "sinks v: sizes 3 and 12 differ"),
    ],
)
def test_attention_is_checked(changes, message):
    program = Program()
    x = program.embed(program.matrix("e", 10, 12))
    program.vector("v", 12)
    with pytest.raises(ValueError, match=message):
        program.attention(x, x, x, layer=0, heads=3, kv_heads=3, **changes)


def test_one_name_one_shape():
    program = Program()
    assert program.matrix("w", 3, 4) == program.matrix("w", 3, 4)
    with pytest.raises(ValueError, match="weight w declared as"):
        program.matrix("w", 4, 3)
    with pytest.raises(ValueError, match="is empty"):
        program.matrix("none", 0, 3)


def test_shapes_are_checked_where_they_are_used():
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 12))
    program.vector("v", 12)
    with pytest.raises(ValueError, match="linear by w: sizes 12 and 5 differ"):
        program.linear(x, program.matrix("w", 3, 5))
    with pytest.raises(ValueError, match="bias b: sizes 12 and 3 differ"):
        program.linear(x, program.matrix("square", 12, 12), program.vector("b", 3))
    with pytest.raises(ValueError, match="weight nothing is not declared"):
        program.linear(x, "nothing")
    with pytest.raises(ValueError, match="weight v is not a matrix"):
        program.linear(x, "v")
    with pytest.raises(ValueError, match="12 elements are not 5 equal heads"):
        program.rope(x, 5, RopeConfig(2, 1e4, "half"))
    with pytest.raises(ValueError, match="rope over 3 of 4 dimensions"):
        program.rope(x, 3, RopeConfig(3, 1e4, "half"))
    with pytest.raises(ValueError, match="1 factors for 2 frequencies"):
        program.rope(x, 3, RopeConfig(4, 1e4, "half", (1.0,)))
    with pytest.raises(ValueError, match="4 heads over 3 KV heads"):
        program.attention(x, x, x, layer=0, heads=4, kv_heads=3)
    with pytest.raises(ValueError, match="attention keys: sizes 12 and 6 differ"):
        program.attention(x, x, x, layer=0, heads=4, kv_heads=2)
    with pytest.raises(ValueError, match="norm by v: 12 elements are not 5 equal heads"):
        program.norm(x, "v", "rms", 1e-5, heads=5)
    with pytest.raises(ValueError, match="norm by v: sizes 4 and 12 differ"):
        program.norm(x, "v", "rms", 1e-5, heads=3)
    with pytest.raises(ValueError, match="unknown source 'types'"):
        program.embed("embedding", source="types")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cap = 0 is not positive"):
        program.softcap(x, 0)
    with pytest.raises(ValueError, match="unknown kind 'swish'"):
        program.activation(x, "swish")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown kind 'batch'"):
        program.norm(x, "v", "batch", 1e-5)  # type: ignore[arg-type]


def test_a_program_ends_in_selected_rows():
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 4))
    with pytest.raises(ValueError, match="ends in selected rows"):
        program.finish(program.linear(x, "embedding"))


def test_a_program_may_end_in_any_op_on_selected_rows():
    program = Program()
    x = program.select(program.embed(program.matrix("embedding", 10, 4)))
    assert program.finish(program.softcap(program.linear(x, "embedding"), 30.0)).logits.size == 10


def test_token_rows_and_logit_rows_do_not_mix():
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 10))
    program.add(x, program.select(x))
    with pytest.raises(ValueError, match="mixes token rows and logit rows"):
        program.finish(program.linear(program.select(x), "embedding"))


def test_every_weight_is_used():
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 10))
    program.matrix("forgotten", 10, 10)
    with pytest.raises(ValueError, match="no op uses: forgotten"):
        program.finish(program.linear(program.select(x), "embedding"))
