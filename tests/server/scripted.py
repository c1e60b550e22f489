"""A backend that says what it was told to, and a real server around it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp

from myna.backends.base import ModelDescription
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.request import Delta, Finished, GenerationRequest, Started, TokenLogprob
from myna.errors import InvalidParameter, MynaError, NotFound, PromptTooLong
from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax
from tests.patience import WAIT_SECONDS

MODEL = "scripted:1b"
CONTEXT = 64
VOCABULARY = 1000

DESCRIPTION = ModelDescription(
    name=MODEL,
    path="/models/scripted.gguf",
    architecture="llama",
    parameters=1_000_000_000,
    context=CONTEXT,
    quantisation="w4",
    weight_bytes=500_000_000,
    bytes_per_token=500_000_000,
    kv_cache_tokens=1024,
    kv_bytes_per_token=1024,
    instruction_set="generic",
    threads=2,
    tokenizer="words",
    process_id=None,
)


@dataclass
class ScriptedBackend:
    """Answers with ``answer``, a word a step; token ids count up from 100.

    ``gate``: an event; the answer pauses after the first word (with ``gate_prompt``: before any) until it is set.
    ``failure``: raised in place of the first event; ``late_failure``: after the first word.

    A text's embedding is the number of its words (or token ids), its number among the texts, and -0.5. To a query its
    score is a tenth for each of its words that the query has too.
    """

    answer: Sequence[str] = ("Hello", " there", "!")
    gate: asyncio.Event | None = None
    gate_prompt: bool = False
    failure: MynaError | None = None
    late_failure: MynaError | None = None
    finish: str = "stop"
    syntax: AnswerSyntax = PLAIN_ANSWER
    decode_seconds: float = 0.0
    requests: list[GenerationRequest] = field(default_factory=list)
    embeddings: list[EmbeddingRequest] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(init=False)
    paused: threading.Event = field(default_factory=threading.Event)
    cancelled_event: threading.Event = field(default_factory=threading.Event)

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Started | Delta | Finished]:
        self.requests.append(request)
        try:
            if self.failure is not None:
                raise self.failure
            prompt = self._prompt(request)
            if len(prompt) >= CONTEXT:
                raise PromptTooLong(len(prompt), CONTEXT)
            if request.token_ids is not None and max(request.token_ids) >= VOCABULARY:
                raise InvalidParameter(f"Token {max(request.token_ids)} is outside the vocabulary.", param="prompt")
            params = request.params
            prompt_logprobs = None
            if params.prompt_logprobs is not None:
                scored = [self._logprob(index, word, params.prompt_logprobs) for index, word in enumerate(prompt)]
                prompt_logprobs = (None, *scored[1:])
            if self.gate_prompt:
                await self._pause()
            seed = params.seed or 7
            yield Started(request.id, len(prompt), len(prompt) // 2, seed, None, prompt_logprobs, syntax=self.syntax)
            words = list(self.answer)[: params.max_tokens]
            for index, word in enumerate(words):
                if index == 1:
                    await self._pause()
                if index == 1 and self.late_failure is not None:
                    raise self.late_failure
                logprobs = None if params.logprobs is None else (self._logprob(index, word, params.logprobs),)
                yield Delta(request.id, word, (100 + index,), logprobs)
                await asyncio.sleep(0)
            reason = "length" if params.max_tokens is not None and len(words) == params.max_tokens else self.finish
            yield Finished(request.id, reason, len(words), decode_seconds=self.decode_seconds)  # type: ignore[arg-type]
            self.ended.append(request.id)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.append(request.id)
            self.cancelled_event.set()
            raise

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        self.embeddings.append(request)
        if self.failure is not None:
            raise self.failure
        try:
            if self.gate_prompt:
                await self._pause()
        except asyncio.CancelledError:
            self.cancelled.append(request.id)
            self.cancelled_event.set()
            raise
        counts = [len(text.split()) for text in request.texts or ()] or [len(ids) for ids in request.token_ids or ()]
        if request.query is not None:
            words = request.query.split()
            scores = [sum(word in words for word in text.split()) / 10 for text in request.texts or ()]
            return Embedded(request.id, tuple(counts), struct.pack(f"<{len(scores)}f", *scores))
        vectors = [(float(count), float(index), -0.5)[: request.dimensions] for index, count in enumerate(counts)]
        return Embedded(request.id, tuple(counts), b"".join(struct.pack(f"<{len(v)}f", *v) for v in vectors))

    async def cancel(self, request_id: str) -> None:
        raise AssertionError("connections cancel by closing the iterator")

    async def tokenize(self, text: str) -> list[int]:
        return [100 + index for index, _ in enumerate(text.split())]

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        return " ".join(f"t{token}" for token in token_ids)

    async def encode_prompt(self, request: GenerationRequest) -> list[int]:
        prompt = self._prompt(request)
        if len(prompt) >= CONTEXT:
            raise PromptTooLong(len(prompt), CONTEXT)
        return [100 + index for index, _ in enumerate(prompt)]

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        return [f"t{token}" for token in token_ids]

    async def describe(self) -> ModelDescription:
        return DESCRIPTION

    async def statistics(self) -> dict[str, float]:
        return {"requests_running": 0.0, "kv_blocks": 64.0, "kv_blocks_used": 0.0}

    async def close(self) -> None:
        return

    async def _pause(self) -> None:
        if self.gate is not None:
            self.loop = asyncio.get_running_loop()
            self.paused.set()
            await self.gate.wait()

    def _prompt(self, request: GenerationRequest) -> list[str]:
        """Words, each but the first with the space before it, so that they join to the text."""
        if request.token_ids is not None:
            text = " ".join(f"t{token}" for token in request.token_ids)
        elif request.text is not None:
            text = request.text
        else:
            text = " ".join(message.text for message in request.messages or ())
        first, *rest = text.split(" ")
        return [first, *(f" {word}" for word in rest)]

    def _logprob(self, index: int, word: str, top: int) -> TokenLogprob:
        rivals = tuple((500 + rank, f"r{rank}".encode(), -2.0 - rank) for rank in range(top))
        return TokenLogprob(100 + index, word.encode(), -0.5 * (index + 1), rivals)


class ScriptedModels:
    """One model, which is always loaded."""

    def __init__(self, backend: ScriptedBackend) -> None:
        self.backend = backend
        self.adapted = {"pirate"}
        self.unloaded: list[str] = []

    @property
    def default(self) -> str:
        return MODEL

    def adapters(self) -> dict[str, list[str]]:
        return {MODEL: sorted(self.adapted)}

    async def unload(self, name: str) -> None:
        self.unloaded.append(name)

    async def load_adapter(self, model: str, name: str, path: str) -> None:
        assert model == MODEL
        self.adapted.add(name)

    async def unload_adapter(self, model: str, name: str) -> None:
        if name not in self.adapted:
            raise NotFound(f"{model} has no adapter {name!r}.", param="lora_name")
        self.adapted.remove(name)

    async def get(self, name: str | None = None) -> ScriptedBackend:
        if name in (None, MODEL):
            return self.backend
        raise NotFound(f"There is no model {name!r}. Did you mean {MODEL!r}?", param="model")


class ScriptedHub:
    """A disk with no models beside the default one."""

    def local(self) -> list[object]:
        return []


@contextlib.contextmanager
def serving(app: ASGIApp, **options: object) -> Iterator[str]:
    """A real uvicorn around an application, in a thread; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2, **options)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive()
