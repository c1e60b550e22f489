"""The task of one run: from the branch above the answer, through a backend, into the run's log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myna.backends.base import Backend, Delta, Finished, GenerationRequest, ModelDescription, Started
from myna.backends.manager import ModelManager
from myna.chat import Message
from myna.engine.request import SamplingParams
from myna.errors import EngineError, MynaError, PromptTooLong, StoreUnavailable
from myna.hub import recommended_sampling
from myna.models.dialects.answer import PLAIN_ANSWER
from myna.runs import context, instructions
from myna.runs.log import RunLog
from myna.runs.reading import Reader
from myna.runs.turn import in_turn
from myna.runs.writer import RETRY_SECONDS
from myna.store.database import Database
from myna.store.records import EndEvent, EndStatus, Failure, MessagePart, StartedEvent, Usage

logger = logging.getLogger(__name__)

MAX_TOKENS = 2048
"""Length of an answer where the request sets none: a small model may not find an end; it can be carried on."""
CANCEL_SECONDS = 5.0
"""How long a backend may take to end a cancelled request before its iterator is closed."""

Spend = Callable[[str, str, int, int], None]
"""Told what answers use as they come: owner, model, tokens of the prompt (once an answer), tokens of the answer."""
Measure = Callable[[str, str, int, float], None]
"""Told how fast an answer was written: owner, model, tokens, seconds from the first to the last of them."""
NOT_SAMPLING = ("dialect", "adapter", "thinking", "system_prompt")


def sampling(model: str, parameters: Mapping[str, Any]) -> SamplingParams:
    """What the request asks for, and where it does not say, what is recommended for the model."""
    asked = {name: value for name, value in complete(model, parameters).items() if name not in NOT_SAMPLING}
    return SamplingParams(**{**asked, "stop": tuple(asked.get("stop", ()))})


def complete(model: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a request with what counts where it does not say."""
    recommended = recommended_sampling(model)
    defaults = {"temperature": recommended.temperature, "top_p": recommended.top_p, "max_tokens": MAX_TOKENS}
    return {**defaults, **parameters}


def effort(parameters: Mapping[str, Any]) -> str | None:
    """Whether to think first, in the words of `GenerationRequest`."""
    return {None: None, True: "on", False: "none"}[parameters.get("thinking")]


def token_ids_of(parts: Sequence[MessagePart], tokenizer: str) -> tuple[int, ...] | None:
    """All tokens of an answer, if all that it has was generated with this vocabulary."""
    if any(part.token_ids is None or part.tokenizer != tokenizer for part in parts):
        return None
    return tuple(token_id for part in parts for token_id in part.token_ids or ())


def spend_freely(owner: str, model: str, prompt: int, completion: int) -> None:
    """Count nothing."""


def measure_nothing(owner: str, model: str, tokens: int, seconds: float) -> None:
    """Keep no figures."""


