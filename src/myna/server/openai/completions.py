"""``POST /v1/completions``: one or many prompts, as text or token ids, carried on or only scored."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.errors import MynaError
from myna.server.connected import answer_while_connected
from myna.server.errors import json_response
from myna.server.openai.connection import EventStream, read_json, request_schema
from myna.server.openai.generation import (
    ServedModel,
    copies,
    finish_reason,
    run_all,
    serve_model,
    unix_seconds,
    usage,
)
from myna.server.openai.logprobs import CompletionLogprobs, joined
from myna.server.openai.sse import DONE, ChunkWriter, encode, error_frame
from myna.server.openai.types import CompletionBody

router = APIRouter()

Events = AsyncGenerator[tuple[int, Started | Delta | Finished], None]


@dataclass(slots=True)
class Choice:
    """What has arrived of one prompt's completion. ``echo``: the prompt's text, if it is to be repeated."""

    echo: str | None
    with_logprobs: bool
    text: list[str] = field(default_factory=list)
    logprobs: list[dict[str, Any]] = field(default_factory=list)
    offsets: CompletionLogprobs = field(default_factory=CompletionLogprobs)
    started: Started | None = None
    finished: Finished | None = None
    likelihood: float = 0.0
    tokens: int = 0

    @property
    def quality(self) -> float:
        """Mean log-probability of its tokens, by which the best of several are chosen."""
        return self.likelihood / max(1, self.tokens)

    def take(self, event: Started | Delta) -> tuple[str, dict[str, Any] | None]:
        """Text and log-probabilities that an event adds."""
        text, logprobs = "", None
        if isinstance(event, Started):
            self.started = event
            if self.echo is not None:
                text = self.echo
                if event.prompt_logprobs is not None:
                    logprobs = self.offsets.prompt(text, event.prompt_logprobs)
        else:
            text = event.text
            if event.logprobs:
                self.likelihood += sum(token.logprob for token in event.logprobs)
                self.tokens += len(event.logprobs)
                if self.with_logprobs:
                    logprobs = self.offsets.generated(event.logprobs)
        self.text.append(text)
        if logprobs is not None:
            self.logprobs.append(logprobs)
        return text, logprobs


@router.post("/v1/completions", openapi_extra=request_schema(CompletionBody))
async def create_completion(request: Request) -> Response:
    """Carry on texts."""
    body = CompletionBody.parse(await read_json(request))
    request_id = f"cmpl-{uuid.uuid4().hex}"
    prompts, tries, params, form, suffix = body.prompts, body.tries, body.params, body.form, body.after
    include_usage = body.include_usage

    async def answer() -> Response:
        model = await serve_model(request, body.model, body.adapter)
        generations = [
            GenerationRequest(
                id=f"{request_id}-{index}",
                params=params,
                text=prompt if isinstance(prompt, str) else None,
                token_ids=prompt if isinstance(prompt, tuple) else None,
                suffix=suffix,
                adapter=model.adapter,
                grammar=form,
            )
            for index, prompt in enumerate(prompts)
        ]
        choices = [
            Choice(echo, body.logprobs is not None)
            for echo in await _echoes(model, prompts, body.echo)
            for _ in range(tries)
        ]
        common = {
            "id": request_id,
            "object": "text_completion",
            "created": unix_seconds(),
            "model": model.name,
            "system_fingerprint": model.fingerprint,
        }
        events = _scored(
            run_all(model.backend, [each for one in generations for each in copies(one, tries)], tries), tries
        )
        if not body.stream:
            return json_response(common | await _complete(choices, events, tries, body.n))
        first = await anext(events)  # a prompt that is refused is an HTTP error, not a broken stream
        writer = ChunkWriter(common, with_usage=include_usage, padded=body.padded)
        return EventStream(_frames(writer, choices, first, events, tries, include_usage), events)

    return await answer_while_connected(request, answer())


async def _echoes(model: ServedModel, prompts: Sequence[str | tuple[int, ...]], echo: bool) -> list[str | None]:
    if not echo:
        return [None] * len(prompts)
    return [prompt if isinstance(prompt, str) else await model.backend.detokenize(list(prompt)) for prompt in prompts]


async def _scored(events: Events, tries: int) -> Events:
    """The same events; what the first of each prompt's completions knows of its prompt, the others are told."""
    known: dict[int, Started] = {}
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, Started):
                first = known.setdefault(index // tries, event)
                event = replace(event, prompt_logprobs=first.prompt_logprobs)
            yield index, event


async def _complete(choices: list[Choice], events: Events, tries: int, wanted: int) -> dict[str, Any]:
    async with aclosing(events):
        async for index, event in events:
            if isinstance(event, Finished):
                choices[index].finished = event
            else:
                choices[index].take(event)
    best = [
        choice
        for start in range(0, len(choices), tries)
        for choice in sorted(choices[start : start + tries], key=lambda choice: choice.quality, reverse=True)[:wanted]
    ]
    return {
        "choices": [
            {
                "index": index,
                "text": "".join(choice.text),
                "logprobs": joined(choice.logprobs) if choice.with_logprobs else None,
                "finish_reason": finish_reason(choice.finished) if choice.finished else None,
            }
            for index, choice in enumerate(best if tries > wanted else choices)
        ],
        "usage": _usage(choices, tries),
    }


async def _frames(
    writer: ChunkWriter,
    choices: list[Choice],
    first: tuple[int, Started | Delta | Finished],
    events: Events,
    tries: int,
    include_usage: bool,
) -> AsyncGenerator[bytes, None]:
    def frame(index: int, event: Started | Delta | Finished) -> bytes | None:
        if isinstance(event, Finished):
            choices[index].finished = event
            reason = encode(finish_reason(event))
            return writer.choice(b'{"index":%d,"text":"","logprobs":null,"finish_reason":%b}' % (index, reason))
        text, logprobs = choices[index].take(event)
        if not text and logprobs is None:
            return None
        return writer.choice(
            b'{"index":%d,"text":%b,"logprobs":%b,"finish_reason":null}' % (index, encode(text), encode(logprobs))
        )

    try:
        if (data := frame(*first)) is not None:
            yield data
        async for index, event in events:
            if (data := frame(index, event)) is not None:
                yield data
        if include_usage:
            yield writer.usage(_usage(choices, tries))
    except MynaError as error:
        yield error_frame(error)
        return
    yield DONE


def _usage(choices: Sequence[Choice], tries: int) -> dict[str, Any]:
    return usage(
        [choice.started for choice in choices[::tries] if choice.started],
        [choice.finished for choice in choices if choice.finished],
    )
