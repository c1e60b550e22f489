"""Mistaken arguments raise, with the value, and leave the executor usable: none reaches memory."""

import numpy as np
import pytest

from myna import _native
from myna.models.decoder import build_decoder
from myna.models.program import Program
from tests.native.blocks import encode
from tests.native.models import INSTRUCTION_SETS, Model, batch, random_weights, tiny_config
from tests.native.test_sampling import executor_with, sample

PROGRAM = build_decoder(tiny_config())


def int32(*values):
    return np.array(values, np.int32)


@pytest.fixture(scope="module")
def model():
    return Model(PROGRAM, random_weights(PROGRAM), blocks=8)


GOOD = {
    "tokens": int32(1, 2, 3), "sequence_starts": int32(0, 2, 3), "context_lengths": int32(0, 0),
    "block_tables": np.array([[0], [1]], np.int32), "logit_rows": int32(0, 2),
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tokens", int32(1, 100, 3), "token 100 at index 1"),
        ("tokens", int32(1, -1, 3), "token -1"),
        ("tokens", int32(), "no tokens"),
        ("tokens", np.zeros(200_000, np.int32), "200000 tokens, more than"),
        ("sequence_starts", int32(0, 3), "sequence_starts has 2"),
        ("sequence_starts", int32(1, 2, 3), "from 0"),
        ("sequence_starts", int32(0, 2, 4), "from 0"),
        ("sequence_starts", int32(0, 3, 3), "increase"),
        ("sequence_starts", int32(0, 7, 3), "increase"),
        ("context_lengths", int32(0, -1), "negative"),
        ("context_lengths", int32(0, 16), "needs 2 blocks"),
        ("context_lengths", int32(2**31 - 2, 0), "blocks"),
        ("block_tables", np.array([[0], [8]], np.int32), r"block_tables\[1, 0\] = 8"),
        ("block_tables", np.array([[0], [-1]], np.int32), "-1"),
        ("block_tables", np.array([[0]], np.int32), "1 rows"),
        ("block_tables", np.zeros((2, 0), np.int32), "needs 1 blocks"),
        ("logit_rows", int32(0, 3), "logit row 3"),
        ("logit_rows", int32(-1), "logit row -1"),
        ("logit_rows", int32(2, 1), "increase"),
        ("logit_rows", int32(1, 1), "increase"),
    ],
)
def test_batches(model, field, value, message):
    with pytest.raises(ValueError, match=message):
        model.executor.forward(**{**GOOD, field: value})
    model.executor.forward(**GOOD)
    assert np.isfinite(model.executor.logits()).all()


@pytest.mark.parametrize(
    "value", [np.array([1, 2, 3]), np.array([1.0, 2, 3]), [1, 2, 3], None, int32(1, 2, 3, 4, 5, 6)[::2]]
)
def test_arrays_of_another_type_are_not_converted(model, value):
    with pytest.raises(TypeError):
        model.executor.forward(**{**GOOD, "tokens": value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": -1}, "temperature"), ({"temperature": np.nan}, "temperature"),
        ({"top_k": -1}, "top_k"), ({"top_p": 0}, "top_p"), ({"top_p": 1.1}, "top_p"), ({"top_p": np.nan}, "top_p"),
        ({"min_p": -0.1}, "min_p"), ({"min_p": 2}, "min_p"), ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"presence_penalty": np.nan}, "presence_penalty"), ({"frequency_penalty": np.inf}, "frequency_penalty"),
        ({"rows": [2]}, "rows"), ({"rows": [-1]}, "rows"), ({"history": [[50]]}, "history"),
        ({"history": [[1]], "prompt_lengths": [2]}, "prompt_lengths"), ({"prompt_lengths": [-1]}, "prompt_lengths"),
        ({"bias": [{50: 1.0}]}, "bias"), ({"bias": [{1: np.nan}]}, "bias"), ({"top_logprobs": 51}, "top_logprobs"),
        ({"mask": np.zeros((1, 1), np.uint32)}, "mask"), ({"mask": np.zeros((2, 2), np.uint32)}, "mask"),
    ],
)  # fmt: skip
def test_sampling(changes, message):
    executor = executor_with(np.zeros((2, 50), np.float32))
    with pytest.raises(ValueError, match=message):
        sample(executor, **changes)
    with pytest.raises(ValueError, match="targets"):
        executor.score(int32(0), int32(50), 0)


