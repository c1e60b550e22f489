"""One answer: the engine in this process, the text to stdout as it comes."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from os import fstat
from typing import TYPE_CHECKING

import typer

from myna.backends.native import in_process
from myna.chat import Message
from myna.cli.interrupts import raises_on_interrupt
from myna.cli.library import options_for
from myna.engine.request import Delta, Finished, GenerationRequest, SamplingParams, Started
from myna.hub.catalog import recommended_sampling
from myna.settings import Settings

if TYPE_CHECKING:
    from myna.backends.base import Backend


MAX_TOKENS = 512
"""Longest answer unless told otherwise: a small model that repeats itself would go on to the end of its context."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer and its figures. Times in seconds."""

    text: str
    token_ids: tuple[int, ...]
    started: Started
    finished: Finished

    @property
    def tokens_per_second(self) -> float:
        """Decoding speed: tokens after the first, over the time from the first to the last."""
        later = self.finished.completion_tokens - 1
        return later / self.finished.decode_seconds if later > 0 and self.finished.decode_seconds else 0.0


async def generate(backend: Backend, request: GenerationRequest, show: Callable[[str], None]) -> Answer:
    """Run a request and show its text as it comes. Cancelling stops it in the engine too.

    Raises:
        MynaError: what the backend refuses or fails with.
    """
    text: list[str] = []
    token_ids: list[int] = []
    async with aclosing(backend.generate(request)) as events:
        async for event in events:
            match event:
                case Started():
                    started = event
                case Delta():
                    text.append(event.text)
                    token_ids += event.token_ids
                    show(event.text)
                case Finished():
                    finished = event
    return Answer("".join(text), tuple(token_ids), started, finished)


def chat_params(
    model: str, *, seed: int | None, temperature: float | None, max_tokens: int | None = None
) -> SamplingParams:
    """Sampling for a person who chats: as the model's makers advise and with an end, unless told otherwise."""
    advised = recommended_sampling(model)
    return SamplingParams(
        max_tokens=MAX_TOKENS if max_tokens is None else max_tokens,
        temperature=advised.temperature if temperature is None else temperature,
        top_p=advised.top_p,
        seed=seed,
    )


def conversation(model: str, system: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages below the instructions: the person's, or else those that the model's makers advise, if any."""
    system = recommended_sampling(model).system_prompt if system is None else system
    return (*((Message.of("system", system),) if system else ()), *messages)


def piped_input() -> str:
    """The text that was piped or redirected into this process, if any was."""
    try:
        mode = fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or none at all
        return ""
    if not (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)):
        return ""
    return sys.stdin.read().strip()


def run_once(
    settings: Settings,
    prompt: str,
    params: SamplingParams,
    *,
    system: str | None,
    as_json: bool,
    dialect: str | None = None,
) -> None:
    """Answer one prompt, on stdout.

    Raises:
        MynaError: the model cannot be fetched or loaded, or the prompt is too long for it.
    """
    options = options_for(settings, settings.model)
    messages = conversation(options.name, system, (Message.of("user", prompt),))
    request = GenerationRequest(id="run", params=params, messages=messages, dialect=dialect)

    def show(text: str) -> None:
        if not as_json:
            typer.echo(text, nl=False)
            sys.stdout.flush()

    async def answer() -> Answer:
        async with in_process(options) as backend:
            return await generate(backend, request, show)

    try:
        with raises_on_interrupt():
            result = asyncio.run(answer())
    except KeyboardInterrupt:
        typer.echo(err=True)
        raise
    typer.echo(json.dumps(_figures(options.name, result), ensure_ascii=False) if as_json else "")
    if result.finished.reason == "length" and not as_json:
        typer.echo(f"(Cut off after {result.finished.completion_tokens} tokens; --max-tokens allows more.)", err=True)


def _figures(model: str, answer: Answer) -> dict[str, object]:
    return {
        "model": model,
        "text": answer.text,
        "finish_reason": answer.finished.reason,
        "seed": answer.started.seed,
        "prompt_tokens": answer.started.prompt_tokens,
        "completion_tokens": answer.finished.completion_tokens,
        "first_token_seconds": round(answer.finished.first_token_seconds, 4),
        "tokens_per_second": round(answer.tokens_per_second, 1),
    }
