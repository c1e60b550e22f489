"""A loaded model that clients talk to by messages: whatever carries them, a socket or a function call."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from myna.engine.embedding import EmbeddingRequest
from myna.engine.engine import Engine
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
    TextCall,
    Tokenize,
    UnloadAdapter,
    group,
)
from myna.engine.model import Tokenizer
from myna.engine.options import EngineOptions
from myna.engine.outbox import Outbox
from myna.engine.prepare import checked_ids
from myna.engine.request import GenerationRequest
from myna.engine.sequence import Sequence
from myna.engine.start import Work, read_adapter, start, taking_adapters
from myna.errors import MynaError

_log = logging.getLogger(__name__)

Send = Callable[[int, EngineMessage], None]
"""Takes a message for the client on a channel; called from the step's thread and from those that call `handle`."""


class Service:
    """An engine, and the loop that steps it.

    Args:
        options: the model and how to run it.
        send: see `Send`.

    Raises:
        MynaError: the model cannot be loaded; which leaf says why.
    """

    def __init__(self, options: EngineOptions, send: Send) -> None:
        self._send = send
        self._model, self._engine = start(options)
        self._commands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._preparers = ThreadPoolExecutor(2, thread_name_prefix="prepare")
        self._compilers = ThreadPoolExecutor(2, thread_name_prefix="compile")  # a slow grammar holds up grammars only
        self._preparing: set[tuple[int, str]] = set()  # requests on their way to the engine, by channel and id
        self._cancelled_early: set[tuple[int, str]] = set()  # of those, the ones to be cancelled on arrival
        self._outbox = Outbox(lambda channel, events: send(channel, group(events)), options.stream_interval)
        self._process = psutil.Process()
        self.ready = Ready(self._describe(options))

    def run(self) -> None:
        """Step as long as there is something to do, sleep when there is not; until `close`."""
        while True:
            try:
                command = self._commands.get(block=self._engine.is_idle)
            except Empty:
                pass
            else:
                if command is None:
                    break
                command()
                if not self._commands.empty():
                    continue
                self._outbox.flush()  # a new prompt makes the next step a long one
            self._outbox.put(self._engine.step())
        self._preparers.shutdown(cancel_futures=True)
        self._compilers.shutdown(wait=False, cancel_futures=True)
        if isinstance(self._engine, Engine):
            self._engine.close()
        self._model.dialect.close()

    def close(self) -> None:
        """Let `run` return after its current step."""
        self._commands.put(None)

    def handle(self, channel: int, message: ClientMessage) -> None:
        """Do what a client asks. What goes wrong is its answer; nothing is raised."""
        match message:
            case Submit() | Embed():
                self._preparing.add((channel, message.request.id))
                constrained = isinstance(message, Submit) and message.request.is_constrained
                pool = self._compilers if constrained else self._preparers
                pool.submit(self._prepare, channel, message.request)
            case Cancel():
                self._commands.put(lambda: self._cancel(channel, message.request_id))
            case Tokenize() | Detokenize() | EncodePrompt() | SpellTokens():
                self._preparers.submit(self._answer, channel, message)  # a long text takes its time
            case GetStatistics():
                self._answer(channel, message)
            case LoadAdapter():
                self._preparers.submit(self._load_adapter, channel, message)
            case UnloadAdapter():
                self._commands.put(
                    lambda: self._change_adapters(channel, message, lambda engine: engine.unload_adapter(message.name))
                )

    def disconnect(self, channel: int) -> None:
        """A client is gone: cancel its requests."""
        self._commands.put(lambda: self._cancel_channel(channel))

    def _prepare(self, channel: int, request: GenerationRequest | EmbeddingRequest) -> None:
        """Tokenise beside the step and beside what other clients say; the rest is for the step's thread."""
        try:
            work = self._engine.prepare(request, channel)
        except BaseException as error:  # a panic of the tokenizers library is no Exception
            reason = self._log_own(error)
            self._commands.put(lambda: self._refuse(channel, request.id, reason))
        else:
            self._commands.put(lambda: self._add(work))

    def _answer(self, channel: int, message: TextCall | GetStatistics) -> None:
        try:
            self._send(channel, Reply(message.call, self._result(message, channel)))
        except BaseException as error:
            self._fail_call(channel, message.call, error)

    def _load_adapter(self, channel: int, message: LoadAdapter) -> None:
        """Read beside the step; it is the step's thread that may touch the executor."""
        try:
            weights = read_adapter(self._model, Path(message.path))
        except BaseException as error:
            self._fail_call(channel, message.call, error)
        else:
            self._commands.put(
                lambda: self._change_adapters(
                    channel, message, lambda engine: engine.load_adapter(message.name, weights)
                )
            )

    def _change_adapters(
        self, channel: int, message: LoadAdapter | UnloadAdapter, change: Callable[[Engine], None]
    ) -> None:
        try:
            change(taking_adapters(self._engine))
        except MynaError as error:
            self._fail_call(channel, message.call, error)
        else:
            self._send(channel, Reply(message.call, message.name))

    def _fail_call(self, channel: int, call: int, error: BaseException) -> None:
        self._send(channel, CallFailed(call, *describe_error(self._log_own(error))))

    def _add(self, work: Work) -> None:
        key = work.channel, work.id
        self._preparing.discard(key)
        try:
            self._engine.add(work)
        except MynaError as error:
            self._refuse(*key, error)
        if key in self._cancelled_early:
            self._cancelled_early.discard(key)
            self._engine.cancel(*key)

    def _refuse(self, channel: int, request_id: str, error: BaseException) -> None:
        self._preparing.discard((channel, request_id))
        self._cancelled_early.discard((channel, request_id))
        self._send(channel, group([failed(request_id, error)]))

    def _cancel(self, channel: int, request_id: str) -> None:
        if (channel, request_id) in self._preparing:
            self._cancelled_early.add((channel, request_id))
        else:
            self._engine.cancel(channel, request_id)

    def _cancel_channel(self, channel: int) -> None:
        self._cancelled_early.update(key for key in tuple(self._preparing) if key[0] == channel)
        self._engine.cancel_channel(channel)

    def _result(self, call: TextCall | GetStatistics, channel: int) -> Items[int | str] | str | dict[str, float]:
        tokenizer = self._model.tokenizer
        match call:
            case Tokenize():
                return tokenizer.encode(call.text)
            case Detokenize():
                return tokenizer.decode(checked_ids(call.token_ids, tokenizer))
            case EncodePrompt():
                work = self._engine.prepare(call.request, channel)
                assert isinstance(work, Sequence)  # an encoder refuses such requests
                return list(work.tokens[: work.num_prompt])
            case SpellTokens():
                return [_spell(token_id, tokenizer) for token_id in checked_ids(call.token_ids, tokenizer)]
            case GetStatistics():
                return self._engine.statistics() | {"resident_bytes": self._process.memory_info().rss}

    def _describe(self, options: EngineOptions) -> dict[str, Any]:
        model, engine = self._model, self._engine
        return {
            "name": options.name,
            "path": options.path,
            "architecture": model.architecture,
            "parameters": model.parameters,
            "context": engine.limit,
            "quantisation": model.quantisation,
            "weight_bytes": model.weight_bytes,
            "bytes_per_token": model.bytes_per_token,
            "kv_cache_tokens": engine.cache_tokens,
            "kv_bytes_per_token": engine.kv_bytes_per_token,
            "instruction_set": model.instruction_set,
            "threads": model.threads,
            "tokenizer": model.tokenizer.fingerprint,
            "process_id": os.getpid(),
            "kind": model.kind,
            "embedding_width": model.embedding_width,
        }

    @staticmethod
    def _log_own(error: BaseException) -> BaseException:
        """The same error; one that is not a caller's fault is logged with where it came from."""
        if not isinstance(error, MynaError):
            _log.error("A request failed for a reason of our own", exc_info=error)
        return error


def _spell(token_id: int, tokenizer: Tokenizer) -> str:
    if tokenizer.is_control(token_id):
        return tokenizer.token_name(token_id)
    return tokenizer.token_bytes(token_id).decode(errors="replace")
