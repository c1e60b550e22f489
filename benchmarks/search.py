"""How long a search takes over many messages: `python -m benchmarks.search [--write docs/performance.md]`.

A database is filled with words as often as languages have them (Zipf's law), a tenth of it in Chinese, and asked what
people and those who wish to be slow ask: SQLite, and PostgreSQL where it is installed, in a server of its own. Times
are of the whole answer of `GET /api/search`, without HTTP.
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
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, insert

from benchmarks.documents import save_results, write_parts
from benchmarks.report import figure, table
from myna.chat import TextPart
from myna.server.api.search import find
from myna.store import messages, search
from myna.store.database import Database, opened
from myna.store.records import Message, now
from myna.store.tables.chats import chats, parts
from myna.store.tables.chats import messages as message_table
from tests import postgres

OWNER = "local"
MESSAGES, REPEATS = 100_000, 15
VOCABULARY, CHARACTERS = 30_000, 3_000
WORDS = 120
"""Of a message, on average."""
A_CHAT = 40
"""Messages."""
Results = dict[str, Any]


class Language:
    """Words and Chinese characters, from the commonest to the rarest, the same in every run."""

    def __init__(self, random_numbers: random.Random) -> None:
        self._random = random_numbers
        letters = "eeeeeetttttaaaaooooiiiinnnnsssshhhrrrdddlllcuumwfgypbvkjxqz"
        words = {"".join(random_numbers.choices(letters, k=random_numbers.randint(2, 11))) for _ in range(VOCABULARY)}
        self.words = sorted(words, key=lambda word: (len(word), word))
        self.characters = [chr(0x4E00 + number) for number in range(CHARACTERS)]
        self._words = list(accumulate(1 / (rank + 3) for rank in range(len(self.words))))
        self._characters = list(accumulate(1 / (rank + 3) for rank in range(CHARACTERS)))

    def text(self) -> str:
        """What one message says."""
        length = self._random.randint(WORDS // 4, WORDS * 7 // 4)
        if self._random.random() < 0.1:
            return "".join(self._random.choices(self.characters, cum_weights=self._characters, k=length))
        return " ".join(self._random.choices(self.words, cum_weights=self._words, k=length)).capitalize() + "."


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
    for number, (chat, said, texts) in enumerate(rows(count, language)):
        connection.execute(insert(chats), chat)
        connection.execute(insert(message_table), said)
        connection.execute(insert(parts), texts)
        if number in (10, 100) and connection.dialect.name == "postgresql":
            # Else it looks through the whole table for each row that refers to another, as when that was empty.
            connection.exec_driver_sql("ANALYZE")
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


async def measure(database: Database, language: Language, repeats: int) -> Results:
    """What each question takes: milliseconds of the median and of the worst, and how many messages were found."""
    services: Any = SimpleNamespace(database=database)
    results: Results = {}
    for name, question in questions(language).items():
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            found = await find(services, OWNER, question, None, 20)
            times.append((time.perf_counter() - began) * 1000)
        results[name] = {
            "median_ms": statistics.median(times),
            "worst_ms": max(times),
            "hits": len(found.messages),
        }
        print(f"{name:28}{statistics.median(times):10.1f}{max(times):10.1f}{len(found.messages):6}", flush=True)
    return results


async def measure_adding(database: Database, language: Language, count: int = 200) -> float:
    """Milliseconds of a message more, in a transaction of its own."""
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
    return statistics.median(times)


async def run(count: int, repeats: int, url: str | None) -> Results:
    """Fill a new database, that of ``url`` or one in a temporary directory, and measure."""
    language = Language(random.Random(1))
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory), url) as database:
            async with database.transaction() as transaction:
                seconds = await transaction.connection.run_sync(fill, count, language)
                if url is not None:  # as PostgreSQL itself does after a while
                    await transaction.connection.exec_driver_sql("ANALYZE")
            print(f"{'SQLite' if url is None else 'PostgreSQL'}: {count:,} messages indexed in {seconds:.1f} s")
            print(f"{'':28}{'median ms':>10}{'worst ms':>10}{'hits':>6}")
            asked = await measure(database, language, repeats)
            added = await measure_adding(database, language)
    print(f"adding a message: {added:.1f} ms")
    return {"indexed_s": seconds, "asked": asked, "added_ms": added}


def compare(count: int = MESSAGES, repeats: int = REPEATS) -> Results:
    """Both databases; PostgreSQL where it is installed, as a server of its own."""
    results: Results = {"messages": count, "SQLite": asyncio.run(run(count, repeats, None))}
    if postgres.installed() is not None:
        with postgres.serving() as server:
            results["PostgreSQL"] = asyncio.run(run(count, repeats, server.create()))
    save_results("search", results)
    return results


def part(results: Results) -> str:
    """The table of docs/performance.md."""
    places = [place for place in ("SQLite", "PostgreSQL") if place in results]
    rows = []
    for name in results[places[0]]["asked"]:
        cells = [results[place]["asked"][name] for place in places]
        rows.append((name, *(f"{figure(cell[unit])} ms" for cell in cells for unit in ("median_ms", "worst_ms"))))
    head = ("what is asked", *(f"{place}, {word}" for place in places for word in ("median", "worst")))
    added = " and ".join(f"{figure(results[place]['added_ms'])} ms ({place})" for place in places)
    return (
        f"{results['messages']:,} messages of generated words. The goal is 50 ms.\n\n{table(head, rows)}\n\n"
        f"A message more is stored and indexed in {added}."
    )


def main() -> None:
    """Read the command line and go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--write", type=Path, help="the document whose measured part to replace")
    arguments = parser.parse_args()
    made = part(compare(arguments.messages, arguments.repeats))
    if arguments.write:
        write_parts(arguments.write, {"search": made})


if __name__ == "__main__":
    main()
