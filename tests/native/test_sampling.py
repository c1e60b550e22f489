"""Sampling as its parameters are documented, from logits that the test sets itself."""

import numpy as np
import pytest

from myna import _native
from myna.models.program import Program
from tests.native.models import INSTRUCTION_SETS, batch

VOCAB = 1000


def executor_with(logits, instruction_set=INSTRUCTION_SETS[0]):
    """An executor whose last forward left these logits [rows, vocab]: row i of the embedding through the identity."""
    rows, vocab = logits.shape
    program = Program()
    program.finish(
        program.linear(program.select(program.embed(program.matrix("e", rows, rows))), program.matrix("w", vocab, rows))
    )
    executor = _native.Executor(program.to_ops(), 2, instruction_set)
    executor.set_weight("e", np.eye(rows, dtype=np.float32), "F32", rows, rows, "f32")
    executor.set_weight("w", np.ascontiguousarray(logits.T), "F32", vocab, rows, "f32")
    executor.seal()
    executor.allocate_cache(1 + rows // 16, 16, "float32")
    executor.forward(*batch([(range(rows), 0, range(1 + rows // 16))]).arrays())
    np.testing.assert_array_equal(executor.logits(), logits)
    return executor


class Given:
    """Logits from elsewhere behind the same call."""

    def __init__(self, logits):
        self.logits = logits

    def sample(self, *arguments):
        return _native.sample_logits(self.logits, *arguments)


def sample(executor, rows=(0,), *, history=(), prompt_lengths=None, bias=None, mask=None, top_logprobs=-1, **fields):
    """Ids, logprobs, top ids, top logprobs for ``rows``; every field is one value or one a row."""
    n = len(rows)

    def array(name, default, dtype):
        return np.broadcast_to(np.asarray(fields.pop(name, default), dtype), n).copy()

    histories = list(history) or [[] for _ in rows]
    biases = bias or [{} for _ in rows]
    arguments = (
        np.asarray(rows, np.int32),
        array("temperature", 1, np.float32), array("top_k", 0, np.int32), array("top_p", 1, np.float32),
        array("min_p", 0, np.float32), array("repetition_penalty", 1, np.float32),
        array("presence_penalty", 0, np.float32), array("frequency_penalty", 0, np.float32),
        array("seeds", 0, np.uint64), array("positions", 0, np.int64),
        np.array([token for one in histories for token in one], np.int32),
        np.cumsum([0] + [len(one) for one in histories], dtype=np.int32),
        np.asarray(prompt_lengths if prompt_lengths is not None else [0] * n, np.int32),
        np.array([token for one in biases for token in one], np.int32),
        np.array([value for one in biases for value in one.values()], np.float32),
        np.cumsum([0] + [len(one) for one in biases], dtype=np.int32),
    )  # fmt: skip
    assert not fields
    return executor.sample(*arguments, mask, top_logprobs)


def test_logits_from_elsewhere_are_sampled_alike(executor, logits):
    fields = {
        "temperature": [0, 1, 0.7, 1.3], "top_k": [0, 50, 0, 0], "top_p": [1, 1, 0.9, 1], "min_p": [0, 0, 0, 0.05],
        "seeds": range(4), "positions": range(7, 11), "presence_penalty": [0, 0.5, 0, 0],
        "history": [[], [3, 4, 5], [], []], "bias": [{}, {}, {9: 5.0}, {}], "top_logprobs": 3,
    }  # fmt: skip
    for got, expected in zip(
        sample(Given(logits), range(4), **fields), sample(executor, range(4), **fields), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    with pytest.raises(ValueError, match=r"rows\[0\] = 4"):
        sample(Given(logits), [4])
    with pytest.raises(ValueError, match="no columns"):
        sample(Given(logits[:, :0].copy()))
    with pytest.raises(TypeError):
        sample(Given(logits.astype(np.float64)))


def many(executor, draws, **fields):
    """Ids of ``draws`` draws from row 0, at positions 0, 1, 2, …"""
    return sample(executor, [0] * draws, positions=np.arange(draws), **fields)[0]


@pytest.fixture(scope="module")
def logits():
    return (np.random.default_rng(0).standard_normal((4, VOCAB)) * 2).astype(np.float32)


@pytest.fixture(scope="module")
def executor(logits):
    return executor_with(logits)


def softmax(x):
    weights = np.exp(x.astype(np.float64) - x.max())
    return weights / weights.sum()


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_greedy_takes_the_first_of_the_largest(instruction_set):
    logits = np.zeros((4, 70), np.float32)
    logits[0, 69] = logits[1, 16] = logits[2, [5, 40]] = 1
    ids, logprobs, top, values = sample(executor_with(logits, instruction_set), range(4), temperature=0)
    assert ids.tolist() == [69, 16, 5, 0]
    assert logprobs.size == top.size == values.size == 0


def test_same_seed_and_position_same_token_whatever_runs_beside(executor):
    alone = [sample(executor, [row], seeds=9, positions=5)[0][0] for row in range(4)]
    assert sample(executor, range(4), seeds=9, positions=5)[0].tolist() == alone
    assert sample(executor, [3, 1, 0], seeds=9, positions=5)[0].tolist() == [alone[3], alone[1], alone[0]]
    assert len(set(many(executor, 50, seeds=9).tolist())) > 10
    assert many(executor, 50, seeds=9).tolist() != many(executor, 50, seeds=2**63 + 9).tolist()
    other = sample(executor, [0] * 2, seeds=[9, 9], positions=[1, 2**40 + 1])[0]
    assert other[0] != other[1]


@pytest.mark.parametrize(
    ("fields", "power"),
    [({}, 1), ({"temperature": 0.5}, 2), ({"temperature": 2}, 0.5), ({"top_p": 0.999999}, 1), ({"top_k": 40}, 1)],
)
def test_draws_follow_the_distribution(fields, power):
    """Pearson's chi-square over 40 tokens stays below its 99.9 % quantile for 39 degrees of freedom."""
    logits = np.random.default_rng(1).standard_normal((1, 40)).astype(np.float32)
    draws = 20000
    ids = many(executor_with(logits), draws, seeds=1234, **fields)
    expected = softmax(logits[0] * power) * draws
    chi_square = ((np.bincount(ids, minlength=40) - expected) ** 2 / expected).sum()
    assert chi_square < 72.06


def test_top_k_keeps_the_likeliest(executor, logits):
    order = np.argsort(-logits[0])
    for k in (1, 2, 7, 300):
        ids = set(many(executor, 400, top_k=k, temperature=1.5).tolist())
        assert ids <= set(order[:k].tolist())
        assert len(ids) == min(k, len(ids))
    assert set(many(executor, 400, top_k=2, temperature=1.5).tolist()) == set(order[:2].tolist())
    assert set(many(executor, 50, top_k=VOCAB + 5).tolist()) - set(order[:10].tolist())


def test_top_p_keeps_the_smallest_set_that_reaches_it(executor, logits):
    order, probabilities = np.argsort(-logits[0]), np.sort(softmax(logits[0]))[::-1]
    for p in (0.01, 0.1, 0.3):
        nucleus = order[: np.searchsorted(np.cumsum(probabilities), p) + 1]
        assert set(many(executor, 3000, top_p=p).tolist()) == set(nucleus.tolist())


def test_top_p_counts_within_top_k(executor, logits):
    order = np.argsort(-logits[0])[:10]
    probabilities = softmax(logits[0][order])
    nucleus = order[: np.searchsorted(np.cumsum(probabilities), 0.6) + 1]
    assert set(many(executor, 2000, top_k=10, top_p=0.6).tolist()) == set(nucleus.tolist())


def test_min_p_is_relative_to_the_likeliest(executor, logits):
    probabilities = softmax(logits[0])
    kept = np.flatnonzero(probabilities >= 0.3 * probabilities.max())
    assert set(many(executor, 2000, min_p=0.3).tolist()) == set(kept.tolist())
    assert set(many(executor, 100, min_p=1).tolist()) == {int(probabilities.argmax())}


def test_flat_distribution_over_a_large_vocabulary():
    executor = executor_with(np.zeros((1, 5000), np.float32))
    ids = many(executor, 500, top_p=0.5)
    assert ids.max() < 2500  # equal tokens are taken by id
    assert len(set(ids.tolist())) > 400
    assert many(executor, 50, top_k=3).max() == 2


def test_repetition_penalty_counts_the_prompt_too():
    logits = np.zeros((1, 10), np.float32)
    logits[0, :4] = [2, 1.9, -1, -1.1]
    executor = executor_with(logits)
    top = sample(executor, temperature=0, history=[[0, 0, 0]], prompt_lengths=[3], repetition_penalty=1.2)
    assert top[0][0] == 1  # 2 / 1.2 < 1.9, once, however often it occurred
    mask = np.array([[0b1100]], np.uint32)
    ids = sample(executor, temperature=0, history=[[2]], prompt_lengths=[1], repetition_penalty=1.2, mask=mask)[0]
    assert ids[0] == 3  # negative logits are multiplied


def test_presence_and_frequency_count_the_output_only():
    logits = np.zeros((1, 10), np.float32)
    logits[0, :3] = [2, 1.5, 1]
    executor = executor_with(logits)

    def best(history, prompt, **penalties):
        return sample(executor, temperature=0, history=[history], prompt_lengths=[prompt], **penalties)[0][0]

    assert best([0, 0, 0], 3, presence_penalty=2) == 0
    assert best([0, 0, 0], 3, frequency_penalty=2) == 0
    assert best([0, 0], 1, presence_penalty=0.6) == 1
    assert best([0, 0, 0, 0], 0, presence_penalty=0.4) == 0  # presence is counted once
    assert best([0, 0], 0, frequency_penalty=0.3) == 1  # frequency every time
    assert best([0], 0, frequency_penalty=0.3) == 0
    assert best([5], 0, presence_penalty=-2.5) == 5  # negative penalties invite


def test_bias_and_mask(executor, logits):
    best = int(logits[0].argmax())
    assert sample(executor, temperature=0, bias=[{17: 100.0}])[0][0] == 17
    assert sample(executor, temperature=0, bias=[{best: -np.inf}])[0][0] != best
    mask = np.zeros((2, (VOCAB + 31) // 32), np.uint32)
    mask[0, 100 // 32] = 1 << 100 % 32
    mask[1, -1] = 1 << (VOCAB - 1) % 32
    for temperature in (0, 1):
        ids = sample(executor, [0, 1], temperature=temperature, mask=mask, bias=[{17: 100.0}, {}])[0]
        assert ids.tolist() == [100, VOCAB - 1]


def test_nothing_allowed_gives_no_token(executor):
    mask = np.zeros((1, (VOCAB + 31) // 32), np.uint32)
    assert sample(executor, mask=mask)[0][0] == -1


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("value", [1e38, np.float32(3e38)])
def test_broken_logits_give_no_token(instruction_set, value):
    """Weights are finite, but sums of them may overflow."""
    program = Program()
    x = program.embed(program.matrix("e", 2, 2))
    program.finish(program.linear(program.select(x), program.matrix("w", 40, 2)))
    executor = _native.Executor(program.to_ops(), 1, instruction_set)
    executor.set_weight("e", np.array([[value, value], [1, 1]], np.float32), "F32", 2, 2, "f32")
    weights = np.ones((40, 2), np.float32)
    weights[33] = [value, -value]
    executor.set_weight("w", weights, "F32", 40, 2, "f32")
    executor.seal()
    executor.allocate_cache(1, 16, "float32")
    executor.forward(*batch([([0, 1], 0, [0])]).arrays())
    for temperature in (0, 1):
        ids, logprobs, top_ids, _ = sample(executor, [0, 1], temperature=temperature, top_logprobs=2)
        assert ids[0] == -1
        assert ids[1] >= 0
        assert np.isnan(logprobs[0])
        assert top_ids[0].tolist() == [-1, -1]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_logprobs_are_of_the_models_own_distribution(instruction_set, logits):
    executor = executor_with(logits, instruction_set)
    expected = np.log(softmax(logits[2]))
    order = np.argsort(-expected, kind="stable")
    ids, logprobs, top_ids, top = sample(
        executor, [2, 2], temperature=[0, 3], bias=[{5: 50.0}, {6: 90.0}], top_logprobs=4
    )
    assert ids.tolist() == [5, 6]
    np.testing.assert_allclose(logprobs, expected[[5, 6]], atol=1e-5)
    assert top_ids.tolist() == [order[:4].tolist()] * 2
    np.testing.assert_allclose(top[0], expected[order[:4]], atol=1e-5)
    chosen = sample(executor, [2], top_logprobs=0)
    assert chosen[1].shape == (1,)
    assert chosen[2].shape == chosen[3].shape == (1, 0)

    logprobs, top_ids, top = executor.score(np.array([2, 2], np.int32), np.array([7, order[0]], np.int32), 3)
    np.testing.assert_allclose(logprobs, expected[[7, order[0]]], atol=1e-5)
    assert top_ids[1].tolist() == order[:3].tolist()
    np.testing.assert_allclose(top[1], expected[order[:3]], atol=1e-5)
