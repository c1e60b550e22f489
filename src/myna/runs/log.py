"""The numbered event log of a run that is open.

An event goes three steps: *pending* while text is gathered, *in flight* while its transaction runs, and *committed*,
which is when followers see it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, islice

from myna.chat import ReasoningPart, TextPart
from myna.runs.writer import GroupWriter
from myna.store import messages, runs
from myna.store.records import EndEvent, Message, MessagePart, Run, RunEvent, StartedEvent, TextEvent
from myna.store.scope import Transaction

WINDOW = 2048
"""Committed events that a run keeps in memory for its followers; whoever is further behind gets a snapshot."""


def fold(base: tuple[MessagePart, ...], tokenizer: str | None, texts: Sequence[TextEvent]) -> tuple[MessagePart, ...]:
    """An answer's parts: those before the run, and what its text events add.

    Tokens continue the last part if it is of the same vocabulary, so that the next turn can feed all of them back.
    """
    parts = list(base)
    for reasoning, group in groupby(texts, key=lambda event: event.reasoning):
        events = list(group)
        text = "".join(event.text for event in events)
        token_ids = tuple(token_id for event in events for token_id in event.token_ids)
        if not text and not reasoning:
            continue
        kind = ReasoningPart if reasoning else TextPart
        last = parts[-1] if parts else None
        if tokenizer is None:
            parts.append(kind(text))
        elif isinstance(last, kind) and last.token_ids is not None and last.tokenizer == tokenizer:
            parts[-1] = kind(last.text + text, last.token_ids + token_ids, tokenizer)
        else:
            parts.append(kind(text, token_ids, tokenizer))
    return tuple(parts)


class RunLog:
    """The events of one open run. ``message`` is the answer as it was before the run."""

    def __init__(
        self,
        owner: str,
        run: Run,
        message: Message,
        writer: LogWriter,
        *,
        on_end: Callable[[EndEvent], object] = lambda _: None,
    ) -> None:
        self.owner = owner
        self.run = run
        self.message = message
        self.committed = 0
        self.ended = asyncio.Event()
        self._writer = writer
        self._on_end = on_end
        self._pending: list[RunEvent] = []
        self._in_flight: list[tuple[int, RunEvent]] = []
        self._window: deque[tuple[int, RunEvent]] = deque(maxlen=WINDOW)
        self._texts: list[TextEvent] = []
        self._tokenizer: str | None = None
        self.followers: set[asyncio.Event] = set()

    def append(self, event: RunEvent) -> None:
        """Take an event; text joins the text that is pending already."""
        last = self._pending[-1] if self._pending else None
        if isinstance(event, TextEvent) and isinstance(last, TextEvent) and event.reasoning == last.reasoning:
            self._pending[-1] = TextEvent(last.text + event.text, last.token_ids + event.token_ids, last.reasoning)
        else:
            self._pending.append(event)
        self._writer.add(self)

    def take(self) -> list[tuple[int, RunEvent]]:
        """Number what is pending and put it in flight, together with what a failed transaction left there."""
        pending, self._pending = self._pending, []
        if pending and isinstance(pending[-1], TextEvent) and not pending[-1].text:
            self._pending.append(pending.pop())  # tokens of a character that is not whole yet
        first = self.committed + len(self._in_flight) + 1
        # A mark around a thought has no text, but its token counts when the thought is read again.
        pending = [event for event in pending if not isinstance(event, TextEvent) or event.text or event.reasoning]
        self._in_flight.extend(enumerate(pending, first))
        return self._in_flight

    def commit(self) -> None:
        """What was in flight is stored: show it to the followers."""
        for seq, event in self._in_flight:
            self.committed = seq
            self._window.append((seq, event))
            if isinstance(event, TextEvent):
                self._texts.append(event)
            elif isinstance(event, StartedEvent):
                self._tokenizer = event.tokenizer
            else:
                self.ended.set()
                self._on_end(event)
        self._in_flight = []
        self._wake()

    def discard(self) -> None:
        """The run's chat is deleted: forget what is not stored and tell the followers that it is over."""
        self._pending = []
        self._in_flight = [(self.committed + 1, EndEvent("stopped", None, None))]
        self.commit()

    def parts(self, *, in_flight: bool = False) -> tuple[MessagePart, ...]:
        """The answer up to the last committed event, or with what is in flight too."""
        flying = self._in_flight if in_flight else []
        texts = self._texts + [event for _, event in flying if isinstance(event, TextEvent)]
        started = (event.tokenizer for _, event in flying if isinstance(event, StartedEvent))
        return fold(self.message.parts, self._tokenizer or next(started, None), texts)

    def snapshot(self) -> tuple[Run, Message]:
        """The run and its answer, both as of the last committed event."""
        status = "running" if self.committed else self.run.status
        return (
            dataclasses.replace(self.run, status=status, last_event=self.committed),
            dataclasses.replace(self.message, parts=self.parts()),
        )

    def after(self, seq: int, limit: int) -> list[tuple[int, RunEvent]] | None:
        """Up to ``limit`` committed events after number ``seq``; None when the window no longer reaches that far."""
        oldest = self._window[0][0] if self._window else self.committed + 1
        if seq + 1 < oldest or seq > self.committed:
            return None
        return list(islice(self._window, seq + 1 - oldest, seq + 1 - oldest + limit))

    def subscribe(self, wake: asyncio.Event) -> None:
        """Set ``wake`` whenever events are committed."""
        self.followers.add(wake)

    def unsubscribe(self, wake: asyncio.Event) -> None:
        self.followers.discard(wake)

    def _wake(self) -> None:
        for wake in self.followers:
            wake.set()


class LogWriter(GroupWriter[RunLog]):
    """Commits what is pending in all runs."""

    async def store(self, logs: list[RunLog], transaction: Transaction) -> None:
        """See `GroupWriter.store`; a run that ends gives its text to its message."""
        if transaction.server is not None:  # another process may have deleted some
            gone = await runs.missing(transaction, [(log.owner, log.run.id) for log in logs])
            transaction.after_commit.extend(log.discard for log in logs if (log.owner, log.run.id) in gone)
            logs = [log for log in logs if (log.owner, log.run.id) not in gone]
        taken = [(log, log.take()) for log in logs]
        await runs.append_events(
            transaction, ((log.owner, log.run.id, seq, event) for log, events in taken for seq, event in events)
        )
        for log, events in taken:
            scope = transaction.owned_by(log.owner)
            for seq, event in events:
                if isinstance(event, StartedEvent):
                    await runs.set_status(scope, log.run.id, "running")
                elif isinstance(event, EndEvent):
                    await messages.finish(
                        scope,
                        log.message.id,
                        parts_now=log.parts(in_flight=True),
                        status=event.status,
                        usage=event.usage,
                        error=event.error,
                    )
                    await runs.set_status(scope, log.run.id, event.status, last_event=seq)
