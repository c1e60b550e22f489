"""The engine over real kernels and a tiny model: however it is batched, cut, cached or interrupted, the text is one."""

from __future__ import annotations

import codecs
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from myna.engine.engine import Engine
from myna.engine.options import EngineOptions
from myna.engine.request import GenerationRequest, SamplingParams
from myna.formats import open_model
from myna.models.loader import LoadedModel, load_model
from tests.synthetic import write_model

from .fakes import Answer, run

PROMPT = "The quick brown fox jumps over the lazy dog. A myna is a bird that talks. " * 3


def engine(path: Path, *, blocks: int = 400, **options: Any) -> Engine:
    model: LoadedModel = load_model(path, threads=2)
    block_bytes = model.executor.cache_block_bytes(16, "float16")
    chosen = EngineOptions(name="tiny", path=str(path), kv_cache_bytes=blocks * block_bytes, **options)
    return Engine(model, chosen, available_memory=1 << 40)


def ask(name: str, text: str = PROMPT, *, owner: str = "", **params: Any) -> GenerationRequest:
    params = {"seed": 11, "max_tokens": 40, "ignore_eos": True, "temperature": 1.0} | params
    return GenerationRequest(name, SamplingParams(**params), text=text, owner=owner)


def same(one: Answer, other: Answer) -> bool:
    assert len(one.token_ids) == 40
    return one.token_ids == other.token_ids and one.text == other.text and one.logprobs == other.logprobs


def test_batched_equals_single(tiny_model: Path) -> None:
    asked = ask("a", logprobs=3)
    alone = run(engine(tiny_model), asked)["a"]
    company = [ask(f"r{index}", PROMPT[index:], seed=index, max_tokens=20 + index) for index in range(15)]
    assert same(run(engine(tiny_model), *company[:8], asked, *company[8:])["a"], alone)
    assert not same(run(engine(tiny_model), ask("a", seed=12, logprobs=3))["a"], alone)


def test_cached_equals_uncached(tiny_model: Path) -> None:
    target = engine(tiny_model)
    first, second = (run(target, ask("a", logprobs=3))["a"] for _ in range(2))
    assert second.started is not None
    assert second.started.cached_tokens > 0
    assert same(second, first)


def test_chunked_equals_whole(tiny_model: Path) -> None:
    whole = run(engine(tiny_model, step_tokens=512), ask("a", logprobs=3))["a"]
    assert same(run(engine(tiny_model, step_tokens=16), ask("a", logprobs=3))["a"], whole)


def test_preempted_equals_undisturbed(tiny_model: Path) -> None:
    requests = [ask(name, PROMPT, seed=ord(name), owner=name, logprobs=1) for name in "abcd"]
    undisturbed = run(engine(tiny_model), *requests)
    tight = engine(tiny_model, blocks=16)
    disturbed = run(tight, *requests)
    assert tight.statistics()["preemptions_total"] > 0
    assert all(same(disturbed[name], undisturbed[name]) for name in "abcd")


@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_guessing_changes_nothing(tiny_model: Path, temperature: float) -> None:
    few = dict.fromkeys(range(100, 103), 50.0)  # a vocabulary so small that the text repeats itself by chance
    plain, guessing = engine(tiny_model, speculation=False), engine(tiny_model)
    for seed in range(12):
        asked = [
            ask("a", "one two three " * (seed + 2), seed=seed, temperature=temperature, logprobs=2, logit_bias=few),
            ask("b", PROMPT[seed:], seed=seed, temperature=temperature, presence_penalty=0.5, stop=("e",)),
        ][: 1 + seed % 2]
        expected, answers = run(plain, *asked), run(guessing, *asked)
        for name, answer in answers.items():
            assert answer.token_ids == expected[name].token_ids
            assert answer.logprobs == expected[name].logprobs
            assert answer.text == expected[name].text
    counted = guessing.statistics()
    assert counted["draft_tokens_total"] > counted["accepted_draft_tokens_total"] > (100 if temperature == 0 else 0)
    assert counted["kv_blocks_used"] == 0


def test_logits_that_overflow_are_named(tmp_path: Path) -> None:
    """Weights that are numbers, whose products are none: the head's are as large as a float can be."""
    path = write_model(tmp_path / "overflowing.gguf", tied=False)
    with closing(open_model(path)) as file:
        head = file.tensors["output.weight"]
    rows, columns = head.shape
    with path.open("r+b") as weights:
        weights.seek(head.offset)
        weights.write(np.full((rows, columns), 3e38, np.float32).tobytes())
    target = engine(path)
    answers = run(target, ask("greedy", temperature=0.0), ask("sampled"))
    for answer in answers.values():
        assert answer.failed is not None
        assert "not a number (NaN)" in answer.failed.message
    assert target.statistics()["requests_failed_total"] == 2
    assert target.statistics()["kv_blocks_used"] == 0