def fresh():
    return _native.Executor(PROGRAM.to_ops(), 1, INSTRUCTION_SETS[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "layers.9.attention.q"}, "layers.9.attention.q"),
        ({"rows": 63}, "63 x 64"),
        ({"rows": -1}, "-1"),
        ({"columns": 2**31 - 1}, "2147483647"),
        ({"source_type": "Q9"}, "Q9"),
        ({"target": "w3"}, "w3"),
        ({"source_type": "Q4_1"}, "bytes"),
        ({"data": b"short"}, "5 bytes instead of 16384"),
        ({"data": np.full((64, 64), np.nan, np.float32)}, "layers.0.attention.q holds a value that is not finite"),
        ({"data": np.full((64, 64), np.inf, np.float32), "target": "w4"}, "not finite"),
        ({"data": np.full((64, 64), 3e38, np.float32), "target": "w8"}, "not finite"),
        ({"name": "layers.0.mlp_norm", "rows": 1, "data": bytes(256), "target": "w8"}, "must be kept as f32"),
    ],
)
def test_weights(change, message):
    good = {
        "name": "layers.0.attention.q", "data": np.zeros((64, 64), np.float32), "source_type": "F32", "rows": 64,
        "columns": 64, "target": "f32",
    }  # fmt: skip
    executor = fresh()
    with pytest.raises(ValueError, match=message):
        executor.set_weight(**{**good, **change})
    executor.set_weight(**good)
    with pytest.raises(ValueError, match="set before"):
        executor.set_weight(**good)


@pytest.mark.parametrize("source", ["Q4_0", "Q4_1", "Q8_0"])
def test_scales_that_are_not_finite(source):
    data = encode(source, np.ones((64, 64), np.float32))
    data[40, :2] = [0x00, 0x7C]  # infinity in float16
    with pytest.raises(ValueError, match=r"layers\.0\.attention\.q holds a value that is not finite"):
        fresh().set_weight("layers.0.attention.q", data, source, 64, 64, "w8" if source == "Q8_0" else "w4")


def test_buffers_that_are_no_plain_bytes():
    for data in (None, 3, np.zeros((64, 128), np.float32)[:, ::2]):
        with pytest.raises((TypeError, ValueError, BufferError)):
            fresh().set_weight("layers.0.attention.q", data, "F32", 64, 64, "f32")


def test_order_of_calls(model):
    executor = fresh()
    with pytest.raises(ValueError, match="before seal"):
        executor.forward(**GOOD)
    with pytest.raises(ValueError, match="weight embedding is missing"):
        executor.seal()
    with pytest.raises(ValueError, match="after seal"):
        model.executor.set_weight("embedding", b"", "F32", 100, 64, "f32")
    for arguments in ((0, 16, "float16"), (4, 15, "float16"), (4, 0, "float16"), (4, 16, "int3")):
        with pytest.raises(ValueError, match=r"blocks|block_size|dtype"):
            executor.allocate_cache(*arguments)
    with pytest.raises((ValueError, MemoryError)):
        executor.allocate_cache(2**31 - 1, 65536, "float32")


def test_threads_and_instruction_set():
    for threads in (0, -1, 100000):
        with pytest.raises(ValueError, match="threads"):
            _native.Executor(PROGRAM.to_ops(), threads, INSTRUCTION_SETS[0])
    with pytest.raises(ValueError, match="mmx is not available"):
        _native.Executor(PROGRAM.to_ops(), 1, "mmx")
    for arguments in ((0, 1, 1), (1, 0, 1), (1, 1, 0)):
        with pytest.raises(ValueError, match=r"positive|not in"):
            _native.read_bandwidth(*arguments)


def changed(index, **fields):
    ops = PROGRAM.to_ops()
    start = len(PROGRAM.weights)
    ops[start + index] = {**ops[start + index], **fields}
    return ops


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ([], "no output"),
        ([{"op": "output", "x": 0}], "no earlier value"),
        ([{}], "field op is missing"),
        (PROGRAM.to_ops()[:-1], "no output"),
        (changed(0, weight="gone"), "weight gone is not declared"),
        (changed(0, weight="output_norm"), "not a matrix"),
        (changed(1, kind="batch"), "unknown norm batch"),
        (changed(1, epsilon=float("nan")), "epsilon is not finite"),
        (changed(2, x=99), "x = 99 is no earlier value"),
        (changed(2, x=-1), "out of range"),
        (changed(2, x="1"), "not an integer"),
        (changed(2, out=7), "numbered in order"),
        (changed(2, weight="layers.0.mlp.down"), "sizes 96 and 64 differ"),
        (changed(5, heads=3), "heads"),
        (changed(5, dims=99), "dims = 99"),
        (changed(5, base=0), "base"),
        (changed(5, factors=(1.0,)), "factor"),
        (changed(7, kv_heads=3), "multiple of kv_heads"),
        (changed(7, head_dim=2**31), "head_dim"),
        (changed(5, op="fly"), "unknown op"),
    ],
)
def test_programs(ops, message):
    with pytest.raises(ValueError, match=message):
        _native.Executor(ops, 1, INSTRUCTION_SETS[0])


