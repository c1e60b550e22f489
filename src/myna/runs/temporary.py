"""Temporary chats: each in a database of its own in this process's memory, gone without a trace when it is over.

A temporary chat ends when it is deleted, some time after the last tab that holds it went, when its owner may no longer
use the server, and with the server. Runs in it are as all others, but for titles: nobody needs one.
"""

from __future__ import annotations

import asyncio

from myna.backends.manager import ModelManager
from myna.errors import Conflict, NotFound, TooLarge
from myna.runs.answer import Measure, Spend, measure_nothing, spend_freely
from myna.runs.followers import Follower
from myna.runs.queue import Admit, admit_all
from myna.runs.service import ChatSettings, Created, NewMessage, NewRun, Permit, RunService, permit_all
from myna.store import chats, memory, messages, runs
from myna.store.database import Database
from myna.store.scope import Scope

MOST_OF_USER = 4
"""Temporary chats that a user may have at once."""
MOST_OF_ALL = 64
"""Temporary chats that the server holds at once."""
MOST_BYTES = 8 * 1024 * 1024
"""Memory that one may take before it takes no more messages; what it takes altogether is at most twice that."""
IDLE_SECONDS = 600.0
"""How long one is kept that no tab holds: a connection may be lost, and a page loaded again."""


class TemporaryChat:
    """One of them: its database and its runs, and the tabs that hold it. ``profile`` has its owner's instructions."""

    def __init__(self, owner: str, chat_id: str, database: Database, profile: Database, service: RunService) -> None:
        self.owner = owner
        self.id = chat_id
        self.database = database
        self.runs = service
        self.over = False
        self.gone = asyncio.Event()
        self.tabs: set[Follower] = set()
        self.profile = profile
        self.leaving: asyncio.TimerHandle | None = None

    async def has(self, *, message: str | None = None, run: str | None = None) -> bool:
        """Whether it has this message, or this run."""
        async with self.database.read(self.owner) as scope:
            if run is not None:
                return await runs.find(scope, run) is not None
            return message is not None and await messages.find(scope, message) is not None

    async def end(self) -> None:
        """End its runs, tell its tabs, and forget it."""
        self.over = True
        for tab in self.tabs:
            tab.wake.set()
        await self.runs.delete_chats(self.owner, [self.id])
        await self.runs.close()
        await self.database.close()
        self.gone.set()


class TemporaryChats:
    """All temporary chats of this process.

    Args:
        profiles: the server's database, for what users and their licences say.
        models: as `RunService` takes them, like all that follows.
        spend: see there.
        measure: see there.
        permit: see there; it is asked with a scope of ``profiles``.
        admit: see `myna.runs.queue`.
        idle_seconds: how long a chat is kept that no tab holds.
    """

    def __init__(
        self,
        profiles: Database,
        models: ModelManager,
        spend: Spend = spend_freely,
        measure: Measure = measure_nothing,
        permit: Permit = permit_all,
        admit: Admit = admit_all,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._profiles = profiles
        self._models = models
        self._spend = spend
        self._measure = measure
        self._permit = permit
        self._admit = admit
        self.idle_seconds = idle_seconds
        self._chats: dict[tuple[str, str], TemporaryChat] = {}
        self._making = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    def get(self, owner: str, chat_id: str) -> TemporaryChat | None:
        """An owner's temporary chat."""
        return self._chats.get((owner, chat_id))

    async def find(self, owner: str, *, message: str | None = None, run: str | None = None) -> TemporaryChat | None:
        """That one of an owner's temporary chats which has a message or a run."""
        for chat in self.of(owner):
            if not chat.over and await chat.has(message=message, run=run):
                return chat
        return None

    async def send(self, owner: str, chat_id: str, message: NewMessage, run: NewRun, settings: ChatSettings) -> Created:
        """As `RunService.send`; the first message makes the chat.

        Raises:
            NotFound: the chat is over.
            Conflict: there is a chat of this id that is not temporary, or the owner has too many.
            TooLarge: it has grown as large as one may be.
        """
        async with self._making:
            chat = self.get(owner, chat_id)
            if chat is None:
                if message.parent_id is not None:
                    raise NotFound("This temporary chat is over, and nothing of it was kept.", param="chat")
                chat = await self._make(owner, chat_id)
        try:
            return await chat.runs.send(owner, chat_id, message, run, settings)
        except BaseException:
            async with chat.database.read(owner) as scope:
                is_empty = await chats.find(scope, chat_id) is None
            if is_empty:
                await self.drop(owner, chat_id)
            raise

    def hold(self, chat: TemporaryChat, wake: asyncio.Event) -> Follower:
        """Keep a chat for a tab, which follows it from now on and is woken by ``wake``."""
        if chat.leaving is not None:
            chat.leaving.cancel()
            chat.leaving = None
        tab = chat.runs.follower(chat.owner, wake)
        chat.tabs.add(tab)
        return tab

    def release(self, chat: TemporaryChat, tab: Follower) -> None:
        """A tab went."""
        tab.close()
        chat.tabs.discard(tab)
        if not chat.tabs and not chat.over:
            self._leave(chat)

    async def drop(self, owner: str, chat_id: str) -> bool:
        """End a temporary chat; whether there was one."""
        chat = self._chats.pop((owner, chat_id), None)
        if chat is None:
            return False
        if chat.leaving is not None:
            chat.leaving.cancel()
        await chat.end()
        return True

    def forget(self, owner: str) -> None:
        """End all that an owner has, soon."""
        for chat in self.of(owner):
            self._drop_soon(chat)

    async def close(self) -> None:
        """End them all."""
        for owner, chat_id in list(self._chats):
            await self.drop(owner, chat_id)
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def _make(self, owner: str, chat_id: str) -> TemporaryChat:
        async with self._profiles.read(owner) as scope:
            if await chats.find(scope, chat_id) is not None:
                raise Conflict(f"Chat {chat_id} exists already, and is not temporary; make a new id.", param="chat")
        if len(self.of(owner)) >= MOST_OF_USER:
            raise Conflict(f"You have {MOST_OF_USER} temporary chats open; end one of them first.", param="chat")
        if len(self._chats) >= MOST_OF_ALL:
            raise Conflict("The server holds as many temporary chats as it can; try again later.", param="chat")
        database = await memory.open_database(2 * MOST_BYTES)

        async def permit(scope: Scope, model: str) -> None:
            if await memory.size(scope) > MOST_BYTES:
                raise TooLarge(memory.FULL, param="chat")
            async with self._profiles.read(scope.owner) as profile:
                await self._permit(profile, model)

        service = RunService(
            database,
            self._models,
            self._spend,
            self._measure,
            permit,
            admit=self._admit,
            profile=self._profiles,
        )
        await service.start()
        chat = self._chats[owner, chat_id] = TemporaryChat(owner, chat_id, database, self._profiles, service)
        self._leave(chat)
        return chat

    def of(self, owner: str) -> list[TemporaryChat]:
        """Those of an owner."""
        return [chat for (of_owner, _), chat in self._chats.items() if of_owner == owner]

    def _leave(self, chat: TemporaryChat) -> None:
        """No tab holds it: unless one comes back, it is over in a while."""
        loop = asyncio.get_running_loop()
        chat.leaving = loop.call_later(self.idle_seconds, self._drop_soon, chat)

    def _drop_soon(self, chat: TemporaryChat) -> None:
        async def drop() -> None:
            await self.drop(chat.owner, chat.id)

        task = asyncio.create_task(drop(), name="end of a temporary chat")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
