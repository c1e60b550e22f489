"""Stands for an engine process: takes the client's messages and answers as the scripts say."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import asdict
from typing import Any

from myna import errors
from myna.backends.base import ModelDescription
from myna.backends.client import NativeBackend
from myna.engine.failures import describe_error, failed
from myna.engine.messages import (
    CallFailed,
    Cancel,
    ClientMessage,
    Detokenize,
    Embed,
    EncodePrompt,
    EngineMessage,
    GetStatistics,
    LoadAdapter,
    Ready,
    Reply,
    SpellTokens,
    Submit,
    Tokenize,
    UnloadAdapter,
    group,
)
from myna.engine.options import EngineOptions
from myna.engine.request import Delta, Event, Finished, FinishReason, GenerationRequest, Started, TokenLogprob
from myna.errors import EngineCrashed, InvalidParameter, MynaError, PromptTooLong
from myna.models.dialects.answer import PLAIN_ANSWER, AnswerSyntax
from tests.scripted.script import Script, script_for, text_of, tokens_of

TOGETHER = 16
"""Tokens of an event of an answer that has no rate."""


class ScriptedProcess:
    """In the place of `myna.backends.process.EngineProcess`: there is no process."""

    def __init__(self, options: EngineOptions) -> None:
        self.options = options

    def end(self) -> None:
        """Nothing to end."""


async def connect(process: ScriptedProcess) -> NativeBackend:
    """In the place of `myna.backends.native.connect`."""
    options = process.options
    if "broken" in options.name:
        raise errors.ModelFileError(f"{options.name} cannot be read: its script says so. Fetch it again.")
    return ScriptedEngine(options).backend


class ScriptedEngine:
    """The far side of a `NativeBackend`."""

    def __init__(self, options: EngineOptions) -> None:
        self.backend = NativeBackend(self)
        self._context = options.context or CONTEXTS.get(options.name, 8192)
        self._answers: dict[str, asyncio.Task[None]] = {}
        self._adapters: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self.backend.receive(Ready(asdict(describe(options.name, options.path, self._context))))

    def send(self, message: ClientMessage) -> None:
        """Take a message of the client's."""
        if isinstance(message, Submit):
            self._answers[message.request.id] = self._loop.create_task(self._answer(message.request))
        elif isinstance(message, Embed):
            error = InvalidParameter("A scripted model makes no vectors; ask a model for embeddings.", param="model")
            self._say(failed(message.request.id, error))
        elif isinstance(message, Cancel):
            if (answer := self._answers.get(message.request_id)) is not None:
                answer.cancel()
        else:
            self._loop.call_soon(self._reply, message)

    async def close(self) -> None:
        """End everything."""
        for answer in list(self._answers.values()):
            answer.cancel()

    def _reply(self, message: Any) -> None:
        try:
            self._receive(Reply(message.call, self._result(message)))
        except MynaError as error:
            self._receive(CallFailed(message.call, *describe_error(error)))

    def _result(self, message: Any) -> Any:
        match message:
            case Tokenize():
                return tokens_of(message.text)
            case EncodePrompt():
                return self._prompt(message.request)
            case Detokenize():
                return "".join(map(text_of, message.token_ids))
            case SpellTokens():
                return [text_of(token_id) for token_id in message.token_ids]
            case LoadAdapter():
                self._adapters.add(message.name)
                return message.name
            case UnloadAdapter():
                self._adapters.discard(message.name)
                return message.name
            case GetStatistics():
                return {"requests_running": float(len(self._answers))}
        raise AssertionError(f"a scripted engine knows no {type(message).__name__}")

    async def _answer(self, request: GenerationRequest) -> None:
        said: list[int] = []
        try:
            self._say(await self._speak(request, said))
        except asyncio.CancelledError:
            self._say(Finished(request.id, "cancelled", len(said)))
        except EngineCrashed as crash:
            self.backend.end(crash)
        except MynaError as error:
            self._say(failed(request.id, error))
        finally:
            del self._answers[request.id]

    async def _speak(self, request: GenerationRequest, said: list[int]) -> Finished:
        """Say everything but the end, which is given back."""
        prompt = self._prompt(request)
        script = self._script(request)
        await asyncio.sleep(script.delay)
        if script.refuse:
            raise leaf(script.refuse)
        params = request.params
        scored: tuple[TokenLogprob | None, ...] | None = None
        if params.prompt_logprobs is not None:
            first, *others = (logprob(token, params.prompt_logprobs) for token in prompt)
            scored = (None, *others) if first else ()
            if params.prompt_logprobs_last is not None:
                scored = scored[-params.prompt_logprobs_last :]
        syntax = AnswerSyntax(thinks=True) if script.thinks else PLAIN_ANSWER
        self._say(Started(request.id, len(prompt), len(prompt) // 2, params.seed or 7, None, scored, syntax=syntax))
        tokens = tokens_of(script.text)
        reason: FinishReason = "length" if script.cut else "stop"
        if params.max_tokens is not None and len(tokens) > params.max_tokens and not script.whole:
            tokens, reason = tokens[: params.max_tokens], "length"
        if script.stall:
            tokens = tokens[: script.stall]
        began = self._loop.time()
        start = 0
        while start < len(tokens):
            together = 1 if script.rate and start >= script.fast else TOGETHER
            ids = tokens[start : start + together]
            start += together
            logprobs = None if params.logprobs is None else tuple(logprob(token, params.logprobs) for token in ids)
            self._say(Delta(request.id, "".join(map(text_of, ids)), tuple(ids), logprobs))
            said.extend(ids)
            # By the clock, not by the pause: so many tokens a second also where a pause is longer than asked for.
            if len(said) <= script.fast:
                began = self._loop.time()
            due = began + (len(said) - script.fast) / script.rate if script.rate else 0
            await asyncio.sleep(max(0, due - self._loop.time()))
        await self._end_badly(script)
        return Finished(request.id, reason, len(said), None, 0.0, script.delay, self._loop.time() - began)

    async def _end_badly(self, script: Script) -> None:
        if script.hang or script.stall:
            await asyncio.Event().wait()
        if script.crash:
            raise EngineCrashed("The engine process was killed by its script. Continue the answer, or send it again.")
        if script.fail:
            raise leaf(script.fail)

    def _script(self, request: GenerationRequest) -> Script:
        if request.messages is not None and not request.background:
            return script_for(request.messages, "".join(map(text_of, request.begun)))
        if request.messages is not None:  # nobody waits: a title and the like, of a text that may hold directives
            return Script("A scripted title")
        return Script(" and so it goes on." if request.text or request.token_ids else "Once upon a time.")

    def _prompt(self, request: GenerationRequest) -> list[int]:
        if request.token_ids is not None:
            prompt = list(request.token_ids)
        elif request.text is not None:
            prompt = tokens_of(request.text)
        else:
            prompt = [token for message in request.messages or () for token in tokens_of(message.text)]
        prompt += request.begun
        if len(prompt) >= self._context:
            raise PromptTooLong(len(prompt), self._context)
        return prompt

    def _say(self, event: Event) -> None:
        self._receive(group([event]))

    def _receive(self, message: EngineMessage) -> None:
        self.backend.receive(message)


CONTEXTS = {"scripted:short": 256}
"""Of models that differ from the others, in tokens."""


def describe(name: str, path: str, context: int) -> ModelDescription:
    """A model that weighs nothing."""
    return ModelDescription(
        name=name,
        path=path,
        architecture="script",
        parameters=1_000_000,
        context=context,
        quantisation="none",
        weight_bytes=1 << 20,
        bytes_per_token=1 << 20,
        kv_cache_tokens=context,
        kv_bytes_per_token=16,
        instruction_set="generic",
        threads=1,
        tokenizer="scripted",
        process_id=None,
    )


def leaf(name: str) -> MynaError:
    """An error of the tree by its name."""
    cls = getattr(errors, name)
    error: MynaError = cls.__new__(cls)
    MynaError.__init__(error, f"The script says {name}. Try again.")
    return error


def logprob(token: int, top: int) -> TokenLogprob:
    """The same for a token every time: its text decides how likely it was, and what else was."""
    text = text_of(token)
    likely = -(zlib.crc32(text.encode()) % 300) / 100
    rivals = [
        (token, text, likely),
        *((tokens_of(f"{text[:1]}{n}")[0], f"{text[:1]}{n}", likely - 1 - n) for n in range(8)),
    ]
    return TokenLogprob(token, text.encode(), likely, tuple((i, spelled.encode(), p) for i, spelled, p in rivals[:top]))
