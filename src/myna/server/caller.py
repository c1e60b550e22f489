"""A loaded model as one caller uses it: every request carries whose it is, and is counted, wherever it was made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from starlette.requests import HTTPConnection

from myna.backends.base import Backend, ModelDescription
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.server.identity import Identity, identity_of
from myna.server.inside import IN_BACKGROUND
from myna.server.meter import Meter, Use, use_of
from myna.server.tracing import Tracing

COUNTED_TOGETHER = 32
"""Tokens of an answer; a stream's limits lag behind it by no more."""


@dataclass(frozen=True, slots=True)
class CallersModel:
    """What of a backend a request may use, in its caller's name.

    Attributes:
        backend: the loaded model.
        caller: who asks.
        model: its name.
        use: what the request has used, where it is counted.
        meter: what the caller has used, where it is counted too.
        background: as `GenerationRequest` has it.
        tracing: makes the spans, where there are any.
    """

    backend: Backend
    caller: Identity
    model: str
    use: Use
    meter: Meter
    background: bool = False
    tracing: Tracing | None = None

    def check_quota(self) -> None:
        """Whether the caller may still use a model today. Raises QuotaExhausted."""
        self.meter.check_quota(self.caller)

    async def generate(
        self, request: GenerationRequest, *, is_copy: bool = False
    ) -> AsyncGenerator[Started | Delta | Finished, None]:
        """As `Backend.generate`; the prefix cache is the caller's own.

        Every token is counted, also of an answer whose reader goes. The prompt of a copy was counted already.
        """
        counted = uncounted = 0
        request = replace(request, owner=self.caller.user, background=self.background)
        span = None if self.tracing is None else self.tracing.generation(request, self.model)
        failure: BaseException | None = None
        try:
            async with aclosing(self.backend.generate(request)) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        uncounted += len(event.token_ids)
                        if uncounted >= COUNTED_TOGETHER:
                            self._count(0, uncounted)
                            counted += uncounted
                            uncounted = 0
                    elif isinstance(event, Finished):
                        uncounted = event.completion_tokens - counted  # with those that had no text
                        # The first token is not among those that the seconds are of.
                        key, timed = self.caller.key, event.completion_tokens - 1
                        self.meter.time(self.caller.user, key, self.model, timed, event.decode_seconds)
                        if span is not None:
                            span.finished(event)
                    else:
                        if not is_copy:
                            self._count(event.prompt_tokens, 0)
                        if span is not None:
                            span.started(event)
                    yield event
        except BaseException as error:
            failure = error
            raise
        finally:
            if uncounted:
                self._count(0, uncounted)
            if span is not None:
                span.used(completion=counted + uncounted)
                span.end(failure)

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        """As `Backend.embed`."""
        span = None if self.tracing is None else self.tracing.embedding(request, self.model)
        failure: BaseException | None = None
        try:
            embedded = await self.backend.embed(replace(request, background=self.background))
            self._count(sum(embedded.tokens), 0)
            if span is not None:
                span.used(prompt=sum(embedded.tokens))
            return embedded
        except BaseException as error:
            failure = error
            raise
        finally:
            if span is not None:
                span.end(failure)

    async def encode_prompt(self, request: GenerationRequest) -> list[int]:
        """As `Backend.encode_prompt`."""
        return await self.backend.encode_prompt(request)

    async def tokenize(self, text: str) -> list[int]:
        """As `Backend.tokenize`."""
        return await self.backend.tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """As `Backend.detokenize`."""
        return await self.backend.detokenize(token_ids)

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        """As `Backend.spell`."""
        return await self.backend.spell(token_ids)

    async def describe(self) -> ModelDescription:
        """As `Backend.describe`."""
        return await self.backend.describe()

    def _count(self, prompt: int, completion: int) -> None:
        self.use.prompt_tokens += prompt
        self.use.completion_tokens += completion
        self.meter.spend(self.caller.user, self.caller.key, self.model, prompt=prompt, completion=completion)


def callers_model(connection: HTTPConnection, backend: Backend, model: str) -> CallersModel:
    """A loaded model for who is asking, and one more request that uses it."""
    caller, use, state = identity_of(connection), use_of(connection), connection.app.state
    use.model = model
    state.meter.spend(caller.user, caller.key, model, requests=1)
    is_background = connection.scope.get(IN_BACKGROUND, False)
    return CallersModel(backend, caller, model, use, state.meter, is_background, state.tracing)
