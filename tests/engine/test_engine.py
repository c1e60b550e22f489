from __future__ import annotations

import math
from typing import Any

import pytest

from myna.chat import Message
from myna.engine.engine import Engine
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import EngineBusy, InvalidParameter, ModelTooLarge, PromptTooLong, UnsupportedParameter

from .fakes import CONTROL, END, Answer, FakeExecutor, FakeTokenizer, drain, fake_engine, request, run

SHARED = "a beginning that several prompts have in common, longer than a few blocks: "


def text_of(token_ids: list[int]) -> bytes:
    return b"".join(fake_engine().model.tokenizer.token_bytes(token_id) for token_id in token_ids)


def test_an_answer_from_start_to_end() -> None:
    answer = run(fake_engine(FakeExecutor(script=[*b"Hi", END])), request("a", "hello", seed=None))["a"]
    assert answer.started is not None
    assert answer.started.prompt_tokens == 5
    assert answer.text == "Hi"
    assert answer.token_ids == [*b"Hi"], "the end token is no part of the answer"
    assert answer.finished is not None
    assert (answer.finished.reason, answer.finished.completion_tokens, answer.finished.stop) == ("stop", 3, None)


def test_messages_go_through_the_dialect_and_text_through_the_tokenizer() -> None:
    engine = fake_engine()
    chat = GenerationRequest("chat", SamplingParams(max_tokens=0), messages=(Message.of("user", "hi"),))
    text = GenerationRequest("text", SamplingParams(max_tokens=0), text="hi")
    answers = run(engine, chat, text)
    assert [answers[name].started.prompt_tokens for name in ("chat", "text")] == [3, 2]  # type: ignore[union-attr]


def test_a_gap_is_filled_where_the_vocabulary_has_tokens_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = fake_engine(FakeExecutor(script=[*b"mid", CONTROL]))
    asked = GenerationRequest("a", SamplingParams(), text="pre", suffix="post")
    sequence = engine.prepare(asked)
    assert list(sequence.tokens[:10]) == [253, *b"pre", 254, *b"post", 255]
    engine.add(sequence)
    assert drain(engine)["a"].text == "mid", "a token of the gap's ends it"
    with pytest.raises(InvalidParameter, match="token ids") as caught:
        engine.prepare(GenerationRequest("b", SamplingParams(), token_ids=(1,), suffix="post"))
    assert caught.value.param == "suffix"
    monkeypatch.setattr(FakeTokenizer, "infill", None)
    with pytest.raises(UnsupportedParameter, match="no tokens for that"):
        engine.prepare(asked)


def test_a_dialect_can_be_chosen_for_a_chat() -> None:
    engine = fake_engine(FakeExecutor(script=[*b"HO!", END]))
    hello = (Message.of("user", "hi"),)
    sequence = engine.prepare(GenerationRequest("a", SamplingParams(), messages=hello, dialect="shouting"))
    assert list(sequence.tokens[:2]) == [*b"HI"]
    engine.add(sequence)
    answer = drain(engine)["a"]
    assert answer.text == "HO", "its own stop strings count"
    with pytest.raises(InvalidParameter, match="no dialect 'whispering'") as caught:
        engine.prepare(GenerationRequest("b", SamplingParams(), messages=hello, dialect="whispering"))
    assert caught.value.param == "dialect"
    with pytest.raises(InvalidParameter, match="a plain prompt"):
        engine.prepare(GenerationRequest("c", SamplingParams(), text="hi", dialect="shouting"))


def test_the_longest_answer_is_what_was_asked_for_or_what_the_context_leaves() -> None:
    answers = run(
        fake_engine(FakeExecutor(may_end=False), context=64),
        request("asked", "x" * 10, max_tokens=5),
        request("left", "x" * 10),
        request("full", "x" * 64),
    )
    counts = {name: answer.finished and answer.finished.completion_tokens for name, answer in answers.items()}
    assert counts == {"asked": 5, "left": 54, "full": 1}
    assert {answer.finished and answer.finished.reason for answer in answers.values()} == {"length"}


def test_a_prompt_that_can_never_fit_is_refused_with_numbers() -> None:
    with pytest.raises(PromptTooLong) as caught:
        run(fake_engine(context=64), request("a", "x" * 65))
    assert (caught.value.tokens, caught.value.limit) == (65, 64)
    with pytest.raises(PromptTooLong) as caught:
        run(fake_engine(context=512, blocks=2), request("a", "x" * 33))
    assert (caught.value.tokens, caught.value.limit) == (33, 32)


def test_an_answer_of_no_tokens_is_possible() -> None:
    answer = run(fake_engine(), request("a", max_tokens=0))["a"]
    assert answer.finished is not None
    assert (answer.finished.reason, answer.finished.completion_tokens) == ("length", 0)


