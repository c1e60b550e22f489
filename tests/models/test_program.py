import pytest

from myna.models.config import RopeConfig
from myna.models.program import Attend, Linear, Program, operands


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
    }  # fmt: skip
    assert ops[-1] == {"op": "output", "x": 3}


def test_operands_in_order():
    assert operands(Attend(9, 1, 2, 3, 0, 4, 2, 8, 1.0)) == (1, 2, 3)
    assert operands(Linear(9, 5, "w", None)) == (5,)


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
    with pytest.raises(ValueError, match="unknown kind 'swish'"):
        program.activation(x, "swish")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown kind 'batch'"):
        program.norm(x, "v", "batch", 1e-5)  # type: ignore[arg-type]


def test_a_program_ends_in_selected_rows():
    program = Program()
    x = program.embed(program.matrix("embedding", 10, 4))
    with pytest.raises(ValueError, match="ends in selected rows"):
        program.finish(program.linear(x, "embedding"))


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
