"""A storm: random requests, odd parameters, cancellations, clients that go, adapters that come and go, little memory.

Every answer that ends is the one that its request gets alone, whatever happened around it, and in the end every block
is free. ``MYNA_STORM=10000`` makes it longer.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import replace
from typing import Any

from myna.engine.engine import Engine
from myna.engine.request import Event, Failed, Finished, GenerationRequest
from myna.errors import EngineBusy, InvalidParameter, NotFound, PromptTooLong

from .fakes import Answer, FakeExecutor, fake_engine, request, run

REQUESTS = int(os.environ.get("MYNA_STORM", "400"))
KINDS = 60
CHANNELS = 4
ADAPTERS = ("pirate", "poet", "painter")
BROKEN = ({"temperature": -1}, {"top_p": float("nan")}, {"max_tokens": -5}, {"stop": ("",)}, {"logit_bias": {999: 1.0}})


def kinds() -> list[GenerationRequest]:
    """What is asked, again and again: prompts with beginnings in common, some too long, some with broken parameters."""
    draw = random.Random(1)
    made = []
    for kind in range(KINDS):
        prompt = "abcdefgh" * draw.randrange(12) + "".join(draw.choice("ijklmno") for _ in range(draw.randrange(1, 30)))
        params: dict[str, Any] = {
            "seed": draw.randrange(100),
            "max_tokens": draw.choice([0, 1, 5, 40, None]),
            "stop": draw.choice([(), ("ab", "c"), ("hello",)]),
            "logprobs": draw.choice([None, None, 0, 3]),
            "prompt_logprobs": draw.choice([None, None, None, 1]),
            "ignore_eos": draw.choice([True, False]),
            "presence_penalty": draw.choice([0.0, 0.0, 1.0]),
        }
        if draw.random() < 0.1:
            params |= draw.choice(BROKEN)
        if draw.random() < 0.05:
            prompt *= 20
        adapter = draw.choice([None, None, *ADAPTERS])
        made.append(request(str(kind), prompt, owner=draw.choice(["", "ada"]), adapter=adapter, **params))
    return made


def engine(**options: Any) -> Engine:
    made = fake_engine(FakeExecutor(babbles=True), context=200, **options)
    for name in ADAPTERS:
        made.load_adapter(name, {"w": name})
    return made


def outcome(answer: Answer) -> tuple[Any, ...]:
    assert answer.started is not None
    assert answer.finished is not None
    return (
        answer.text,
        answer.token_ids,
        answer.logprobs,
        answer.started.prompt_logprobs,
        answer.finished.reason,
        answer.finished.completion_tokens,
    )


def alone(asked: GenerationRequest) -> tuple[Any, ...] | None:
    """What the request gets by itself; None when it is refused."""
    try:
        return outcome(run(engine(blocks=64, speculation=False), asked)[asked.id])
    except (InvalidParameter, PromptTooLong):
        return None


def test_a_storm_changes_no_answer_and_loses_no_block() -> None:
    draw = random.Random(2)
    asked = kinds()
    expected = [alone(each) for each in asked]
    storm = engine(blocks=24, max_sequences=6, step_tokens=48, max_waiting=30)
    answers: dict[tuple[int, str], tuple[int, Answer]] = {}
    seen: Counter[str] = Counter()
    sent = 0

    def take(channel: int, event: Event) -> None:
        kind, answer = answers[channel, event.request_id]
        answer.take(event)
        assert not isinstance(event, Failed), event
        if isinstance(event, Finished):
            seen[event.reason] += 1
            if event.reason != "cancelled":
                assert outcome(answer) == expected[kind]
            del answers[channel, event.request_id]

    while sent < REQUESTS or not storm.is_idle:
        for _ in range(draw.randrange(4) if sent < REQUESTS else 0):
            sent += 1
            kind, channel = draw.randrange(KINDS), draw.randrange(CHANNELS)
            named = replace(asked[kind], id=f"r{sent}")
            try:
                sequence = storm.prepare(named, channel)
                storm.add(sequence)
            except (InvalidParameter, PromptTooLong):
                seen["refused"] += 1
                assert expected[kind] is None or named.adapter is not None, "it may be unloaded just now"
            except EngineBusy:
                seen["busy"] += 1
            else:
                answers[channel, named.id] = kind, Answer()
        if answers and draw.random() < 0.1:
            storm.cancel(*draw.choice(list(answers)))
        if draw.random() < 0.01:
            storm.cancel_channel(draw.randrange(CHANNELS))
        if draw.random() < 0.05:
            name = draw.choice(ADAPTERS)
            try:
                storm.unload_adapter(name)
            except NotFound:
                storm.load_adapter(name, {"w": name})
        for channel, events in storm.step().items():
            for event in events:
                take(channel, event)
    assert not answers
    counted = storm.statistics()
    assert counted["kv_blocks_used"] == 0
    assert min(counted["preemptions_total"], counted["accepted_draft_tokens_total"], counted["cached_tokens_total"]) > 0
    assert min(seen[what] for what in ("length", "stop", "cancelled", "refused")) > REQUESTS // 100, seen
    plain = next(kind for kind, each in enumerate(asked) if expected[kind] is not None and each.adapter is None)
    assert outcome(run(storm, asked[plain])[asked[plain].id]) == expected[plain]
