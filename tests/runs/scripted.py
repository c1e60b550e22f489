"""A backend that says what a test tells it to, when it tells it to: the real protocol without a model."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from myna.backends.base import Delta, Finished, GenerationRequest, ModelDescription, Started
from myna.engine.request import FinishReason
from myna.errors import MynaError, NotFound

TOKENIZER = "scripted-1"


def tokens_of(text: str) -> tuple[int, ...]:
    """The scripted vocabulary: a token a character."""
    return tuple(ord(character) for character in text)


class Reply:
    """One answer, driven by the test."""

    def __init__(self, request: GenerationRequest) -> None:
        self.request = request
        self.closed = asyncio.Event()
        self._steps: asyncio.Queue[Started | Delta | Finished | MynaError] = asyncio.Queue()
        self._said = 0

    def start(self, prompt_tokens: int = 7, cached_tokens: int = 3, seed: int = 11, **more: Any) -> None:
        self._steps.put_nowait(Started(self.request.id, prompt_tokens, cached_tokens, seed, **more))

    def say(self, text: str, token_ids: tuple[int, ...] | None = None) -> None:
        ids = tokens_of(text) if token_ids is None else token_ids
        self._said += len(ids)
        self._steps.put_nowait(Delta(self.request.id, text, ids))

    def finish(self, reason: FinishReason = "stop") -> None:
        self._steps.put_nowait(Finished(self.request.id, reason, self._said, None, 0.0, 0.25, 0.5))

    def fail(self, error: MynaError) -> None:
        self._steps.put_nowait(error)

    async def events(self) -> AsyncGenerator[Started | Delta | Finished, None]:
        try:
            while True:
                step = await self._steps.get()
                if isinstance(step, MynaError):
                    raise step
                yield step
                if isinstance(step, Finished):
                    return
        finally:
            self.closed.set()


class ScriptedBackend:
    """`myna.backends.base.Backend`; each request becomes a `Reply` by its id."""

    def __init__(self, tokenizer: str = TOKENIZER) -> None:
        self.tokenizer = tokenizer
        self.replies: dict[str, Reply] = {}
        self.arrived: asyncio.Queue[Reply] = asyncio.Queue()
        self._asked: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._news = asyncio.Event()

    async def reply(self, run_id: str) -> Reply:
        """The reply to a request, once it is asked."""
        await self._asked[run_id].wait()
        return self.replies[run_id]

    async def several(self, count: int) -> list[Reply]:
        """The replies to the first requests, once so many are asked."""
        while len(self.replies) < count:
            self._news.clear()
            await self._news.wait()
        return list(self.replies.values())

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]:
        reply = self.replies[request.id] = Reply(request)
        self._asked[request.id].set()
        self._news.set()
        self.arrived.put_nowait(reply)
        return reply.events()

    async def cancel(self, request_id: str) -> None:
        if request_id in self.replies:
            self.replies[request_id].finish("cancelled")

    async def tokenize(self, text: str) -> list[int]:
        return list(tokens_of(text))

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return "".join(map(chr, token_ids))

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        return list(map(chr, token_ids))

    async def describe(self) -> ModelDescription:
        return ModelDescription(
            name="scripted",
            path="scripted",
            architecture="script",
            parameters=1,
            context=4096,
            quantisation="none",
            weight_bytes=1,
            bytes_per_token=1,
            kv_cache_tokens=1,
            kv_bytes_per_token=1,
            instruction_set="generic",
            threads=1,
            tokenizer=self.tokenizer,
            process_id=None,
        )

    async def statistics(self) -> dict[str, float]:
        return {}

    async def close(self) -> None:
        pass


class ScriptedModels:
    """Stands for the model manager: one backend under every name; ``gate`` holds loading back while it is clear."""

    default = "scripted"

    def __init__(self, backend: ScriptedBackend) -> None:
        self.backend = backend
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: MynaError | None = None
        self.listeners: list[Callable[[Any], None]] = []
        self.adapted: dict[str, str] = {}

    async def get(self, name: str | None = None) -> ScriptedBackend:
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.backend

    budget = 0

    def loaded(self) -> list[Any]:
        return []

    async def unload(self, name: str) -> None:
        """Nothing is loaded."""

    def adapters(self) -> dict[str, list[str]]:
        return {self.default: sorted(self.adapted)}

    async def load_adapter(self, model: str, name: str, path: str) -> None:
        assert model == self.default
        self.adapted[name] = path

    async def unload_adapter(self, model: str, name: str) -> None:
        if self.adapted.pop(name, None) is None:
            raise NotFound(f"{model} has no adapter {name!r}.", param="lora_name")

    def subscribe(self, callback: Callable[[Any], None]) -> Callable[[], None]:
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)