def test_the_same_seed_gives_the_same_text_alone_and_in_company() -> None:
    asked = request("a", SHARED, max_tokens=40, seed=3)
    alone = run(fake_engine(), asked)["a"]
    company = [request(f"r{index}", SHARED + str(index), max_tokens=30 + index, seed=index) for index in range(15)]
    assert run(fake_engine(blocks=400), *company, asked)["a"].token_ids == alone.token_ids
    assert run(fake_engine(blocks=20), *company, asked)["a"].token_ids == alone.token_ids, "with preemptions"
    assert run(fake_engine(), request("a", SHARED, max_tokens=40, seed=4))["a"].token_ids != alone.token_ids


def test_a_drawn_seed_is_reported_and_repeats_the_answer() -> None:
    first = run(fake_engine(), request("a", seed=None, max_tokens=20))["a"]
    other = run(fake_engine(), request("a", seed=None, max_tokens=20))["a"]
    assert first.started is not None
    assert other.started is not None
    assert first.started.seed != other.started.seed
    assert run(fake_engine(), request("a", seed=first.started.seed, max_tokens=20))["a"].text == first.text


@pytest.mark.parametrize("seed", [-1, 2**64 - 1])
def test_seeds_may_be_any_64_bits(seed: int) -> None:
    assert run(fake_engine(), request("a", seed=seed, max_tokens=3))["a"].started.seed == seed  # type: ignore[union-attr]


def test_chunked_equals_whole() -> None:
    asked = request("a", SHARED * 3, max_tokens=30)
    whole = run(fake_engine(step_tokens=512), asked)["a"]
    executor = FakeExecutor()
    assert run(fake_engine(executor, step_tokens=16), asked)["a"].token_ids == whole.token_ids
    assert max(executor.forwarded) == 16


