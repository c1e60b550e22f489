"""A chat as a screen shows it: the whole tree without texts, and the texts that are near.

A long chat opens as fast as a short one: with the end of the branch that was shown last. The rest is asked for by its
ids when it comes near.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from myna.runs.elsewhere import as_stored
from myna.runs.followers import Live
from myna.store import chats, messages, runs, transcripts
from myna.store.database import Database
from myna.store.records import Chat, Message, Node, Run
from myna.store.scope import Scope

OPENED_BYTES = 128 * 1024
OPENED_MESSAGES = 40
"""A chat opens with the last messages of its branch until they are so many, or so large together."""


@dataclass(frozen=True, slots=True)
class OpenedChat:
    """A chat, its tree, the end of its branch with texts, oldest first, and its open runs.

    An open answer is among ``messages``, wherever it stands, with its text up to its run's ``last_event``.
    """

    chat: Chat
    tree: list[Node]
    messages: list[Message]
    runs: list[Run]


async def open_chat(database: Database, live: Live, owner: str, chat_id: str) -> OpenedChat:
    """A chat as a screen shows it first.

    Raises:
        NotFound: the owner has no such chat.
    """
    while True:
        async with database.read(owner) as scope:
            chat = await chats.get(scope, chat_id)
            tree = await transcripts.tree(scope, chat_id)
            open_runs = await runs.open_in_chat(scope, chat_id)
            near = ending(tree, chat.leaf_id) | {run.message_id for run in open_runs}
            found = await messages.of_ids(scope, near)
            shown = await _as_written(scope, live, open_runs, found)
        if shown is not None:
            return OpenedChat(chat, tree, *shown)
        await database.settled()  # a run has just begun or ended: look again


async def contents(
    database: Database, live: Live, owner: str, chat_id: str, ids: Collection[str]
) -> tuple[list[Message], list[Run]]:
    """Those of these messages that the chat has, and of their runs those that are open.

    Raises:
        NotFound: the owner has no such chat.
    """
    while True:
        async with database.read(owner) as scope:
            await chats.get(scope, chat_id)
            found = {
                i: message for i, message in (await messages.of_ids(scope, ids)).items() if message.chat_id == chat_id
            }
            open_runs = [run for run in await runs.open_in_chat(scope, chat_id) if run.message_id in found]
            shown = await _as_written(scope, live, open_runs, found)
        if shown is not None:
            return shown
        await database.settled()


def ending(tree: Sequence[Node], leaf_id: str | None) -> set[str]:
    """Ids of the last messages of the branch that ends in ``leaf_id``, at least one if there is any."""
    by_id = {node.id: node for node in tree}
    node = by_id.get(leaf_id or "") or (tree[-1] if tree else None)
    found: set[str] = set()
    size = 0
    while node is not None and node.id not in found and len(found) < OPENED_MESSAGES:
        size += node.size
        if found and size > OPENED_BYTES:
            break
        found.add(node.id)
        node = by_id.get(node.parent_id or "")
    return found


async def _as_written(
    scope: Scope, live: Live, open_runs: Sequence[Run], found: dict[str, Message]
) -> tuple[list[Message], list[Run]] | None:
    """Messages, open answers with what their runs have committed, and these runs; None if a run is not at work."""
    now: list[Run] = []
    for run in open_runs:
        if live.elsewhere.has(run):
            run_now, answer = await as_stored(scope, run, found[run.message_id])
        elif (log := live.live(scope.owner, run.id)) is not None:
            run_now, answer = log.snapshot()
        else:
            return None
        now.append(run_now)
        # An answer may have become longer since the read, never be replaced.
        if answer.id in found:
            found[answer.id] = dataclasses.replace(found[answer.id], parts=answer.parts)
    return list(found.values()), now
