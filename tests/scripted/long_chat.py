"""A chat as long as one that people complained of, made of generated words and said to be that."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from pathlib import Path

from myna.chat import TextPart
from myna.store import chats, messages
from myna.store.database import Database, opened
from myna.store.records import Chat, Message, now

CHAT = "00000000-0000-4000-8000-000000000001"
TEXT = "a bird sings on its **wing** and `flies` over the tree while *another* one listens to it"
CODE_LINES = 400


def message_id(number: int) -> str:
    """Of a message by its number in the chat, from 0."""
    return f"00000000-0000-4000-8000-1{number:011d}"


def text_of(number: int, size: int) -> str:
    """What message ``number`` says, in about so many characters; even ones are a user's. The same every time."""
    chance = random.Random(number)
    head = f"Message {number} of generated text. "
    if number % 10 == 9:
        lines = (f"value_{line} = compute({line}, {chance.randrange(99)})  # generated\n" for line in itertools.count())
        blocks, length = [], 0
        while length < size:
            blocks.append("```python\n" + "".join(itertools.islice(lines, CODE_LINES)) + "```\n\n")
            length += len(blocks[-1])
        return head + "\n\n" + "".join(blocks)
    paragraphs, length = [], 0
    while length < size:
        paragraphs.append(head + " ".join(chance.choices(TEXT.split(), k=70)))
        length += len(paragraphs[-1]) + 2
    return "\n\n".join(paragraphs)[: max(size, len(head))]


async def fill(database: Database, count: int, size: int, owner: str = "local") -> None:
    """Store a chat of ``count`` messages, an answer in two, of about ``size`` bytes in all."""
    at = now() - 10 * count
    answer_size = 2 * size // count - 200
    async with database.write(owner) as scope:
        await chats.create(scope, Chat(CHAT, "A long chat", None, None, at, at, 0))
        parent = None
        for number in range(count):
            asked = number % 2 == 0
            text = text_of(number, 200 if asked else answer_size)
            role, model = ("user", None) if asked else ("assistant", "scripted:chat")
            made = Message(
                message_id(number),
                CHAT,
                parent,
                role,
                (TextPart(text),),
                "complete",
                model,
                at + number,  # type: ignore[arg-type]
            )
            await messages.add(scope, made)
            parent = made.id
        await chats.update(scope, CHAT, leaf_id=parent)


def store(data_dir: Path, count: int, size: int) -> None:
    """`fill` the database of a data directory, also where an event loop runs already."""

    async def work() -> None:
        async with opened(data_dir) as database:
            await fill(database, count, size)

    thread = threading.Thread(target=lambda: asyncio.run(work()))
    thread.start()
    thread.join()
