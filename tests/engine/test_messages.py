from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from myna.chat import Message, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from myna.engine.messages import (
    HEADER,
    MAX_FRAME,
    ClientMessage,
    EngineMessage,
    Events,
    FrameReader,
    Submit,
    decode_part,
    frame,
    group,
)
from myna.engine.request import Delta, Event, Failed, Finished, GenerationRequest, SamplingParams, Started, TokenLogprob

CONVERSATION = (
    Message.of("user", "né"),
    Message("assistant", (ReasoningPart("hm"), TextPart("Yes", (1, 2), "v"), ToolCallPart("c1", "look", '{"at":"é"}'))),
    Message("tool", (ToolResultPart("c1", "a fox"),)),
)


def test_a_request_survives_the_journey() -> None:
    params = SamplingParams(logit_bias={7: -1.5}, stop=("a", "b"), seed=2**63, logprobs=0)
    request = GenerationRequest("id", params, messages=CONVERSATION, owner="ada", continue_last=True)
    arrived = msgspec.msgpack.decode(frame(Submit(request))[HEADER:], type=ClientMessage, dec_hook=decode_part)
    assert arrived == Submit(request)


@pytest.mark.parametrize("part", [{"type": "picture"}, {"text": "no type"}, {"type": []}, 5, {"type": "text"}])
def test_what_is_no_part_of_a_conversation_is_refused(part: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([part], list[Part], dec_hook=decode_part)


def test_events_survive_the_journey_in_the_order_of_each_request() -> None:
    logprob = TokenLogprob(5, b"\xf0\x9f", -0.5, ((6, b"x", -1.0),))
    events: list[Event] = [
        Started("a", 3, 0, 2**63, (1, 2, 3), (None, logprob, logprob)),
        Delta("a", "hé", (5,), (logprob,)),
        Finished("a", "stop", 2, "END", 0.1, 0.2, 0.3),
        Failed("b", "PromptTooLong", "no", "prompt", {"tokens": 9}),
    ]
    arrived = msgspec.msgpack.decode(frame(group(events))[HEADER:], type=EngineMessage)
    assert isinstance(arrived, Events)
    assert [*arrived.started, *arrived.deltas, *arrived.finished, *arrived.failed] == events


@given(st.lists(st.text(max_size=50), max_size=5), st.lists(st.integers(1, 60), min_size=1))
def test_frames_are_put_together_however_they_arrive(texts: list[str], sizes: list[int]) -> None:
    messages = [group([Delta("a", text, ())]) for text in texts]
    sent = b"".join(frame(message) for message in messages)
    reader, received, size = FrameReader(), [], iter(sizes * len(sent))
    while sent:
        cut = next(size)
        received += reader.feed(sent[:cut])
        sent = sent[cut:]
    assert [msgspec.msgpack.decode(payload, type=EngineMessage) for payload in received] == messages


def test_a_frame_that_is_too_large_is_refused_before_it_arrives() -> None:
    with pytest.raises(ValueError, match="at most"):
        FrameReader().feed((MAX_FRAME + 1).to_bytes(HEADER, "little"))
