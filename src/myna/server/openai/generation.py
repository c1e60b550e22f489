"""From a request's model name and prompts to running sequences, and the figures that every answer carries."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from starlette.requests import Request

import myna
from myna.backends.base import Backend, ModelDescription
from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.errors import EngineError, InvalidParameter, NotFound
from myna.hub import catalog
from myna.server.caller import CallersModel, callers_model
from myna.server.errors import excerpt, suggestion
from myna.server.meter import admit

DEFAULT_MODEL_ALIAS = "default"
SEED_STEP = 0x9E3779B97F4A7C15
"""Between the seeds of one request's answers: 2**64 divided by the golden ratio, which spreads best."""
ADAPTER_MARK = "+"
"""Between a model's name and its adapter's; in no name of the catalog or of a repository."""


class Models(Protocol):
    """What serves models; `myna.backends.manager.ModelManager` is one."""

    @property
    def default(self) -> str:
        """Canonical name of the default model."""

    async def get(self, name: str | None = None) -> Backend:
        """The loaded model, loading it first where needed; raises NotFound and what loading raises."""

    def adapters(self) -> dict[str, list[str]]:
        """Names of loaded LoRA adapters by model."""


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A loaded model, and how answers name it. ``adapter``: the LoRA adapter that was asked for."""

    backend: CallersModel
    description: ModelDescription
    fingerprint: str
    adapter: str | None = None

    @property
    def name(self) -> str:
        """As it is listed."""
        return adapted(self.description.name, self.adapter)


def adapted(model: str, adapter: str | None) -> str:
    """What a model with an adapter is called."""
    return model if adapter is None else f"{model}{ADAPTER_MARK}{adapter}"


def split_name(models: Models, name: str, adapter: str | None) -> tuple[str, str | None]:
    """A model's own name, and the adapter that is asked for: as ``model+adapter``, by its name alone, or apart.

    Raises:
        InvalidParameter: two different adapters are asked for.
    """
    base, _, named = name.rpartition(ADAPTER_MARK)
    if not base or name == models.default:
        owner = next((model for model, adapters in models.adapters().items() if name in adapters), None)
        base, named = (name, "") if owner is None or catalog.find(name) is not None else (owner, name)
    if named and adapter not in (None, named):
        raise InvalidParameter(
            f"'model' asks for the adapter {excerpt(named)} and 'adapter' for {excerpt(adapter)}; name one.",
            param="adapter",
        )
    return base, named or adapter


def known_model(models: Models, name: str) -> str:
    """The model that a request names; "default" means the server's default model.

    A path is no name here, unless it is the default model's: requests must not find out what files there are.

    Raises:
        NotFound: no such model.
    """
    if name in (DEFAULT_MODEL_ALIAS, models.default):
        return models.default
    if not name.startswith("hf:") and catalog.find(name) is None:
        known = (models.default, *(model.name for model in catalog.models()))
        raise NotFound(
            f"There is no model {excerpt(name)}.{suggestion(name, known)} GET /v1/models lists those there are.",
            param="model",
        )
    return name


async def serve_model(request: Request, name: str, adapter: str | None = None) -> ServedModel:
    """The model that a request names, loaded, for its caller; see `known_model` and `split_name`.

    Raises:
        NotFound: no such model.
        InvalidParameter: two different adapters are asked for.
        RateLimited, QuotaExhausted: its caller has to wait.
        EngineError, ModelFileError: it cannot be loaded.
    """
    models: Models = request.app.state.models
    name, adapter = split_name(models, name, adapter)
    known = known_model(models, name)
    await admit(request)
    backend = await models.get(known)
    description = await backend.describe()
    return ServedModel(callers_model(request, backend, known), description, fingerprint(description), adapter)


def fingerprint(model: ModelDescription) -> str:
    """``system_fingerprint``: with the same one, a seed gives the same text.

    That holds for one release, checkpoint, weight format and instruction set.
    """
    parts = (myna.__version__, model.path, model.tokenizer, model.quantisation, model.instruction_set)
    return "fp_" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def copies(request: GenerationRequest, count: int) -> list[GenerationRequest]:
    """The same request so many times, each with a seed of its own; the first alone scores the prompt."""
    seed = request.params.seed
    return [
        replace(
            request,
            id=f"{request.id}-{index}",
            params=replace(
                request.params,
                seed=None if seed is None else (seed + index * SEED_STEP) % (1 << 64),
                prompt_logprobs=None if index else request.params.prompt_logprobs,
            ),
        )
        for index in range(count)
    ]


async def run_all(
    backend: CallersModel, requests: Sequence[GenerationRequest], copies: int = 1
) -> AsyncGenerator[tuple[int, Started | Delta | Finished], None]:
    """Events of several sequences as they come, each with the index of its request.

    Of every so many ``copies``, which have one prompt, the first goes ahead until its prompt is computed: so it is
    tokenised, checked and computed once, and the others take it over. Closing the generator cancels what still runs.
    The first failure ends all.

    Raises:
        MynaError: what a sequence failed with.
    """
    if len(requests) == 1:
        async with aclosing(backend.generate(requests[0])) as events:
            async for event in events:
                yield 0, event
        return
    queue: asyncio.Queue[tuple[int, Started | Delta | Finished] | BaseException | None] = asyncio.Queue(len(requests))
    computed = [asyncio.Event() for _ in requests[::copies]]

    async def forward(index: int, request: GenerationRequest) -> None:
        ahead = computed[index // copies]
        try:
            if index % copies:
                await ahead.wait()
            async with aclosing(backend.generate(request, is_copy=index % copies > 0)) as events:
                async for event in events:
                    await queue.put((index, event))
                    ahead.set()
        except Exception as error:  # carried over to the reader of the queue, which raises it
            await queue.put(error)
        else:
            await queue.put(None)

    tasks = [asyncio.create_task(forward(index, request)) for index, request in enumerate(requests)]
    running = len(tasks)
    try:
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def finish_reason(finished: Finished) -> str:
    """OpenAI's name for why a sequence ended.

    Raises:
        EngineError: the server ended it, so it is no whole answer.
    """
    if finished.reason == "cancelled":
        raise EngineError("The answer was cut off because the model was unloaded; send the request again.")
    return finished.reason


def usage(started: Sequence[Started], finished: Sequence[Finished]) -> dict[str, Any]:
    """OpenAI's usage object: ``started`` has each prompt once, ``finished`` all sequences of a request."""
    prompt = sum(event.prompt_tokens for event in started)
    completion = sum(event.completion_tokens for event in finished)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": sum(event.cached_tokens for event in started)},
    }


def unix_seconds() -> int:
    """The time of now, as OpenAI's objects have it; rows have milliseconds (`myna.store.records.now`)."""
    return int(time.time())