def test_two_engines_in_one_process_do_not_disturb_each_other(tiny_model: Path) -> None:
    asked = [ask(name, PROMPT, seed=ord(name), owner=name, logprobs=1) for name in "abcd"]
    expected = run(engine(tiny_model), *asked)
    pair = engine(tiny_model, blocks=16), engine(tiny_model)
    together: tuple[dict[str, Answer], dict[str, Answer]] = {}, {}
    for one in pair:
        for each in asked:
            one.add(one.prepare(each))
    while not all(one.is_idle for one in pair):
        for one, answers in zip(pair, together, strict=True):
            for event in one.step().get(0, []):
                answers.setdefault(event.request_id, Answer()).take(event)
    assert pair[0].statistics()["preemptions_total"] > 0
    assert all(same(answers[name], expected[name]) for answers in together for name in "abcd")


def test_prompt_log_probabilities_agree_with_the_answers(tiny_model: Path) -> None:
    """What the model said while it wrote is what it says when it reads."""
    target = engine(tiny_model)
    written = run(target, ask("a", temperature=0.0, logprobs=0))["a"]
    prompt = target.model.tokenizer.encode_prompt(PROMPT)
    everything = GenerationRequest(
        "b", SamplingParams(max_tokens=0, prompt_logprobs=0), token_ids=(*prompt, *written.token_ids)
    )
    read = run(target, everything)["b"]
    assert read.started is not None
    assert read.started.prompt_logprobs is not None
    tail = read.started.prompt_logprobs[len(prompt) :]
    assert [entry and entry.token_id for entry in tail] == written.token_ids
    expected = [entry.logprob for entry in written.logprobs]
    assert [entry.logprob for entry in tail if entry] == expected, "to the last bit"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("last", [40, 17, 1])
def test_an_answers_tokens_are_scored_as_they_were_written(tiny_model: Path, temperature: float, last: int) -> None:
    """To the last bit, whatever of the prompt is in the cache, and whoever else is being served."""
    target = engine(tiny_model, step_tokens=48)
    written = run(target, ask("a", temperature=temperature, logprobs=3))["a"]
    params = SamplingParams(max_tokens=0, prompt_logprobs=3, prompt_logprobs_last=last)
    asked = GenerationRequest("b", params, text=PROMPT, begun=tuple(written.token_ids), background=True)
    answers = run(target, ask("c", PROMPT[1:], seed=3), asked)
    read = answers["b"]
    assert read.started is not None
    assert read.started.cached_tokens > 0
    assert read.started.prompt_logprobs == tuple(written.logprobs[-last:])
    again = run(engine(tiny_model), asked)["b"].started
    assert again is not None
    assert again.prompt_logprobs == read.started.prompt_logprobs


def test_an_answer_goes_on_from_tokens_as_if_it_had_never_stopped(tiny_model: Path) -> None:
    target = engine(tiny_model)
    whole = run(target, ask("a", seed=5))["a"]
    text = b"".join(map(target.model.tokenizer.token_bytes, whole.token_ids))
    for kept in range(1, 40, 3):
        begun = tuple(whole.token_ids[:kept])
        params = SamplingParams(max_tokens=40 - kept, seed=5, ignore_eos=True)
        rest = run(target, GenerationRequest("b", params, text=PROMPT, begun=begun))["b"]
        assert [*begun, *rest.token_ids] == whole.token_ids
        spelt = b"".join(map(target.model.tokenizer.token_bytes, begun))
        shown = codecs.getincrementaldecoder("utf-8")("replace").decode(spelt)
        assert shown + rest.text == text.decode(errors="replace")


def test_a_biased_token_wins_and_a_penalised_one_does_not_repeat(tiny_model: Path) -> None:
    answers = run(
        engine(tiny_model),
        ask("biased", logit_bias={100: 100.0}),
        ask("mixed", logit_bias={100: 30.0}, presence_penalty=2.0, temperature=0.0),
        ask("plain"),
    )
    assert answers["biased"].token_ids == [100] * 40
    penalised = run(engine(tiny_model), ask("a", temperature=0.0, repetition_penalty=100.0, max_tokens=40))["a"]
    assert len(set(penalised.token_ids)) == 40
