"""Low-rank adapters: as if merged into the weights, beside rows that do not notice."""

import numpy as np
import pytest

from myna.models.decoder import build_decoder
from tests.native.models import INSTRUCTION_SETS, Model, batch, error, random_weights, tiny_config
from tests.native.test_experts import mixture

CONFIGS = {
    "gated": tiny_config(tied_embeddings=False),
    "plain": tiny_config(tied_embeddings=False, gated_mlp=False, activation="gelu_tanh", mlp_bias=True),
}
PROMPTS = ([3, 1, 4, 1, 5], list(range(30)), [9, 2], list(range(50, 90)))


def adapter_for(program, rank, seed=0, names=None):
    """Deltas of about the weights' own size."""
    rng = np.random.default_rng(seed)
    adapter = {}
    for name, weight in program.weights.items():
        if weight.kind == "matrix" and name != "embedding" and (names is None or name.endswith(names)):
            a = rng.standard_normal((rank, weight.columns)) / np.sqrt(weight.columns)
            b = rng.standard_normal((weight.rows, rank)) / np.sqrt(rank)
            adapter[name] = a.astype(np.float32), b.astype(np.float32), 0.5
    return adapter


def merged(weights, adapter):
    return {
        name: rows + adapter[name][2] * (adapter[name][1] @ adapter[name][0]) if name in adapter else rows
        for name, rows in weights.items()
    }


def forward(model, step, adapters):
    model.executor.forward(*step.arrays(), None if adapters is None else np.array(adapters, np.int32))
    return model.executor.logits()


