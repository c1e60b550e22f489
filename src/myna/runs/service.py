"""Runs from their creation to their end: send, answer again, continue, stop, and what a crash has left.

All of it is safe to ask twice: the ids are the client's, and a request sent again finds what the first one made.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from myna.backends.manager import ModelManager
from myna.chat import TextPart
from myna.errors import Conflict, InvalidParameter, NotFound
from myna.runs import deletion, transcripts
from myna.runs.alternative import Place, begin
from myna.runs.answer import Answer, Measure, Spend, complete, measure_nothing, spend_freely
from myna.runs.answers import Answers
from myna.runs.elsewhere import Elsewhere
from myna.runs.followers import Follower
from myna.runs.log import LogWriter, RunLog
from myna.runs.queue import Admit, Queue, admit_all
from myna.runs.titles import Titles, beginning
from myna.store import chats, messages, projects, runs
from myna.store.database import Database
from myna.store.peers import MISSED
from myna.store.records import Chat, EndEvent, Message, MessagePart, MessageStatus, Run, now
from myna.store.scope import Scope

NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})
CONTINUABLE = ("interrupted", "stopped", "failed")


Permit = Callable[[Scope, str], Awaitable[None]]
"""Asked before each run, in the transaction that makes it: raises if its owner may not use this model."""


async def permit_all(scope: Scope, model: str) -> None:
    """Every owner may use every model."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A user's message below ``parent_id``; None: a new root."""

    id: str
    parent_id: str | None
    text: str


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be: its answer is a new message ``message_id``.

    ``model`` None: the chat's, or the default. ``parameters``: fields of `SamplingParams`, ``dialect`` and
    ``adapter`` of `GenerationRequest`, and ``thinking``; where one is absent, the model's own default counts.
    None stands for the chat's parameters. ``system_prompt`` None: the chat's; empty: none.
    """

    id: str
    message_id: str
    model: str | None
    parameters: Mapping[str, Any] | None
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What a chat is made with by its first message."""

    system_prompt: str | None = None
    parameters: Mapping[str, Any] | None = None
    project_id: str | None = None


NO_SETTINGS = ChatSettings()


@dataclass(frozen=True, slots=True)
class Created:
    """What a request made, or had made when it was sent before (``is_new`` false then)."""

    chat: Chat
    messages: tuple[Message, ...]
    run: Run
    is_new: bool