def test_cached_equals_uncached_and_says_how_much() -> None:
    asked = request("a", SHARED, max_tokens=30)
    engine = fake_engine()
    first, second = run(engine, asked)["a"], run(engine, asked)["a"]
    assert first.token_ids == second.token_ids
    assert first.started is not None
    assert second.started is not None
    assert (first.started.cached_tokens, second.started.cached_tokens) == (0, (len(SHARED) - 1) // 16 * 16)


def test_prompts_that_come_together_compute_what_they_share_once() -> None:
    asked = [request(str(index), SHARED + str(index), max_tokens=10, seed=index) for index in range(8)]
    expected = {each.id: run(fake_engine(), each)[each.id].token_ids for each in asked}
    executor = FakeExecutor()
    engine = fake_engine(executor, step_tokens=32)
    answers = run(engine, *asked)
    assert {name: answer.token_ids for name, answer in answers.items()} == expected
    shared = len(SHARED) // 16 * 16
    counted = engine.statistics()
    assert counted["cached_tokens_total"] == 7 * shared
    drafted = counted["draft_tokens_total"] - counted["accepted_draft_tokens_total"]
    generated = sum(len(ids) for ids in expected.values())
    assert sum(executor.forwarded) <= len(SHARED) + 1 + 7 * (len(SHARED) + 1 - shared) + generated + drafted


def test_the_memory_of_a_storm_is_given_back() -> None:
    executor = FakeExecutor(may_end=False)
    engine = fake_engine(executor, blocks=200)
    engine.pool.keep = 20
    run(engine, *(request(str(index), f"{index} " * 30, max_tokens=40, seed=index) for index in range(16)))
    assert engine.pool.num_resident == 20
    assert len(executor.discarded) > 40
    again = run(engine, request("a", "15 " * 30, max_tokens=1))["a"]
    assert again.started is not None
    assert again.started.cached_tokens > 0, "what was used last is remembered"


def test_owners_do_not_share_prefixes() -> None:
    engine = fake_engine()
    run(engine, request("a", SHARED, owner="ada", max_tokens=1))
    answer = run(engine, request("b", SHARED, owner="bob", max_tokens=1))["b"]
    assert answer.started is not None
    assert answer.started.cached_tokens == 0


def test_a_stop_string_of_the_request_is_named() -> None:
    answer = run(fake_engine(FakeExecutor(script=[*b"one END two"])), request("a", stop=("END",)))["a"]
    assert answer.text == "one "
    assert answer.token_ids == [*b"one "]
    assert answer.finished is not None
    assert (answer.finished.reason, answer.finished.stop) == ("stop", "END")
    assert answer.finished.completion_tokens == 7


def test_a_stop_string_of_the_dialect_is_not_named_and_counts_for_chats_only() -> None:
    def engine() -> Engine:
        made = fake_engine(FakeExecutor(script=[*b"hi\nUser: x", END]))
        made.model.dialect.stop_strings = ("\nUser:",)  # type: ignore[misc]
        return made

    chat = GenerationRequest("a", SamplingParams(), messages=(Message.of("user", "hi"),))
    answer = run(engine(), chat)["a"]
    assert answer.text == "hi"
    assert answer.finished is not None
    assert (answer.finished.reason, answer.finished.stop) == ("stop", None)
    assert run(engine(), request("b"))["b"].text == "hi\nUser: x"


def test_held_text_is_released_at_the_end() -> None:
    for ending in ([*b"EN", END], [*b"EN"]):
        answer = run(fake_engine(FakeExecutor(script=ending)), request("a", stop=("END",), max_tokens=len(ending)))["a"]
        assert answer.text == "EN"
        assert answer.token_ids == [*b"EN"]


def test_ignore_eos_goes_on_behind_the_end_token() -> None:
    script = [*b"a", END, CONTROL, *b"b"]
    answer = run(fake_engine(FakeExecutor(script=script)), request("a", ignore_eos=True, max_tokens=4))["a"]
    assert answer.text == "ab"
    assert answer.token_ids == script


def test_log_probabilities_belong_to_their_tokens() -> None:
    script = [*b"xE", CONTROL, *b"y", END]
    asked = request("a", logprobs=2, stop=("EN",))
    plain = request("b", max_tokens=9)
    answers = run(fake_engine(FakeExecutor(script=[t for t in script for _ in "ab"])), asked, plain)
    answer = answers["a"]
    assert [entry.token_id for entry in answer.logprobs] == answer.token_ids == script[:-1]
    assert [entry.token for entry in answer.logprobs] == [b"x", b"E", b"<257>", b"y"]
    assert [entry.logprob for entry in answer.logprobs] == [-1.0 - token for token in script[:-1]]
    assert [len(entry.top) for entry in answer.logprobs] == [2] * 4
    assert answer.logprobs[0].top[1] == (1, b"\x01", -2.0)
    assert answers["b"].logprobs == []


@pytest.mark.parametrize("options", [{}, {"step_tokens": 16}, {"blocks": 14}])
def test_prompt_log_probabilities_do_not_depend_on_chunks_or_preemption(options: dict[str, Any]) -> None:
    prompt = SHARED * 2
    asked = request("a", prompt, prompt_logprobs=1, max_tokens=20)
    expected = run(fake_engine(), asked)["a"]
    engine = fake_engine(**options)
    run(engine, request("warm", prompt, max_tokens=1))  # what is cached must be scored all the same
    answer = run(engine, request("old", max_tokens=60), asked)["a"]
    assert answer.started is not None
    assert expected.started is not None
    scored = answer.started.prompt_logprobs
    assert scored is not None
    assert scored[0] is None
    assert [entry.token_id for entry in scored[1:] if entry] == [*prompt[1:].encode()]
    assert answer.started.prompt_token_ids == tuple(prompt.encode())
    assert scored == expected.started.prompt_logprobs
    assert answer.token_ids == expected.token_ids


def test_control_tokens_among_those_that_are_scored_are_named() -> None:
    scored = run(fake_engine(), request("a", "ab", prompt_logprobs=2, max_tokens=0))["a"].started
    assert scored is not None
    assert scored.control_ids == ()
    params = SamplingParams(max_tokens=0, prompt_logprobs=0, prompt_logprobs_last=2)
    asked = GenerationRequest("b", params, text="ab", begun=(97, 257))
    scored = run(fake_engine(), asked)["b"].started
    assert scored is not None
    assert [entry and entry.token for entry in scored.prompt_logprobs or ()] == [b"a", b"<257>"]
    assert scored.control_ids == (257,)


@pytest.mark.parametrize("when", ["waiting", "prefill", "decode"])
def test_cancelling_frees_the_blocks_within_a_step(when: str) -> None:
    engine = fake_engine(FakeExecutor(may_end=False), step_tokens=16, max_sequences=1)
    if when == "waiting":
        engine.add(engine.prepare(request("first", max_tokens=5)))
    engine.add(engine.prepare(request("a", SHARED)))
    answers: dict[str, Answer] = {}
    for _ in range({"waiting": 1, "prefill": 2, "decode": 9}[when]):
        for event in engine.step().get(0, []):
            answers.setdefault(event.request_id, Answer()).take(event)
    engine.cancel(0, "a")
    for event in engine.step()[0]:
        answers.setdefault(event.request_id, Answer()).take(event)
    answer = answers["a"]
    assert answer.finished is not None
    assert answer.finished.reason == "cancelled"
    assert (answer.text != "") == (when == "decode")
    drain(engine, answers)
    assert engine.statistics()["kv_blocks_used"] == 0
    engine.cancel(0, "a")  # it may have ended by itself meanwhile


def test_a_channel_is_cancelled_as_a_whole_and_alone() -> None:
    engine = fake_engine(FakeExecutor(may_end=False))
    for channel in (1, 2):
        for name in "ab":
            engine.add(engine.prepare(request(name, max_tokens=20), channel=channel))
    engine.step()
    engine.cancel_channel(1)
    events = engine.step()
    assert [event.request_id for event in events[1]] == ["a", "b"]
    assert len(engine.scheduler.running) == 2


def test_an_id_is_used_once_at_a_time() -> None:
    engine = fake_engine()
    engine.add(engine.prepare(request("a")))
    with pytest.raises(InvalidParameter, match="'a' is in use"):
        engine.add(engine.prepare(request("a")))
    drain(engine)
    assert run(engine, request("a", max_tokens=1))["a"].finished is not None


def test_not_a_number_fails_the_request_and_says_so() -> None:
    executor = FakeExecutor()
    engine = fake_engine(executor)
    executor.not_a_number = True
    answer = run(engine, request("a"))["a"]
    assert answer.failed is not None
    assert answer.failed.error == "EngineError"
    assert "not a number" in answer.failed.message
    executor.not_a_number = False
    assert run(engine, request("a", max_tokens=1))["a"].finished is not None


def test_a_step_that_breaks_fails_those_in_it_and_the_engine_goes_on() -> None:
    executor = FakeExecutor()
    engine = fake_engine(executor)
    executor.fail_with = ValueError("block 7 is out of range")
    answers = run(engine, request("a"), request("b"))
    for answer in answers.values():
        assert answer.failed is not None
        assert "block 7 is out of range" in answer.failed.message
    executor.fail_with = None
    assert run(engine, request("a", max_tokens=1))["a"].finished is not None
    assert engine.statistics()["requests_failed_total"] == 2


def test_too_many_requests_are_refused() -> None:
    engine = fake_engine(max_waiting=1)
    engine.add(engine.prepare(request("a")))
    with pytest.raises(EngineBusy):
        engine.add(engine.prepare(request("b")))


def test_statistics_add_up() -> None:
    engine = fake_engine(FakeExecutor(may_end=False))
    run(engine, request("a", SHARED, max_tokens=10))
    run(engine, request("b", SHARED, max_tokens=10))
    counted = engine.statistics()
    assert counted["requests_total"] == 2
    assert counted["prompt_tokens_total"] == 2 * len(SHARED)
    assert counted["cached_tokens_total"] == (len(SHARED) - 1) // 16 * 16
    assert counted["generated_tokens_total"] == 20
    assert counted["steps_total"] == 20
    assert counted["kv_blocks"] == 64
    assert counted["kv_blocks_cached"] > 0
    assert counted["first_token_seconds_count"] == counted['first_token_seconds_bucket{le="+Inf"}'] == 2
    assert counted["queue_seconds_count"] == 2
    assert counted["between_tokens_seconds_count"] == counted['between_tokens_seconds_bucket{le="+Inf"}'] == 18
    assert all(math.isfinite(value) for value in counted.values())


def test_a_cache_that_does_not_fit_is_refused_with_numbers() -> None:
    from myna.engine.cache_size import cache_blocks

    sizes = {"context": 1000, "block_bytes": 1 << 20, "block_size": 16}
    assert cache_blocks(asked=0, available=1 << 40, **sizes) == 4 * 63
    assert cache_blocks(asked=0, available=400 << 20, **sizes) == 100
    assert cache_blocks(asked=0, available=130 << 20, **sizes) == 63, "one context, in half of the memory"
    assert cache_blocks(asked=10 << 20, available=130 << 20, **sizes) == 10
    with pytest.raises(ModelTooLarge, match=r"8\.0 MiB of memory are free"):
        cache_blocks(asked=10 << 20, available=8 << 20, **sizes)
    with pytest.raises(ModelTooLarge, match=r"at least 1\.0 MiB"):
        cache_blocks(asked=0, available=1 << 20, **sizes)


def test_what_is_remembered_takes_little_memory_unless_more_was_asked_for() -> None:
    from myna.engine.cache_size import kept_blocks

    assert kept_blocks(asked=0, weight_bytes=1 << 20, block_bytes=1 << 20) == 128
    assert kept_blocks(asked=0, weight_bytes=1 << 30, block_bytes=1 << 20) == 1024
    assert kept_blocks(asked=1 << 30, weight_bytes=1 << 20, block_bytes=1 << 20) is None