def mixture_ops(**fields):
    """A Program whose third op from the end mixes experts."""
    program = Program()
    x = program.embed(program.matrix("e", 8, 8))
    names = program.matrix("gate", 12, 8), program.matrix("up", 12, 8), program.matrix("down", 24, 4)
    router = program.linear(x, program.matrix("router", 3, 8))
    x = program.mix_experts(x, router, *names, chosen=2, renormalise=True, activation="silu")
    x = program.norm(x, program.vector("norm", 4), "rms", 1e-5, heads=2)
    program.finish(program.softcap(program.select(x), 2.0))
    ops = program.to_ops()
    for op in ops:
        for kind, changes in fields.items():
            if op["op"] == kind:
                op.update(changes)
    return ops


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        (changed(0, source="types"), "unknown source types"),
        (changed(0, scale=float("inf")), "scale is not finite"),
        (changed(1, heads=3), "heads do not divide"),
        (changed(1, heads=0), "heads = 0"),
        (changed(5, scale=float("nan")), "scale is not finite"),
        (changed(7, window=-1), "window = -1"),
        (changed(7, window=4, causal=False), "window needs causal"),
        (changed(7, causal=2), "causal = 2"),
        (changed(7, softcap=-1.0), "softcap is negative"),
        (changed(7, slopes=(1.0,)), "one slope a head"),
        (changed(7, slopes=(1.0, float("nan"), 1.0, 1.0)), "slope is not finite"),
        (changed(7, sinks="output_norm"), "sizes 64 and 4 differ"),
        (changed(7, sinks="embedding"), "not a vector"),
        (mixture_ops(softcap={"cap": 0.0}), "cap is not positive"),
        (mixture_ops(mixexperts={"experts": 4}), "sizes 3 and 4 differ"),
        (mixture_ops(mixexperts={"experts": 2**40}), "out of range"),
        (mixture_ops(mixexperts={"chosen": 4}), "chosen = 4"),
        (mixture_ops(mixexperts={"chosen": 0}), "chosen = 0"),
        (mixture_ops(mixexperts={"gate": "e"}), "weight e is cut into 3 parts here and into 1"),
        (mixture_ops(mixexperts={"up": "down"}), "sizes 12 and 24 differ"),
        (mixture_ops(mixexperts={"down": "gate"}), "sizes 8 and 4 differ"),
        (mixture_ops(mixexperts={"gate_bias": "norm"}), "sizes 4 and 12 differ"),
        (mixture_ops(mixexperts={"activation": "gelu"}), "unknown kind gelu"),
        (mixture_ops(mixexperts={"activation": "clamped_silu"}), "alpha or limit is not positive"),
        (mixture_ops(mixexperts={"router": 5}), "no earlier value"),
        (mixture_ops(weight={"kind": "matrix"}), "not a vector"),
    ],
)
def test_programs_of_other_families(ops, message):
    with pytest.raises(ValueError, match=message):
        _native.Executor(ops, 1, INSTRUCTION_SETS[0])


def test_good_programs_of_other_families_are_taken():
    """What the cases above change is right as it is."""
    _native.Executor(mixture_ops(), 1, INSTRUCTION_SETS[0])


def test_positions_that_the_model_has_not():
    program = Program()
    words = program.embed(program.matrix("words", 10, 8))
    places = program.embed(program.matrix("places", 20, 8), source="positions")
    program.finish(program.select(program.add(words, places)))
    model = Model(program, random_weights(program), blocks=4)
    with pytest.raises(ValueError, match="sequence 0 of 21 tokens is longer than the model's 20 positions"):
        model.run(batch([([1], 20, [0, 1])]))
    with pytest.raises(ValueError, match="token 10 at index 0"):
        model.run(batch([([10], 0, [0])]))
    assert model.run(batch([([9], 19, [0, 1])])).shape == (1, 8)


def test_cache_layers_are_not_shared():
    program = Program()
    x = program.embed(program.matrix("e", 8, 8))
    x = program.attention(x, x, x, layer=0, heads=1, kv_heads=1)
    x = program.attention(x, x, x, layer=0, heads=1, kv_heads=1)
    program.finish(program.linear(program.select(x), "e"))
    with pytest.raises(ValueError, match="cache layer 0 is used twice"):
        _native.Executor(program.to_ops(), 1, INSTRUCTION_SETS[0])


def test_batch_helper_is_not_the_cause():
    """The good values above are good: a mistake in them would make the rest meaningless."""
    assert Model(PROGRAM, random_weights(PROGRAM)).run(batch([([1, 2], 0, [0]), ([3], 0, [1])])).shape == (3, 100)
