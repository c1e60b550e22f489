"""Answers of the real model that must have a form, asked for as the official client does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from tests.processes import Server

MODEL = "default"


class Animal(BaseModel):
    name: str = Field(max_length=30)
    kind: Literal["bird", "fish", "mammal"]
    legs: int = Field(ge=0, le=100)
    can_fly: bool
    colours: list[Literal["black", "white", "brown", "yellow"]] = Field(max_length=3)


class Zoo(BaseModel):
    city: str = Field(max_length=30)
    animals: list[Animal] = Field(max_length=2)


ASK: Any = [{"role": "user", "content": "Describe a myna, the bird, as JSON."}]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="myna", max_retries=0) as client:
        yield client


@pytest.fixture
async def asynchronous(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="myna", max_retries=0) as client:
        yield client


def test_the_official_client_parses_a_model_of_data(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Animal, temperature=0)
    assert answer.choices[0].finish_reason == "stop"
    assert isinstance(answer.choices[0].message.parsed, Animal)


async def test_every_seed_and_temperature_gives_what_the_schema_says(asynchronous: openai.AsyncOpenAI) -> None:
    async def ask(seed: int) -> Zoo | None:
        answer = await asynchronous.chat.completions.parse(
            model=MODEL, messages=ASK, response_format=Zoo, temperature=seed % 5 * 0.5, seed=seed
        )
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.parsed

    zoos = await asyncio.gather(*(ask(seed) for seed in range(20)))
    assert all(isinstance(zoo, Zoo) for zoo in zoos)
    assert len({str(zoo) for zoo in zoos}) > 10


async def test_a_form_is_streamed(asynchronous: openai.AsyncOpenAI) -> None:
    async with asynchronous.chat.completions.stream(
        model=MODEL, messages=ASK, response_format=Animal, seed=1
    ) as stream:
        deltas = [event async for event in stream if event.type == "content.delta"]
        final = await stream.get_final_completion()
    assert len(deltas) > 5
    assert isinstance(final.choices[0].message.parsed, Animal)


def test_several_answers_each_have_the_form(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Animal, n=4, seed=2)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert len({choice.message.content for choice in answer.choices}) > 1
    assert all(isinstance(choice.message.parsed, Animal) for choice in answer.choices)
    alone = client.chat.completions.parse(model=MODEL, messages=ASK, response_format=Animal, seed=2)
    assert alone.choices[0].message.content == answer.choices[0].message.content
    assert answer.usage is not None
    assert alone.usage is not None
    assert answer.usage.prompt_tokens == alone.usage.prompt_tokens


def test_json_mode_gives_an_object_or_says_that_it_was_cut(client: openai.OpenAI) -> None:
    for seed in range(5):
        answer = client.chat.completions.create(
            model=MODEL, messages=ASK, response_format={"type": "json_object"}, seed=seed, max_tokens=120
        )
        [choice] = answer.choices
        if choice.finish_reason == "stop":
            assert isinstance(json.loads(choice.message.content or ""), dict)
        else:
            assert choice.finish_reason == "length"
            assert answer.usage is not None
            assert answer.usage.completion_tokens == 120


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        ({"type": "regex", "value": r"(yes|no), because [a-z ]{5,40}\."}, r"(yes|no), because [a-z ]{5,40}\."),
        ({"type": "lark", "value": 'start: "<" WORD ">" WORD "</>"\nWORD: /[a-z]{1,9}/'}, r"<[a-z]{1,9}>[a-z]{1,9}</>"),
        ({"type": "json_schema", "value": {"enum": ["red", "green"]}}, '"red"|"green"'),
    ],
)
def test_other_grammars_hold_in_both_apis(client: openai.OpenAI, grammar: dict[str, Any], pattern: str) -> None:
    for seed in range(4):
        more: Any = {"seed": seed, "extra_body": {"grammar": grammar}}
        chat = client.chat.completions.create(model=MODEL, messages=ASK, **more)
        assert re.fullmatch(pattern, chat.choices[0].message.content or "")
        plain = client.completions.create(model=MODEL, prompt="Can mynas talk?", max_tokens=200, **more)
        assert re.fullmatch(pattern, plain.choices[0].text)


async def test_neighbours_say_what_they_say_alone(asynchronous: openai.AsyncOpenAI) -> None:
    async def plain() -> str | None:
        answer = await asynchronous.chat.completions.create(model=MODEL, messages=ASK, seed=9, max_tokens=40)
        return answer.choices[0].message.content

    alone = await plain()
    together = await asyncio.gather(
        plain(),
        *(
            asynchronous.chat.completions.parse(model=MODEL, messages=ASK, response_format=Animal, seed=seed)
            for seed in range(3)
        ),
    )
    assert together[0] == alone


@pytest.mark.parametrize(
    ("schema", "stream"),
    [
        ({"type": "object", "not": {"type": "string"}}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, True),
        ({"type": "string", "pattern": "(((a{1000}){1000}){1000}){1000}"}, True),
        ({"type": "string", "pattern": ".*" * 20000}, False),
    ],
    ids=["unsupported", "recursive", "counted", "slow"],
)
def test_a_schema_that_cannot_be_used_is_refused_by_name(
    client: openai.OpenAI, schema: dict[str, Any], stream: bool
) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=MODEL, messages=ASK, response_format=form, stream=stream)
    assert caught.value.param == "response_format.json_schema.schema"
