from __future__ import annotations

from typing import Any

import pytest

from myna.engine.background import PATIENCE, SHARE, STEP_TOKENS
from myna.engine.blocks import BlockPool
from myna.engine.request import GenerationRequest, SamplingParams
from myna.engine.scheduler import Scheduler
from myna.engine.sequence import Sequence
from myna.engine.stream import TextStream
from myna.errors import EngineBusy

from .fakes import FakeExecutor, fake_engine, request, run

SIZE = 4


def scheduler(blocks: int = 400, **options: int) -> Scheduler:
    values: Any = {"context": 1000, "max_sequences": 64, "step_tokens": 128, "max_waiting": 100} | options
    return Scheduler(BlockPool(blocks, SIZE), **values)


def sequence(name: str, length: int = 8, *, background: bool = False, owner: str = "", arrived: float = 0) -> Sequence:
    start = int.from_bytes(name.encode()[-3:]) % 1_000_000 * 100
    return Sequence(
        GenerationRequest(name, SamplingParams(), token_ids=(), owner=owner, background=background),
        range(start, start + length),
        seed=0,
        max_tokens=100,
        stream=TextStream(),
        stop_token_ids=frozenset(),
        arrived_at=arrived,
    )


def batch(count: int, length: int = 8) -> list[Sequence]:
    return [sequence(f"b{index}", length, background=True) for index in range(count)]


def step(target: Scheduler, now: float = 0.0) -> dict[str, int]:
    """One step: who computed how much. Those that caught up get a token."""
    chunks = target.schedule(now)
    for chunk in chunks:
        target.advance(chunk)
        if not chunk.sequence.num_uncomputed:
            chunk.sequence.tokens.append(1)
    return {chunk.sequence.id: chunk.num_tokens for chunk in chunks}


def fill(target: Scheduler, sequences: list[Sequence]) -> None:
    """Let all of them run and decode."""
    for each in sequences:
        target.add(each)
    for _ in range(100):
        if not target.num_waiting and all(each.num_uncomputed == 1 for each in sequences):
            return
        step(target)
    raise AssertionError("they do not all run")


def test_a_live_request_is_read_at_once_beside_a_running_batch() -> None:
    target = scheduler()
    fill(target, batch(30))
    target.add(sequence("live", 40))
    assert step(target) == {"live": 40}, "its whole prompt in the first step and nothing else, as with an idle engine"
    assert len(target.running) == 31, "the batch rests where it is"


def test_the_batch_gets_its_share_while_a_live_answer_is_written() -> None:
    target = scheduler()
    fill(target, batch(30))
    target.add(live := sequence("live", 8))
    steps = [step(target) for _ in range(8 * SHARE)]
    assert all(live.id in each for each in steps), "the live answer takes part in every step"
    background = sum(sum(each.values()) for each in steps) - sum(each[live.id] for each in steps)
    assert background == (8 + 8 * SHARE - 1) // SHARE
    target.remove(live)
    assert len(step(target)) == 30


def test_it_gets_its_share_too_where_live_prompts_are_read_all_the_time() -> None:
    target = scheduler(blocks=1000)
    for each in batch(30):
        target.add(each)
    live = background = 0
    for index in range(20):
        name = f"live{index}"
        target.add(asked := sequence(name, 900))
        while asked.num_uncomputed > 1:
            taken = step(target)
            live += taken.pop(name)
            background += sum(taken.values())
        target.remove(asked)
    assert 0.9 * live / SHARE < background <= live / SHARE


def test_background_requests_are_admitted_when_no_live_one_waits() -> None:
    target = scheduler(max_sequences=2)
    for name, background in [("b1", True), ("b2", True), ("live1", False), ("live2", False), ("live3", False)]:
        target.add(sequence(name, background=background))
    order = []
    while not target.is_idle:
        step(target)
        order.append([each.id for each in target.running])
        target.remove(target.running[0])
    assert order == [["live1", "live2"], ["live2", "live3"], ["live3", "b1"], ["b1", "b2"], ["b2"]]