class RunService:
    """All runs of this process that are in one database.

    ``profile`` is the database where users' own instructions are, if not the same.
    """

    def __init__(
        self,
        database: Database,
        models: ModelManager,
        spend: Spend = spend_freely,
        measure: Measure = measure_nothing,
        permit: Permit = permit_all,
        titles: Callable[[], bool] = lambda: False,
        admit: Admit = admit_all,
        profile: Database | None = None,
    ) -> None:
        self.writer = LogWriter(database)
        self.answers = Answers(database)
        self._database = database
        self._models = models
        self._spend = spend
        self._measure = measure
        self._permit = permit
        self._profile = profile
        self.queue = Queue(database, self._launch, admit)
        self.titles = Titles(database, models, spend, titles)
        self.followers: dict[str, set[Follower]] = defaultdict(set)
        self.elsewhere = Elsewhere(database, self.answers.find)
        database.on_change(self._lists_changed)
        database.on_check(self.elsewhere.mark_left_open)
        database.hear(MISSED, lambda _: self._lists_changed(frozenset(self.followers)))

    async def start(self) -> None:
        """Mark what a crash has left, and take new runs."""
        await self.elsewhere.mark_left_open()
        self.writer.start()

    async def close(self) -> None:
        """Mark open runs as interrupted and store what they have."""
        await self.queue.close()
        await self.titles.close()
        await self.answers.close()
        await self.writer.close()

    def follower(self, owner: str, wake: asyncio.Event | None = None) -> Follower:
        """A new follower, for one tab, which may have another one already that shares its ``wake``."""
        follower = Follower(self._database, self, owner, self.followers[owner].discard, wake)
        self.followers[owner].add(follower)
        return follower

    def live(self, owner: str, run_id: str) -> RunLog | None:
        """The log of an open run."""
        return self.answers.log(owner, run_id)

    async def open_chat(self, owner: str, chat_id: str) -> transcripts.OpenedChat:
        """See `myna.runs.transcripts.open_chat`."""
        return await transcripts.open_chat(self._database, self, owner, chat_id)

    async def contents(self, owner: str, chat_id: str, ids: Collection[str]) -> tuple[list[Message], list[Run]]:
        """See `myna.runs.transcripts.contents`."""
        return await transcripts.contents(self._database, self, owner, chat_id, ids)

    async def send(
        self, owner: str, chat_id: str, message: NewMessage, run: NewRun, settings: ChatSettings = NO_SETTINGS
    ) -> Created:
        """Store a user's message, making the chat with ``settings`` if there is none, and begin to answer it.

        Below an answer that is still being written, it waits for that one's end (see `myna.runs.queue`).

        Raises:
            NotFound: no such parent in this chat.
            Conflict: an id is in use for something else.
            InvalidParameter: too many messages wait in this chat.
        """
        request = _digest("send", chat_id, message, run)
        async with self._database.write(owner) as scope:
            if (known := await runs.find(scope, run.id)) is not None:
                return await self._known(scope, known, request)
            if message.id == run.message_id:
                raise InvalidParameter("A message and its answer cannot have one id.", param="run.message_id")
            await self._check_free(scope, message.id, run.message_id)
            at = now()
            if settings.project_id is not None:
                await projects.get(scope, settings.project_id)
            chat = await chats.find(scope, chat_id) or Chat(
                *(chat_id, beginning(message.text), None, None, at, at),
                version=0,
                system_prompt=settings.system_prompt,
                parameters=settings.parameters,
                project_id=settings.project_id,
            )
            waits = False
            if message.parent_id is not None:
                parent = await self._parent(scope, chat_id, message.parent_id)
                at = max(at, parent.created_at + 1)  # younger than its parent, whatever the clock says
                if waits := parent.status in ("running", "waiting"):
                    await self.queue.check_room(scope, chat_id)
            parts = (TextPart(message.text),)
            asked = Message(
                message.id, chat_id, message.parent_id, "user", parts, "waiting" if waits else "complete", None, at
            )
            if chat.title is None and chat.version:
                chat = await chats.update(scope, chat_id, title=beginning(message.text))
            return await self._answer(scope, chat, asked, run, request, new_parent=True)

    async def answer_again(self, owner: str, chat_id: str, parent_id: str, run: NewRun) -> Created:
        """Answer a user's message once more, as another branch.

        Raises:
            NotFound: no such chat, or no such message in it.
            Conflict: an id is in use for something else.
            InvalidParameter: ``parent_id`` is not a user's message.
        """
        request = _digest("answer", chat_id, parent_id, run)
        async with self._database.write(owner) as scope:
            if (known := await runs.find(scope, run.id)) is not None:
                return await self._known(scope, known, request)
            await self._check_free(scope, run.message_id)
            chat = await chats.get(scope, chat_id)
            parent = await self._parent(scope, chat_id, parent_id)
            if parent.role != "user":
                raise InvalidParameter(
                    f"Message {parent_id} is an answer; only a user's can be answered.", param="parent_id"
                )
            if parent.status == "waiting":
                raise Conflict(f"Message {parent_id} waits for its answer already.", param="parent_id")
            return await self._answer(scope, chat, parent, run, request, new_parent=False)

    async def carry_on(
        self, owner: str, chat_id: str, message_id: str, run_id: str, parameters: Mapping[str, Any] | None = None
    ) -> Created:
        """Continue an answer that was interrupted, stopped, failed or cut off by its length, in place.

        ``parameters`` are as in `NewRun`; None: the answer's own.

        Raises:
            NotFound: no such chat, or no such message in it.
            Conflict: the answer is complete or still being written, or the run's id is in use.
        """
        request = _digest("continue", chat_id, message_id, run_id, *([parameters] if parameters else ()))
        async with self._database.write(owner) as scope:
            if (known := await runs.find(scope, run_id)) is not None:
                return await self._known(scope, known, request)
            chat = await chats.get(scope, chat_id)
            message = await messages.find(scope, message_id)
            if message is None or message.chat_id != chat_id:
                raise NotFound(f"There is no message {message_id} in this chat.", param="continue")
            cut_off = message.usage is not None and message.usage.finish_reason == "length"
            if message.role != "assistant" or not (message.status in CONTINUABLE or cut_off):
                raise Conflict(
                    f"Message {message_id} cannot be continued: it is {message.status}. "
                    "Only an answer that was interrupted, stopped, failed or cut off by its length can.",
                    param="continue",
                )
            if chat.archived_at is not None:  # as with every other answer that one asks for
                chat = await chats.update(scope, chat_id, archived_at=None)
            model = message.model or chat.model or self._models.default
            asked_with = dict(message.parameters or {}) if parameters is None else complete(model, parameters)
            await messages.begin(scope, message_id, run_id=run_id, model=model, parameters=asked_with)
            run = Run(run_id, chat_id, message_id, model, "queued", 0, now(), request)
            await runs.add(scope, run)
            message = dataclasses.replace(
                message,
                status="running",
                run_id=run_id,
                model=model,
                usage=None,
                error=None,
                parameters=asked_with,
            )
            await self._launch(scope, run, message)
            return Created(chat, (message,), run, True)

    async def continue_from(self, owner: str, chat_id: str, place: Place, run: NewRun) -> Created:
        """Begin another version of an answer, which is the same up to a token and goes on from another one.

        It is asked for as that answer was, where ``run`` does not say otherwise.

        Raises:
            NotFound: no such chat, or no such message in it.
            Conflict: an id is in use for something else, or the answer is still being written.
            InvalidParameter: it is no answer, or it cannot go on from there.
        """
        request = _digest("alternative", chat_id, place, run)
        async with self._database.read(owner) as scope:
            known = await runs.find(scope, run.id)
            source = await messages.get(scope, place.message_id)
        if source.chat_id != chat_id:
            raise NotFound(f"There is no message {source.id} in this chat.", param="continue_from.message_id")
        if source.role != "assistant" or source.parent_id is None:
            raise InvalidParameter(
                f"Message {source.id} is no answer; only an answer goes on from one of its tokens.",
                param="continue_from.message_id",
            )
        model = source.model or self._models.default
        parts = () if known else await begin(await self._models.get(model), source, place)
        async with self._database.write(owner) as scope:
            if (known := await runs.find(scope, run.id)) is not None:
                return await self._known(scope, known, request)
            await self._check_free(scope, run.message_id)
            chat = await chats.get(scope, chat_id)
            parent = await self._parent(scope, chat_id, source.parent_id)
            asked = dataclasses.replace(
                run,
                model=model,
                parameters=source.parameters if run.parameters is None else run.parameters,
                system_prompt=(source.parameters or NO_PARAMETERS).get("system_prompt") or "",
            )
            return await self._answer(scope, chat, parent, asked, request, new_parent=False, begun=parts)

    async def stop(self, owner: str, run_id: str) -> Run:
        """Stop a run and return it as it is then; one that is over stays as it was.

        Raises:
            NotFound: the owner has no such run.
        """
        if (answer := self.answers.find(owner, run_id)) is not None:
            await answer.stop()
        else:
            async with self._database.read(owner) as scope:
                run = await runs.get(scope, run_id)
            if self.elsewhere.has(run):
                await self.elsewhere.stop(owner, run_id)
        async with self._database.read(owner) as scope:
            return await runs.get(scope, run_id)

    async def delete_chat(self, owner: str, chat_id: str) -> None:
        """Delete a chat with everything in it; its open runs are stopped.

        Raises:
            NotFound: the owner has no such chat.
        """
        if not await self.delete_chats(owner, [chat_id]):
            raise NotFound(f"There is no chat {chat_id}; it may have been deleted.", param="chat")

    async def delete_chats(self, owner: str, chosen: chats.Chosen) -> list[str]:
        """Delete those of the chosen chats that there are, in one transaction, stopping their runs; their ids."""
        return await deletion.delete_chats(self._database, self.answers, owner, chosen)

    async def delete_project(self, owner: str, project_id: str) -> None:
        """Delete a project with its chats, stopping their runs.

        Raises:
            NotFound: the owner has no such project.
        """
        every = chats.Filter(project=project_id)
        await deletion.delete_chats(self._database, self.answers, owner, every, project_id=project_id)

    async def _answer(
        self,
        scope: Scope,
        chat: Chat,
        parent: Message,
        new: NewRun,
        request: str,
        *,
        new_parent: bool,
        begun: tuple[MessagePart, ...] = (),
    ) -> Created:
        """Store a chat (new if its version is 0), what is new in it and a run, and launch the run.

        ``begun`` is what the answer has to begin with.
        """
        model = new.model or chat.model or self._models.default
        at = max(now(), parent.created_at + 1)
        waits = parent.status == "waiting"
        status: MessageStatus = "waiting" if waits else "running"
        answer = Message(new.message_id, chat.id, parent.id, "assistant", begun, status, model, at, new.id)
        answer = dataclasses.replace(answer, parameters=asked_with(model, chat, new))
        run = Run(new.id, chat.id, answer.id, model, "waiting" if waits else "queued", 0, at, request)
        # The chat comes first: so its change does, and a tab knows the chat when it hears of the messages.
        # What is talked in again is no longer put away.
        values: dict[str, Any] = {"model": model, "leaf_id": answer.id, "updated_at": at, "archived_at": None}
        if chat.version:
            chat = await chats.update(scope, chat.id, **values)
        else:
            chat = dataclasses.replace(chat, **values, version=1)
            await chats.create(scope, chat)
            owner, text = scope.owner, parent.text
            scope.transaction.after_commit.append(lambda: self.titles.expect(owner, run, text))
        added = (parent, answer) if new_parent else (answer,)
        for message in added:
            await messages.add(scope, message)
        await runs.add(scope, run)
        if waits:
            await self._permit(scope, model)
        else:
            await self._launch(scope, run, answer)
        return Created(chat, added, run, True)

    async def _launch(self, scope: Scope, run: Run, message: Message) -> None:
        """Begin when the transaction is committed, before anybody can hear of the run; if the owner may do so."""
        await self._permit(scope, run.model)

        def over(end: EndEvent) -> None:
            self.answers.over(scope.owner, run.id)
            self.titles.ended(scope.owner, run, complete=end.status == "complete")
            if end.status == "complete":
                self.queue.completed(scope.owner, message.id)

        log = RunLog(scope.owner, run, message, self.writer, on_end=over)
        asked_with = message.parameters or NO_PARAMETERS
        answer = Answer(log, asked_with, self._database, self._models, self._spend, self._measure, self._profile)
        scope.transaction.after_commit.append(lambda: self.answers.begin(answer))

    async def _known(self, scope: Scope, run: Run, request: str) -> Created:
        if run.request != request:
            raise Conflict(
                f"Run {run.id} exists already and was asked for something else; make a new id.", param="run.id"
            )
        chat = await chats.get(scope, run.chat_id)
        answer = await messages.get(scope, run.message_id)
        asked = await messages.find(scope, answer.parent_id) if answer.parent_id else None
        if (log := self.live(scope.owner, run.id)) is not None:
            run, answer = log.snapshot()
        elif run.status == "queued" and not self.elsewhere.has(run):
            await self._launch(scope, run, answer)  # the answer to the commit that made it was lost
        return Created(chat, (asked, answer) if asked else (answer,), run, False)

    async def _check_free(self, scope: Scope, *ids: str) -> None:
        if taken := await messages.of_ids(scope, ids):
            raise Conflict(f"Message {next(iter(taken))} exists already; make a new id.", param="id")

    async def _parent(self, scope: Scope, chat_id: str, parent_id: str) -> Message:
        parent = (await messages.of_ids(scope, [parent_id])).get(parent_id)
        if parent is None or parent.chat_id != chat_id:
            raise NotFound(
                f"There is no message {parent_id} in this chat; it may have been deleted.", param="parent_id"
            )
        return parent

    def _lists_changed(self, owners: frozenset[str]) -> None:
        for owner in owners:
            for follower in self.followers.get(owner, ()):
                follower.lists_changed()


def asked_with(model: str, chat: Chat, new: NewRun) -> dict[str, Any]:
    """What a run is asked with: its own parameters and system prompt; the chat's and the model's where it has none."""
    parameters = (chat.parameters or NO_PARAMETERS) if new.parameters is None else new.parameters
    system_prompt = chat.system_prompt if new.system_prompt is None else new.system_prompt
    told = {} if system_prompt is None else {"system_prompt": system_prompt}
    return complete(model, parameters) | told


def _digest(*asked: Any) -> str:
    """Tells a request that is sent again from another one with the same ids."""
    plain = [dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part for part in asked]  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
