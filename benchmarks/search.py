"""How long a search takes over many messages: `python -m benchmarks.search [--messages 100000] [--url postgresql://…]`.

A database is filled with words as often as languages have them (Zipf's law), a tenth of it in Chinese, and asked what
people and those who wish to be slow ask. Times are of the whole answer of `GET /api/search`, without HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, insert

from myna.chat import TextPart
from myna.server.api.search import find
from myna.store import messages, search
from myna.store.database import Database, opened
from myna.store.records import Message, now
from myna.store.tables.chats import chats, parts
from myna.store.tables.chats import messages as message_table

OWNER = "local"
VOCABULARY, CHARACTERS = 30_000, 3_000
WORDS = 120
"""Of a message, on average."""
A_CHAT = 40
"""Messages."""


class Language:
    """Words and Chinese characters, from the commonest to the rarest, the same in every run."""

    def __init__(self, random_numbers: random.Random) -> None:
        self._random = random_numbers
        letters = "eeeeeetttttaaaaooooiiiinnnnsssshhhrrrdddlllcuumwfgypbvkjxqz"
        words = {"".join(random_numbers.choices(letters, k=random_numbers.randint(2, 11))) for _ in range(VOCABULARY)}
        self.words = sorted(words, key=lambda word: (len(word), word))
        self.characters = [chr(0x4E00 + number) for number in range(CHARACTERS)]
        self._words = [1 / (rank + 3) for rank in range(len(self.words))]
        self._characters = [1 / (rank + 3) for rank in range(CHARACTERS)]

    def text(self) -> str:
        """What one message says."""
        length = self._random.randint(WORDS // 4, WORDS * 7 // 4)
        if self._random.random() < 0.1:
            return "".join(self._random.choices(self.characters, self._characters, k=length))
        return " ".join(self._random.choices(self.words, self._words, k=length)).capitalize() + "."


def rows(count: int, language: Language) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]]:
    """Chats with their messages and parts."""
    for first in range(0, count, A_CHAT):
        chat_id, parent = str(uuid.uuid4()), None
        said, texts = [], []
        for number in range(first, min(first + A_CHAT, count)):
            message_id = str(uuid.uuid4())
            role = "user" if number % 2 == 0 else "assistant"
            message = {"owner": OWNER, "id": message_id, "chat_id": chat_id, "parent_id": parent, "role": role}
            said.append({**message, "status": "complete", "created_at": number})
            text = language.text()
            texts.append({"owner": OWNER, "message_id": message_id, "position": 0, "type": "text", "text": text})
            parent = message_id
        title = " ".join(language.text().split()[:5])[:60]
        chat = {"owner": OWNER, "id": chat_id, "title": title, "leaf_id": parent, "version": 1}
        yield {**chat, "created_at": first, "updated_at": first}, said, texts


def fill(connection: Connection, count: int, language: Language) -> float:
    """Store this many messages and index them; seconds of the indexing."""
    for chat, said, texts in rows(count, language):
        connection.execute(insert(chats), chat)
        connection.execute(insert(message_table), said)
        connection.execute(insert(parts), texts)
    began = time.perf_counter()
    search.rebuild(connection)
    return time.perf_counter() - began


def questions(language: Language) -> dict[str, str]:
    """What is asked, by what it is."""
    words = language.words
    long = [word for word in words if len(word) >= 6]
    return {
        "a common word": words[5],
        "a rare word": words[-20],
        "two common words": f"{words[3]} {words[9]}",
        "common and rare": f"{words[3]} {long[-1]}",
        "beginning, 2 letters": "th",
        "beginning, 3 letters": "the",
        "a phrase of common words": f'"{words[2]} {words[5]}"',
        "a phrase said nowhere": f'"{words[0]} {words[1]} {words[2]} {words[3]} {words[4]} {words[5]}"',
        "two Chinese characters": "丂七",
        "one Chinese character": "丁",
        "four Chinese characters": "".join(language.characters[:4]),
        "nothing there": "zzzzzzqqqqq",
        "twelve beginnings": " ".join(f"{a}{b}e" for a in "eta" for b in "nrst"),
        "ten thousand characters": "th " * 3_333,
    }


async def measure(database: Database, language: Language, repeats: int) -> None:
    """Print what each question takes."""
    services: Any = SimpleNamespace(database=database)
    print(f"{'':28}{'median ms':>10}{'worst ms':>10}{'hits':>6}")
    for name, question in questions(language).items():
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            found = await find(services, OWNER, question, None, 20)
            times.append((time.perf_counter() - began) * 1000)
        print(f"{name:28}{statistics.median(times):10.1f}{max(times):10.1f}{len(found.messages):6}")


async def measure_adding(database: Database, language: Language, count: int = 200) -> None:
    """Print what a message more costs, in a transaction of its own."""
    times = []
    async with database.read(OWNER) as scope:
        row = await scope.first(scope.select(chats, chats.c.id).limit(1))
    assert row is not None
    for _ in range(count):
        message = Message(
            str(uuid.uuid4()), row.id, None, "user", (TextPart(language.text()),), "complete", None, now()
        )
        began = time.perf_counter()
        async with database.write(OWNER) as scope:
            await messages.add(scope, message)
        times.append((time.perf_counter() - began) * 1000)
    print(f"adding a message: {statistics.median(times):.1f} ms (median of {count})")


async def run(count: int, repeats: int, url: str | None) -> None:
    """Fill a new database and measure."""
    language = Language(random.Random(1))
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory), url) as database:
            async with database.transaction() as transaction:
                seconds = await transaction.connection.run_sync(fill, count, language)
            print(f"{count:,} messages indexed in {seconds:.1f} s")
            if url is None:
                async with database.read(OWNER) as scope:
                    from sqlalchemy import text

                    sizes = await scope.all(text(
                        "SELECT name, sum(pgsize) AS size FROM dbstat WHERE name IN "
                        "('parts', 'search_documents', 'search_index_data') GROUP BY name"
                    ))  # fmt: skip
                print("  ".join(f"{row.name}: {row.size / 2**20:.0f} MiB" for row in sizes))
            else:
                async with database.transaction() as transaction:
                    await transaction.connection.exec_driver_sql("ANALYZE")
            await measure(database, language, repeats)
            await measure_adding(database, language)


def main() -> None:
    """Read the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--url", help="an empty PostgreSQL database; without it, SQLite in a temporary directory")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.messages, arguments.repeats, arguments.url))


if __name__ == "__main__":
    main()