def test_a_full_engine_makes_a_slot_for_a_live_request() -> None:
    target = scheduler(max_sequences=4)
    fill(target, batch(4))
    target.add(live := sequence("live"))
    assert step(target)["live"] == 8
    assert [each.id for each in target.running] == ["b0", "b1", "b2", "live"], "the youngest has made room"
    target.remove(live)
    step(target)
    assert [each.id for each in target.running] == ["b0", "b1", "b2", "b3"]


def test_the_cache_is_a_live_requests_before_it_is_a_batchs() -> None:
    target = scheduler(blocks=20)
    fill(target, batch(5))
    live = sequence("live", 60)
    target.add(live)
    assert step(target)["live"] == 60
    while len(live.tokens) < 20 * SIZE:
        step(target)
    assert [each.id for each in target.running] == ["live"], "its answer took their blocks as it grew"
    target.remove(live)
    step(target)
    assert [each.id for each in target.running][:2] == ["b0", "b1"], "they come back in their old order"


def test_a_batch_never_makes_live_answers_start_anew() -> None:
    target = scheduler(blocks=12)
    live = sequence("live", 8)
    target.add(live)
    for each in batch(4, 10):
        target.add(each)
    blocks = 0
    while len(live.tokens) < 11 * SIZE:
        step(target)
        assert len(live.blocks) >= blocks
        blocks = len(live.blocks)


def test_a_live_prompt_does_not_wait_for_the_same_one_of_a_batch() -> None:
    target = scheduler()
    target.add(sequence("same", 100, background=True))
    assert step(target) == {"same": STEP_TOKENS}
    twin = sequence("same", 100)
    twin.id = "twin"
    target.add(twin)
    assert step(target)["twin"] == 100 - STEP_TOKENS // SIZE * SIZE, "what is computed is taken over, nothing awaited"


def test_steps_of_a_batch_alone_are_short() -> None:
    target = scheduler(blocks=1000, max_sequences=128, step_tokens=512)
    for each in batch(100, 20):
        target.add(each)
    for _ in range(200):
        assert sum(step(target).values()) <= STEP_TOKENS


def test_a_batch_and_live_requests_have_a_queue_each() -> None:
    target = scheduler(max_waiting=2)
    for each in batch(2):
        target.add(each)
    with pytest.raises(EngineBusy, match="2 requests are waiting"):
        target.add(sequence("b9", background=True))
    for name in ("live1", "live2"):
        target.add(sequence(name))
    with pytest.raises(EngineBusy, match="2 requests are waiting"):
        target.add(sequence("live3"))


def test_nothing_waits_for_ever_on_a_server_that_is_never_idle() -> None:
    target = scheduler(max_sequences=2)
    for index in range(2):
        target.add(sequence(f"b{index}", background=True))
    ended: list[str] = []
    now = 0.0
    for index in range(40):
        target.add(sequence(f"live{index}", arrived=now))
        for _ in range(3):
            step(target, now)
        now += PATIENCE / 8
        if len(target.running) == 2:
            ended.append(target.running[0].id)
            target.remove(target.running[0])
    assert {"b0", "b1"} <= set(ended), "each had a turn"
    assert ended.index("b1") - ended.index("b0") > 1, "one at a time"


def test_how_long_a_batch_waits_is_not_counted_as_how_long_people_do() -> None:
    engine = fake_engine(FakeExecutor(may_end=False))
    run(engine, request("live", max_tokens=5), *(request(f"b{n}", max_tokens=5, background=True) for n in range(3)))
    statistics = engine.statistics()
    assert statistics["generated_tokens_total"] == 20
    counts = [
        statistics[f"{name}_count"] for name in ("queue_seconds", "first_token_seconds", "between_tokens_seconds")
    ]
    assert counts == [1, 1, 4]


@pytest.mark.parametrize("blocks", [9, 64])
def test_what_a_background_request_says_does_not_depend_on_it(blocks: int) -> None:
    asked = [request(f"r{index}", range(20 + index), max_tokens=40, background=index % 2 == 0) for index in range(6)]
    alone = {each.id: run(fake_engine(), each)[each.id].token_ids for each in asked}
    together = run(fake_engine(blocks=blocks, max_sequences=3), *asked)
    assert {name: answer.token_ids for name, answer in together.items()} == alone
