"""Answers under a grammar: always of the form, whatever the model would say; those beside them are as ever."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from myna.chat import Message
from myna.engine import grammar as grammar_module
from myna.engine.engine import Engine
from myna.engine.grammar import MAX_DIGITS, Grammars, NumberRuns
from myna.engine.grammar_source import MAX_SOURCE, GrammarTrial, expanded
from myna.engine.request import GenerationRequest, Grammar, GrammarKind, SamplingParams
from myna.errors import InvalidParameter
from tests.patience import WAIT_SECONDS

from .fakes import CONTROL, END, VOCAB, Answer, FakeExecutor, FakeTokenizer, fake_engine, request, run

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "height": {"type": "number"},
        "colours": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "height", "colours"],
    "additionalProperties": False,
}
ARITHMETIC = """
start: sum
sum: product (/[+-]/ product)*
product: NUMBER ("*" NUMBER)*
NUMBER: /[1-9][0-9]{0,2}/
"""


@pytest.fixture(scope="module")
def engines() -> Iterator[list[Engine]]:
    started: list[Engine] = []
    yield started
    for engine in started:
        engine.close()


@pytest.fixture(scope="module")
def engine(engines: list[Engine]) -> Engine:
    engines.append(fake_engine(context=4096, blocks=1024))
    return engines[-1]


def constrained(name: str, kind: GrammarKind, source: str = "", **params: Any) -> GenerationRequest:
    return replace(request(name, **params), grammar=Grammar(kind, source))


def reason(answer: Answer) -> str:
    assert answer.finished is not None, answer.failed
    return answer.finished.reason


def check_person(text: str) -> None:
    person = json.loads(text)
    assert list(person) == ["name", "age", "height", "colours"]
    assert len(person["name"]) <= 12
    assert 0 <= person["age"] <= 150
    assert isinstance(person["height"], int | float)
    assert 1 <= len(person["colours"]) <= 3
    assert set(person["colours"]) <= {"red", "green", "blue"}


def test_a_schema_holds_whatever_the_model_would_say(engine: Engine) -> None:
    answers = run(
        engine, *(constrained(f"a{seed}", "json_schema", json.dumps(PERSON), seed=seed) for seed in range(64))
    )
    assert {reason(answer) for answer in answers.values()} == {"stop"}
    for answer in answers.values():
        check_person(answer.text)
    assert len({answer.text for answer in answers.values()}) == 64


def test_any_object_is_one_of_json(engine: Engine) -> None:
    answers = run(engine, *(constrained(f"a{seed}", "json_object", seed=seed, max_tokens=2000) for seed in range(32)))
    whole = [answer.text for answer in answers.values() if reason(answer) == "stop"]
    assert whole
    assert all(isinstance(json.loads(text), dict) for text in whole)


@pytest.mark.parametrize("pattern", [r"[A-Z][a-z]{2,8}", r"(\+|-)?\d{1,3}(\.\d+)?", r"yes|no|perhaps", r"né{1,3}!"])
def test_a_regular_expression_is_matched_from_end_to_end(engine: Engine, pattern: str) -> None:
    answers = run(engine, *(constrained(f"a{seed}", "regex", pattern, seed=seed) for seed in range(16)))
    for answer in answers.values():
        assert reason(answer) == "stop"
        assert re.fullmatch(pattern, answer.text), answer.text


def test_a_lark_grammar_is_followed(engine: Engine) -> None:
    for seed in range(16):
        answer = run(engine, constrained("a", "lark", ARITHMETIC, seed=seed))["a"]
        assert re.fullmatch(r"[1-9]\d{0,2}([*+-][1-9]\d{0,2})*", answer.text), answer.text


def test_an_answer_ends_with_its_grammar_and_never_before(engine: Engine) -> None:
    script = [END, END, *b"xx", END]
    engine.model.executor.script += script  # type: ignore[attr-defined]
    answer = run(engine, constrained("a", "regex", "ab[xyz]{2}c?"))["a"]
    assert answer.text == "abxx", "the end that the model wanted came when the grammar let it"
    assert reason(answer) == "stop"
    whole = run(engine, constrained("b", "regex", "abc"))["b"]
    assert whole.finished is not None
    assert whole.finished.completion_tokens == 3, "nothing could follow, so no token was spent on the end"


def test_an_answer_that_is_cut_says_so(engine: Engine) -> None:
    answer = run(engine, constrained("a", "json_schema", json.dumps(PERSON), max_tokens=9))["a"]
    assert reason(answer) == "length"
    assert answer.finished is not None
    assert answer.finished.completion_tokens == 9


def test_the_callers_stop_strings_count_and_the_dialects_do_not(engine: Engine) -> None:
    said = replace(
        GenerationRequest("a", SamplingParams(seed=3), messages=(Message.of("user", "hi"),), dialect="shouting"),
        grammar=Grammar("regex", "[!]{3}[a-c]{4}"),
    )
    assert re.fullmatch("!!![a-c]{4}", run(engine, said)["a"].text)
    stopped = run(engine, constrained("b", "regex", "abcdef", stop=("d",)))["b"]
    assert stopped.text == "abc"
    assert stopped.finished is not None
    assert stopped.finished.stop == "d"


def test_the_end_is_ignored_on_request_as_long_as_more_can_follow(engine: Engine) -> None:
    engine.model.executor.script += [END] * 4  # type: ignore[attr-defined]
    answer = run(engine, constrained("a", "regex", "a{2,4}", ignore_eos=True))["a"]
    assert answer.text == "aaaa"


def test_neighbours_write_what_they_would_alone(engine: Engine) -> None:
    def neighbours() -> list[GenerationRequest]:
        return [
            request("plain", "some words", seed=1, max_tokens=60),
            request("penalised", "some words", seed=2, max_tokens=60, repetition_penalty=1.5, logprobs=2),
            request("biased", "other words", seed=3, max_tokens=60, logit_bias={65: 5.0}),
        ]

    alone = run(engine, *neighbours())
    beside = run(engine, constrained("json", "json_schema", json.dumps(PERSON)), *neighbours())
    for name, answer in alone.items():
        assert (beside[name].token_ids, beside[name].logprobs) == (answer.token_ids, answer.logprobs)


def test_preemption_and_guesses_change_nothing(engine: Engine, engines: list[Engine]) -> None:
    def requests() -> list[GenerationRequest]:
        return [constrained(f"a{i}", "json_schema", json.dumps(PERSON), seed=i) for i in range(4)] + [
            request(f"b{i}", "ab" * 20, seed=i, max_tokens=60) for i in range(2)
        ]

    expected = run(engine, *requests())
    engines.append(fake_engine(FakeExecutor(), blocks=12))
    answers = run(engines[-1], *requests())
    assert engines[-1].scheduler.num_preemptions > 0
    assert {name: answer.token_ids for name, answer in answers.items()} == {
        name: answer.token_ids for name, answer in expected.items()
    }


def test_numbers_come_to_an_end(engine: Engine) -> None:
    schema = json.dumps({"type": "array", "items": {"type": "number"}, "maxItems": 1})
    engine.model.executor.script += [*b"[0.", *b"3" * (MAX_DIGITS + 1)]  # type: ignore[attr-defined]
    answer = run(engine, constrained("a", "json_schema", schema))["a"]
    [digits] = re.findall(r"\.(3+)", answer.text)
    assert len(digits) == MAX_DIGITS
    fixed = run(engine, constrained("b", "json_schema", json.dumps({"const": 10**30})))["b"]
    assert json.loads(fixed.text) == 10**30, "where nothing but a digit may follow, it does"


@pytest.mark.parametrize(
    ("text", "length"),
    [("[12", 2), ("1.250", 3), ("[12,", 0), ('{"a12', 0), (r'"\"12', 0), (r'"\\"12', 2), ('"a1": 5', 1)],
)
def test_digits_count_in_numbers_alone(text: str, length: int) -> None:
    runs = NumberRuns()
    for byte in text.encode():
        runs.push(bytes([byte]))
    assert runs.length == length


HOSTILE: dict[str, tuple[GrammarKind, Any, str]] = {
    "no JSON": ("json_schema", "{", "no JSON schema"),
    "no object": ("json_schema", [1], "a schema is an object"),
    "false": ("json_schema", False, "a schema is an object"),
    "endless reference": ("json_schema", {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "no text"),
    "no such reference": ("json_schema", {"$ref": "#/$defs/a"}, "does not exist"),
    "reference to elsewhere": ("json_schema", {"$ref": "https://example.org/a"}, "does not fetch"),
    "unsupported keyword": ("json_schema", {"not": {"type": "string"}}, 'Unimplemented keys: ["not"]'),
    "leniency of its own": ("json_schema", {"x-guidance": {"lenient": True}, "if": {}}, "Unimplemented keys"),
    "unknown type": ("json_schema", {"type": "strin"}, "Invalid type: strin"),
    "unknown format": ("json_schema", {"type": "string", "format": "colour"}, "Unknown format"),
    "contradiction": ("json_schema", {"type": "integer", "minimum": 5, "maximum": 3}, "Unsatisfiable"),
    "too deep": ("json_schema", '{"items":' * 2000 + "{}" + "}" * 2000, "recursion"),
    "too long": ("regex", "a" * (MAX_SOURCE + 1), f"at most {MAX_SOURCE}"),
    "too many combinations": (
        "json_schema",
        {"allOf": [{"anyOf": [{"properties": {f"k{i}{j}": {"type": "null"}}} for j in range(3)]} for i in range(8)]},
        "too large",
    ),
    "no regular expression": ("regex", "(", "unclosed group"),
    "look-around": ("regex", "(?=a)b", "look-around"),
    "back reference": ("regex", r"(a)\1", "backreferences"),
    "counted to death": ("regex", "(((a{1000}){1000}){1000}){1000}", "written out"),
    "overflowing the stack": (
        "lark",
        "start: r0\n" + "\n".join(f"r{i}: r{i + 1}" for i in range(6000)) + '\nr6000: "a"',
        "cannot be compiled within",
    ),
    "no lark": ("lark", "start", "Expected token"),
    "doubling": (
        "lark",
        "start: T0\n" + "\n".join(f"T{i}: T{i + 1} T{i + 1}" for i in range(60)) + '\nT60: "a"',
        "big",
    ),
    "itself": ("lark", "start: start", "no text"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_used_is_refused_by_name(engine: Engine, name: str) -> None:
    kind, source, reason = HOSTILE[name]
    assert engine._grammars is not None
    engine._grammars._trial._process.seconds = WAIT_SECONDS  # what is told is not to depend on the machine's speed
    grammar = Grammar(kind, source if isinstance(source, str) else json.dumps(source), param="response_format")
    with pytest.raises(InvalidParameter, match=re.escape(reason)) as caught:
        engine.prepare(replace(request("a"), grammar=grammar))
    assert caught.value.param == "response_format"
    assert caught.value.message.count("cannot be used") == 1
    assert len(caught.value.message) < 600


def test_a_grammar_that_does_not_compile_in_time_harms_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = GrammarTrial(seconds=0.5)
    try:
        with pytest.raises(InvalidParameter, match=r"within 0\.5 s"):
            trial.check(Grammar("regex", ".*" * 20000))
        trial._process.seconds = 30
        trial.check(Grammar("regex", "ab*"))
    finally:
        trial.close()


def test_a_grammar_whose_mask_does_not_come_fails_alone(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    going = threading.Event()
    slow = engine.prepare(constrained("slow", "regex", "[ab]{40}"))
    assert slow.matcher is not None
    with monkeypatch.context() as impatient:
        impatient.setattr(grammar_module, "MASK_SECONDS", 0.05)
        impatient.setattr(slow.matcher, "_compute", lambda: going.wait(WAIT_SECONDS) and None)
        engine.add(slow)
        answers = run(engine, request("free", seed=5, max_tokens=40))
    going.set()
    failed = answers["slow"].failed
    assert failed is not None
    assert (failed.error, failed.param) == ("InvalidParameter", "grammar")
    assert answers["free"].finished is not None
    assert len(run(engine, constrained("next", "regex", "[ab]{40}"))["next"].text) == 40, "other threads do the next"


@pytest.mark.parametrize(
    ("pattern", "size"),
    [
        ("abc", 3),
        ("a{3}", 3),
        ("(ab){2,3}c", 7),
        (r"(\({2}x){10}", 30),
        ("((a{10}){10}){10}", 1000),
        ("(a{5}){,9}x{2,}", 11),
        ("a)b{3}){2}", 8),
    ],
)
def test_patterns_are_as_large_as_what_they_are_written_out(pattern: str, size: int) -> None:
    assert expanded(pattern) == size


def test_control_tokens_are_never_text() -> None:
    grammars = Grammars(FakeTokenizer())
    try:
        row = np.zeros(-(-VOCAB // 32), np.uint32)
        grammars.matcher(Grammar("regex", r"(?s:.*)"), frozenset({END})).fill(row)
        allowed = np.unpackbits(row.view(np.uint8), bitorder="little").nonzero()[0].tolist()
        assert CONTROL not in allowed
        assert END in allowed
        assert max(allowed) < VOCAB
        assert {ord("a"), 258} <= set(allowed)
    finally:
        grammars.close()
