"""Mixtures of experts: against the interpreter, the same bits in every batch, and only the chosen are read."""

import numpy as np
import pytest

from myna import _native
from myna.models.program import Program
from tests.native.models import INSTRUCTION_SETS, Model, batch, error, random_weights
from tests.quantised import random_rows, values

VOCAB = 40


def mixture(*, experts=6, chosen=2, width=64, hidden=96, renormalise=True, clamped=False, biases=False):
    """Two layers of nothing but experts."""
    program = Program()
    x = program.embed(program.matrix("embedding", VOCAB, width))
    for i in range(2):
        normed = program.norm(x, program.vector(f"{i}.norm", width), "rms", 1e-5)
        liking = program.vector(f"{i}.router.bias", experts)
        router = program.linear(normed, program.matrix(f"{i}.router", experts, width), liking)
        shapes = {"gate": (experts * hidden, width), "up": (experts * hidden, width), "down": (experts * width, hidden)}
        names = [program.matrix(f"{i}.{name}", *shape) for name, shape in shapes.items()]
        vectors = {
            f"{name}_bias": program.vector(f"{i}.{name}.bias", shape[0]) for name, shape in shapes.items() if biases
        }
        kind = {"activation": "clamped_silu", "alpha": 1.702, "limit": 1.5} if clamped else {"activation": "silu"}
        mixed = program.mix_experts(normed, router, *names, chosen=chosen, renormalise=renormalise, **vectors, **kind)
        x = program.add(x, mixed)
    return program.finish(program.linear(program.select(x), "embedding"))


CASES = {
    "two of six": {},
    "all": {"experts": 3, "chosen": 3},
    "one": {"experts": 1, "chosen": 1},
    "shares of all": {"renormalise": False},
    "clamped with biases": {"clamped": True, "biases": True, "chosen": 4},
    "awkward sizes": {"experts": 5, "chosen": 3, "width": 52, "hidden": 37, "biases": True},
    "many": {"experts": 40, "chosen": 8, "hidden": 16},
}


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", CASES)
def test_experts(name, instruction_set):
    program = mixture(**CASES[name])
    model = Model(program, random_weights(program), instruction_set=instruction_set)
    rng = np.random.default_rng(1)
    for count in (1, 2, 3, 17, 300):
        step = batch([(rng.integers(0, VOCAB, count), 0, range(20))])
        assert error(model.run(step), model.expect(step)) < 1e-5


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", ["w4", "w4s", "w8", "bf16"])
def test_packed_experts(target, instruction_set):
    program = mixture(clamped=True, biases=True)
    model = Model(program, random_weights(program), target=target, instruction_set=instruction_set)
    step = batch([(range(VOCAB), 0, range(4))])
    assert error(model.run(step), model.expect(step)) < (1e-5 if target == "bf16" else 0.03)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", ["w4", "w8", "f32"])
def test_same_bits_in_every_batch(target, instruction_set):
    program = mixture(chosen=3, biases=True)
    weights = random_weights(program)
    model = Model(program, weights, target=target, instruction_set=instruction_set)
    tokens = np.random.default_rng(5).integers(0, VOCAB, 300)
    whole = model.run(batch([(tokens, 0, range(20))]))
    for size in (1, 2, 7, 150):
        parts = [model.run(batch([(tokens[i : i + size], 0, range(20))])) for i in range(0, 300, size)[:40]]
        np.testing.assert_array_equal(np.concatenate(parts), whole[: size * len(parts)])
    for threads in (1, 5):
        again = Model(program, weights, target=target, instruction_set=instruction_set, threads=threads)
        np.testing.assert_array_equal(again.run(batch([(tokens, 0, range(20))])), whole)
        np.testing.assert_array_equal(again.run(batch([(tokens[:1], 0, [0])])), whole[:1])


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_experts_that_nobody_chose_are_not_used(instruction_set):
    """Expert 4 gives infinities, and the router never likes it."""
    program = mixture(experts=6, chosen=2)
    weights = random_weights(program)
    for i in range(2):
        weights[f"{i}.router.bias"][4] = -1e9
        for name in ("gate", "up", "down"):
            np.split(weights[f"{i}.{name}"], 6)[4][:] = 3e38
    model = Model(program, weights, instruction_set=instruction_set)
    for count in (1, 30):
        assert np.isfinite(model.run(batch([(range(count), 0, [0, 1])]))).all()


def test_a_token_reads_the_share_of_the_chosen():
    for chosen in (1, 3):
        program = mixture(experts=6, chosen=chosen)
        model = Model(program, random_weights(program), target="w8")
        experts = 2 * 3 * 6 * 64 * 96 * 17 // 16  # bytes, with a float16 scale for 32
        rest = model.executor.weight_bytes - experts
        read = model.executor.bytes_per_token - experts * chosen // 6
        assert rest <= read <= rest + 100


def test_experts_of_mxfp4_keep_their_values():
    """As gpt-oss ships them."""
    program = mixture(experts=4, chosen=2, width=64, hidden=64)
    weights = random_weights(program)
    kept = dict(weights)
    executor = _native.Executor(program.to_ops(), 2, INSTRUCTION_SETS[0])
    reference = Model(program, weights)
    for name, weight in program.weights.items():
        source, target, data = "F32", "f32", weights[name]
        if name.endswith(("gate", "up", "down")):
            source, target = "MXFP4", "w8"
            data = random_rows("MXFP4", weight.rows, weight.columns, np.random.default_rng(7), largest=0.2)
            kept[name] = values("MXFP4", data)
        executor.set_weight(name, data, source, weight.rows, weight.columns, target)
    executor.seal()
    executor.allocate_cache(4, 16, "float32")
    reference = Model(program, kept)
    step = batch([(range(VOCAB), 0, range(4))])
    executor.forward(*step.arrays())
    assert error(executor.logits(), reference.run(step)) < 0.03