class Answer:
    """A run at work. It always ends its log, whatever happens."""

    def __init__(
        self,
        log: RunLog,
        parameters: Mapping[str, Any],
        database: Database,
        models: ModelManager,
        spend: Spend = spend_freely,
        measure: Measure = measure_nothing,
        profile: Database | None = None,
    ) -> None:
        self.log = log
        self._params = sampling(log.run.model, parameters)
        self._dialect: str | None = parameters.get("dialect")
        self._adapter: str | None = parameters.get("adapter")
        self._effort = effort(parameters)
        self._system_prompt: str | None = parameters.get("system_prompt")
        self._database = database
        self._profile = profile
        self._models = models
        self._spend = spend
        self._measure = measure
        self._backend: Backend | None = None
        self._cancelled_as: EndStatus = "interrupted"
        self._task: asyncio.Task[EndEvent] | None = None

    def start(self) -> None:
        """Begin in the background."""
        self._task = asyncio.create_task(self._generate(), name=f"run {self.log.run.id}")
        self._task.add_done_callback(self._over)

    async def stop(self) -> None:
        """End the answer as stopped, with the text it has; return when that is stored."""
        self._cancelled_as = "stopped"
        if self._backend is None:  # the model still loads, or the request waits
            self._cancel()
        else:
            with contextlib.suppress(EngineError):  # it has ended already, and so does its iterator
                await self._backend.cancel(self.log.run.id)
        try:
            await asyncio.wait_for(self.log.ended.wait(), CANCEL_SECONDS)
        except TimeoutError:
            self._cancel()

    async def interrupt(self) -> None:
        """End the answer because the server ends or its chat is gone; return when the task is over."""
        self._cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def abandon(self) -> None:
        """End the answer, of which nothing more is wanted."""
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _over(self, task: asyncio.Task[EndEvent]) -> None:
        # A callback, not a `finally` in the task: a task that is cancelled before its first step runs none.
        if task.cancelled():
            self.log.append(EndEvent(self._cancelled_as, None, None))
        elif (error := task.exception()) is None:
            self.log.append(task.result())
        elif isinstance(error, MynaError):
            self.log.append(EndEvent("failed", None, Failure(error.code, error.told)))
        else:
            logger.error("Run %s failed", self.log.run.id, exc_info=error)
            failure = Failure(MynaError.code, "Something went wrong inside Myna; the server's log says what.")
            self.log.append(EndEvent("failed", None, failure))

    async def _generate(self) -> EndEvent:
        run = self.log.run
        backend = await in_turn(self._models, run.model)
        model = await backend.describe()
        room = context.room(model.context, self._params.max_tokens)
        since, turns = await self._prompt_when_there(model, room)
        while True:
            try:
                return await self._write(backend, model, turns, since)
            except PromptTooLong as error:
                # It has more tokens than was thought: as many times fewer are thought to fit.
                room = room * model.context // error.tokens * 7 // 8
                later, turns = await self._prompt_when_there(model, room)
                if later == since:
                    raise
                since = later

    async def _prompt_when_there(self, model: ModelDescription, room: int) -> tuple[str | None, tuple[Message, ...]]:
        """See `_prompt`. While the database is away, nobody could be told of an end either."""
        while True:
            try:
                return await self._prompt(model, room)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)

    async def _prompt(self, model: ModelDescription, room: int) -> tuple[str | None, tuple[Message, ...]]:
        """What the model is given, in about as many tokens, and the message with which it begins; None for the root."""
        run = self.log.run
        owner = self.log.owner
        async with contextlib.AsyncExitStack() as reading:
            scope = await reading.enter_async_context(self._database.read(owner))
            elsewhere = self._profile
            profile = None if elsewhere is None else await reading.enter_async_context(elsewhere.read(owner))
            # From the answer itself upwards: what it has already (to be carried on) is the last turn then.
            since = await context.beginning(
                scope, run.chat_id, run.message_id, room=room, context=model.context, tokenizer=model.tokenizer
            )
            return since, await instructions.prompt(
                *(scope, run.chat_id, run.message_id, run.model, self._system_prompt), profile=profile, since=since
            )

    async def _write(
        self, backend: Backend, model: ModelDescription, turns: tuple[Message, ...], since: str | None
    ) -> EndEvent:
        run = self.log.run
        kept = self.log.message.parts
        begun = token_ids_of(kept, model.tokenizer)
        if begun and any(part.text for part in kept):
            turns = turns[:-1]  # not its text, but the very tokens that it has
        request = GenerationRequest(
            id=run.id,
            params=self._params,
            messages=turns,
            continue_last=not begun and turns[-1].role == "assistant",
            begun=begun or (),
            owner=self.log.owner,
            dialect=self._dialect,
            adapter=self._adapter,
            reasoning_effort=self._effort,
        )
        started: Started | None = None
        reader = Reader(PLAIN_ANSWER)
        async with contextlib.aclosing(backend.generate(request)) as events:
            async for event in events:
                if isinstance(event, Started):
                    started, self._backend = event, backend
                    self._spend(self.log.owner, run.model, event.prompt_tokens, 0)
                    self.log.append(StartedEvent(event.prompt_tokens, event.cached_tokens, event.seed, model.tokenizer))
                    if event.syntax != PLAIN_ANSWER:
                        reader = Reader(event.syntax, "".join(await backend.spell(begun)) if begun else "")
                elif isinstance(event, Delta):
                    self._spend(self.log.owner, run.model, 0, len(event.token_ids))
                    for said in reader.feed(event.text, event.token_ids):
                        self.log.append(said)
                else:
                    assert started is not None, "a backend says Started first"
                    for said in reader.finish():
                        self.log.append(said)
                    return self._end(started, event, reader.reasoning_seconds, since, model.context)
        raise AssertionError("a backend says Finished last")

    def _end(
        self,
        started: Started,
        finished: Finished,
        reasoning_seconds: float | None,
        since: str | None,
        context_tokens: int,
    ) -> EndEvent:
        # The first token is not among those that the seconds are of.
        self._measure(self.log.owner, self.log.run.model, finished.completion_tokens - 1, finished.decode_seconds)
        usage = Usage(
            prompt_tokens=started.prompt_tokens,
            completion_tokens=finished.completion_tokens,
            cached_tokens=started.cached_tokens,
            finish_reason=finished.reason,
            seed=started.seed,
            first_token_seconds=finished.first_token_seconds,
            decode_seconds=finished.decode_seconds,
            reasoning_seconds=reasoning_seconds,
            context_from=since,
            context_tokens=context_tokens,
        )
        return EndEvent("stopped" if finished.reason == "cancelled" else "complete", usage, None)