def conversation():
    """Four prompts, then two more tokens of each, with the blocks they lie in."""
    blocks = [range(4 * i, 4 * i + 4) for i in range(4)]
    yield batch([(prompt, 0, table) for prompt, table in zip(PROMPTS, blocks, strict=True)])
    yield batch([([7, 8], len(prompt), table) for prompt, table in zip(PROMPTS, blocks, strict=True)])


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("name", CONFIGS)
def test_each_sequence_has_its_own_model(name, instruction_set):
    program = build_decoder(CONFIGS[name])
    weights = random_weights(program)
    model = Model(program, weights, instruction_set=instruction_set)
    slots = {0: adapter_for(program, 8, 1), 5: adapter_for(program, 40, 2, ("q", "v", "down"))}
    for slot, adapter in slots.items():
        model.executor.set_adapter(slot, adapter)
    references = {-1: model, **{slot: Model(program, merged(weights, adapter)) for slot, adapter in slots.items()}}
    used = (5, -1, 0, 5)
    for step in conversation():
        got = forward(model, step, used)
        for s, slot in enumerate(used):
            rows = slice(step.starts[s], step.starts[s + 1])
            assert error(got[rows], references[slot].expect(step)[rows]) < 1e-5


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("target", ["w4", "w8", "f32"])
def test_same_bits_in_every_batch(target, instruction_set):
    program = build_decoder(CONFIGS["gated"])
    weights = random_weights(program)
    model = Model(program, weights, target=target, instruction_set=instruction_set)
    plain = Model(program, weights, target=target, instruction_set=instruction_set)
    model.executor.set_adapter(0, adapter_for(program, 4))
    model.executor.set_adapter(1, adapter_for(program, 33, 1, ("output", "up")))
    adapters = (0, -1, 1, 0)
    for step in conversation():
        together = forward(model, step, adapters)
        unadapted = plain.run(step)
        for s, slot in enumerate(adapters):
            rows = slice(step.starts[s], step.starts[s + 1])
            alone = batch([(step.tokens[rows], step.contexts[s], step.tables[s])])
            np.testing.assert_array_equal(forward(model, alone, [slot]), together[rows])
            if slot < 0:
                np.testing.assert_array_equal(together[rows], unadapted[rows])
            else:
                assert error(together[rows], unadapted[rows]) > 0.1
    tokens = np.random.default_rng(0).integers(0, 100, 100)
    whole = forward(model, batch([(tokens, 0, range(7))]), [0])
    parts = [
        forward(model, batch([(tokens[a:b], a, range(7, 14))]), [0])
        for a, b in ((0, 1), (1, 3), (3, 40), (40, 57), (57, 100))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    for threads in (1, 5):
        again = Model(program, weights, target=target, instruction_set=instruction_set, threads=threads)
        again.executor.set_adapter(0, adapter_for(program, 4))
        np.testing.assert_array_equal(forward(again, batch([(tokens, 0, range(7))]), [0]), whole)


@pytest.mark.parametrize("target", ["w4", "w8"])
def test_integer_weights(target):
    """The delta is added to what the rounded weights give: about what the merged model gives."""
    program = build_decoder(CONFIGS["plain"])
    weights = random_weights(program)
    model, base = Model(program, weights, target=target), Model(program, weights)
    adapter = adapter_for(program, 8)
    model.executor.set_adapter(0, adapter)
    exact = Model(program, merged(weights, adapter))
    step = next(conversation())
    rounding = error(model.run(step), base.run(step))
    assert error(forward(model, step, [0] * 4), exact.run(step)) < 2 * rounding


def test_only_some_logits_are_wanted():
    program = build_decoder(CONFIGS["gated"])
    model = Model(program, random_weights(program))
    model.executor.set_adapter(3, adapter_for(program, 8, names=("head",)))
    sequences = [([1, 2, 3], 0, [0]), ([4, 5], 0, [1]), ([6, 7, 8], 0, [2])]
    everything = forward(model, batch(sequences), [-1, 3, -1])
    for rows in ([3, 5], [4], [0, 4, 7], []):
        np.testing.assert_array_equal(forward(model, batch(sequences, rows), [-1, 3, -1]), everything[rows])


def test_slots_are_replaced_and_cleared():
    program = build_decoder(CONFIGS["gated"])
    model = Model(program, random_weights(program))
    step = next(conversation())
    first, second = adapter_for(program, 8, 1), adapter_for(program, 8, 2)
    results = []
    for adapter in (first, second, first):
        model.executor.set_adapter(2, adapter)
        results.append(forward(model, step, [2] * 4))
    np.testing.assert_array_equal(results[0], results[2])
    assert error(results[1], results[0]) > 0.1
    with pytest.raises(ValueError, match="does not fit"):
        model.executor.set_adapter(
            2, {**first, "head": (np.zeros((2, 64), np.float32), np.zeros((9, 2), np.float32), 1.0)}
        )
    np.testing.assert_array_equal(forward(model, step, [2] * 4), results[0])
    model.executor.clear_adapter(2)
    with pytest.raises(ValueError, match=r"adapters\[1\] = 2 is neither -1 nor a slot in use"):
        forward(model, step, [-1, 2, -1, -1])
    with pytest.raises(ValueError, match="slot 2 is empty"):
        model.executor.clear_adapter(2)
    np.testing.assert_array_equal(forward(model, step, [-1] * 4), model.run(step))
    model.executor.set_adapter(2, {})
    np.testing.assert_array_equal(forward(model, step, [2] * 4), model.run(step))


def floats(*shape, value=0.0):
    return np.full(shape, value, np.float32)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"nothing": (floats(2, 64), floats(64, 2), 1.0)}, "no weight nothing"),
        ({"embedding": (floats(2, 64), floats(100, 2), 1.0)}, "embedding cannot have an adapter"),
        ({"output_norm": (floats(2, 64), floats(1, 2), 1.0)}, "output_norm cannot have an adapter"),
        ({"head": (floats(2, 63), floats(100, 2), 1.0)}, r"B \[100, 2\] times A \[2, 63\] does not fit"),
        ({"head": (floats(2, 64), floats(99, 2), 1.0)}, r"the weight \[100, 64\]"),
        ({"head": (floats(2, 64), floats(100, 3), 1.0)}, r"B \[100, 3\]"),
        ({"head": (floats(0, 64), floats(100, 0), 1.0)}, "rank 0"),
        ({"head": (floats(5000, 64), floats(100, 5000), 1.0)}, "rank 5000"),
        ({"head": (floats(2, 64, value=np.nan), floats(100, 2), 1.0)}, "head holds a value that is not finite"),
        ({"head": (floats(2, 64), floats(100, 2, value=1e38), 1e38)}, "not finite"),
        ({"head": (floats(2, 64), floats(100, 2, value=1.0), float("nan"))}, "not finite"),
    ],
)
def test_adapters_that_do_not_fit(weights, message):
    program = build_decoder(CONFIGS["gated"])
    executor = Model(program, random_weights(program)).executor
    with pytest.raises(ValueError, match=message):
        executor.set_adapter(0, weights)
    with pytest.raises(ValueError, match="slot 0 is empty"):
        executor.clear_adapter(0)


def test_experts_have_no_adapters():
    program = mixture()
    executor = Model(program, random_weights(program)).executor
    weight = program.weights["0.gate"]
    with pytest.raises(ValueError, match=r"0\.gate cannot have an adapter"):
        executor.set_adapter(0, {"0.gate": (floats(2, weight.columns), floats(weight.rows, 2), 1.0)})


def test_other_types_and_slots():
    program = build_decoder(CONFIGS["gated"])
    model = Model(program, random_weights(program))
    good = floats(2, 64), floats(100, 2), 1.0
    for value in (None, good[:2], (good[0].astype(np.float64), *good[1:]), (good[0].T, *good[1:]), (*good[:2], "1")):
        with pytest.raises((TypeError, ValueError)):
            model.executor.set_adapter(0, {"head": value})
    for slot in (-1, 4096):
        with pytest.raises(ValueError, match=f"slot {slot} is not in"):
            model.executor.set_adapter(slot, {"head": good})
    step = next(conversation())
    for adapters in ([0] * 4, [-2] * 4, [2**31 - 1] * 4, [-1] * 3):
        with pytest.raises(ValueError, match="adapters"):
            forward(model, step, adapters)
    with pytest.raises(TypeError):
        model.executor.forward(*step.arrays(), np.full(4, -1, np.int64))
