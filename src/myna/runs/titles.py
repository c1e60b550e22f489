"""Titles of chats: at first the beginning of what was asked, then what the model writes that answered first.

A small model's titles are often about something else, so one is taken only if it is about what was asked: most of its
words are in the message. Otherwise the title stays what it is, the beginning of the message.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable

from myna.backends.base import Delta, GenerationRequest, Started
from myna.backends.manager import ModelManager
from myna.chat import Message
from myna.engine.request import SamplingParams
from myna.errors import MynaError
from myna.runs.answer import Spend
from myna.store import chats
from myna.store.database import Database
from myna.store.records import Run

logger = logging.getLogger(__name__)

READ = 1000
"""Characters of the message that the model is shown."""
TITLE_LENGTH = 60
MOST_TOKENS = 24
SECONDS = 120.0
"""How long a title may take; it gives way to every answer."""
_EXAMPLES = (
    ("How long do I boil potatoes?", "Boiling potatoes"),
    ("my script says ImportError: No module named requests", "ImportError for requests"),
    ("Write a birthday poem for my sister Anna", "Birthday poem for Anna"),
    ("Is Berlin or Hamburg bigger? I want to move there", "Berlin or Hamburg"),
)
_TOLD = "You give short titles to texts, in the language of the text."
_BEFORE = re.compile(r"^[^\w(<]+")
_AFTER = re.compile(r"[^\w)>?!+#%]+$")
"""Quotes, marks and points around a title; C++ and questions keep theirs."""
_LEAD = re.compile(r"^(title|titel|titre|título|标题|العنوان)\W*[:\uff1a]", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")
_SPEAKING = re.compile(
    r"^(i|i'm|i am|i'll|i'd|sorry|yes|no|sure|the (answer|title|question|text)|here (is|are))\b", re.IGNORECASE
)
"""How an answer begins, and no title."""
_FILLING = re.compile(
    r"the|and|for|with|from|into|about|how|what|who|why|when|where|which|your|you|are|this|that|can|not|its|make"
    r"|der|die|das|und|für|mit|von|ein|eine|les|des|une|pour|avec|sur|los|las|del|una|para|con|por"
)


class Titles:
    """Writes titles in the background."""

    def __init__(
        self, database: Database, models: ModelManager, spend: Spend, wanted: Callable[[], bool] = lambda: False
    ) -> None:
        self._database = database
        self._models = models
        self._spend = spend
        self._wanted = wanted
        self._expected: dict[tuple[str, str], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def expect(self, owner: str, run: Run, text: str) -> None:
        """This run answers ``text``, the first message of a new chat."""
        if self._wanted():
            self._expected[owner, run.id] = text[:READ]

    def ended(self, owner: str, run: Run, *, complete: bool) -> None:
        """A run is over: if it was the first of its chat and is complete, think of a title."""
        text = self._expected.pop((owner, run.id), None)
        if text is None or not complete:
            return
        task = asyncio.create_task(self._write(owner, run, text), name=f"title {run.chat_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Write no more titles."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self, owner: str, run: Run, text: str) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                proposed = await self._propose(owner, run, text)
            if (title := clean(proposed, text)) is not None:
                # Not cut in two by the end of the server.
                await asyncio.shield(asyncio.ensure_future(self._store(owner, run.chat_id, title)))
        except (MynaError, TimeoutError) as error:  # the chat keeps the title it has
            logger.info("No title for chat %s: %s", run.chat_id, getattr(error, "code", "timeout"))

    async def _propose(self, owner: str, run: Run, text: str) -> str:
        backend = await self._models.get(run.model)
        examples = "\n\n".join(f"Text: {one}\nTitle: {title}" for one, title in _EXAMPLES)
        request = GenerationRequest(
            id=f"title-{run.id}",
            params=SamplingParams(temperature=0.0, max_tokens=MOST_TOKENS),
            messages=(Message.of("system", _TOLD), Message.of("user", f"{examples}\n\nText: {text}\nTitle:")),
            owner=owner,
            background=True,
        )
        said = ""
        async with contextlib.aclosing(backend.generate(request)) as events:
            async for event in events:
                if isinstance(event, Started):
                    self._spend(owner, run.model, event.prompt_tokens, 0)
                elif isinstance(event, Delta):
                    self._spend(owner, run.model, 0, len(event.token_ids))
                    said += event.text
                    if "\n" in said.strip():
                        break
                elif event.reason == "length":
                    return ""  # cut off in the middle
        return said

    async def _store(self, owner: str, chat_id: str, title: str) -> None:
        async with self._database.write(owner) as scope:
            chat = await chats.find(scope, chat_id)
            if chat is not None and chat.titled_by == "text":
                await chats.update(scope, chat_id, title=title, titled_by="model")


def beginning(text: str) -> str | None:
    """A chat's first title: the beginning of its first message, cut at a word."""
    words = " ".join(text.split())
    if len(words) <= TITLE_LENGTH:
        return words or None
    head = words[: TITLE_LENGTH + 1]
    return (head.rsplit(" ", 1)[0] if " " in head else words[:TITLE_LENGTH]) + "…"


def clean(said: str, asked: str) -> str | None:
    """A model's words as a title of what was asked: one line without marks; None where they are no good one."""
    lines = said.strip().splitlines()
    if not lines:
        return None
    title = _bare(_LEAD.sub("", _bare(lines[0])))
    title = " ".join(title.split())
    if not 3 <= len(title) <= TITLE_LENGTH or not title.isprintable() or _SPEAKING.match(title):
        return None
    return title[0].upper() + title[1:] if _is_about(title, asked) else None


def _bare(text: str) -> str:
    return _AFTER.sub("", _BEFORE.sub("", text))


def _is_about(title: str, asked: str) -> bool:
    """Whether two of three words of the title that say something are in what was asked, in whatever form."""
    if _UNSPACED.search(title):
        told = [character for character in title if _UNSPACED.match(character)]
        return 3 * sum(character in asked for character in told) >= 2 * len(told)
    known = {word[:4] for word in _WORD.findall(asked.casefold())}
    told = [word for word in _WORD.findall(title.casefold()) if len(word) > 2 and not _FILLING.fullmatch(word)]
    return bool(told) and 3 * sum(word[:4] in known for word in told) >= 2 * len(told)
