from __future__ import annotations

import pytest
from sqlalchemy import Connection

from myna.chat import TextPart
from myna.store import branches, chats, messages, search
from myna.store.database import Database
from myna.store.query import MOST_WORDS, parse
from myna.store.scope import Scope
from myna.store.snippets import has_all
from myna.store.tables.search import search_documents
from tests.store.rows import OWNER, add_chat, message, new_id
from tests.store.statements import counted


async def found(
    database: Database, query: str, owner: str = OWNER, before: int | None = None, limit: int = 50
) -> list[str]:
    """The texts of the messages that have the words of a query."""
    async with database.read(owner) as scope:
        return [each.text for each in await search.candidates(scope, parse(query), before, limit)]


async def titled(database: Database, query: str, owner: str = OWNER) -> list[str]:
    async with database.read(owner) as scope:
        return await search.titled(scope, parse(query), 50)


TEXTS = (
    "The quick brown fox",
    "Die Donaudampfschifffahrtsgesellschaft fährt auf der Straße",
    "Le café déjà vu",
    "機械学習は楽しい。深度学习也很有趣",
    "مُحَمَّد يكتب رسالة",
    "İstanbul'da ÇOK GÜZEL",
    "see utils_of_myna.py plus C++ 3.14",
    "한국어 학교에서 배운다",
)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.write(OWNER) as scope:
        await add_chat(scope, *TEXTS)
    return database


FOUND = [
    ("quick", {0}),
    ("QUICK fox", {0}),
    ("quick wolf", set()),
    ("qui", {0}),
    ("donau", {1}),
    ("dampf", set()),  # words are found by their beginning
    ("strasse", {1}),
    ("STRAẞE FAHRT", {1}),
    ("cafe deja", {2}),
    ("Café", {2}),
    ("機械", {3}),
    ("学习", {3}),
    ("深", {3}),
    ("機械学習", {3}),
    ("楽しい", {3}),
    ("器学", set()),
    ("محمد", {4}),
    ("رسال", {4}),
    ("istanbul guzel", {5}),
    ("myna", {6}),
    ("3.14", {6}),
    ("학교", {7}),
]


async def test_words_are_found_however_they_are_written(filled: Database) -> None:
    for query, hits in FOUND:
        assert set(await found(filled, query)) == {TEXTS[number] for number in hits}, query


HOSTILE = [
    '"', "'", "''", "a' OR '1'='1", 'x" OR "y', "AND", "NOT quick", "NEAR(quick fox)", "words:quick", "*", "quick*",
    "^quick", "-fox", "(", "quick & !fox", "a:* | b", "\\", "%", "\x00", "\x00quick\x00",
           "quick " * 2000, "机" * 10_000, "x" * 10_000, '"' * 10_000, "1mquick", "0tquick",
]  # fmt: skip


async def test_no_query_is_an_error_or_means_more_than_its_words(filled: Database) -> None:
    for query in HOSTILE:
        if terms := parse(query):
            assert set(await found(filled, query)) <= {TEXTS[0]}, query
            assert await titled(filled, query) == [], terms


@pytest.mark.parametrize("latest", [search.LATEST, 2])
async def test_the_latest_come_first_a_page_at_a_time(
    database: Database, latest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "LATEST", latest)  # looked through by PostgreSQL before it asks the index
    async with database.write(OWNER) as scope:
        await add_chat(scope, *(f"same {number}" for number in range(7)))
    listed: list[str] = []
    before: int | None = None
    while True:
        async with database.read(OWNER) as scope:
            page = await search.candidates(scope, parse("same"), before, 3)
        if not page:
            break
        listed += [each.text for each in page]
        before = page[-1].entry
    assert listed == [f"same {number}" for number in reversed(range(7))]


async def test_what_changes_or_goes_is_found_no_longer(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, "first walnut", "second walnut", "third walnut")
        await chats.update(scope, made.id, title="About hazelnuts")
        answer = message(made.id, branch[-1].id, role="assistant", status="running", parts=())
        await messages.add(scope, answer)
    assert await found(database, "almond") == []
    assert await titled(database, "hazel") == [made.id]
    async with database.write(OWNER) as scope:
        await _finish(scope, answer.id, "an almond")
        await messages.delete(scope, branch[1].id)
        await chats.update(scope, made.id, title="About chestnuts")
    assert await found(database, "walnut") == ["third walnut", "first walnut"]
    assert await found(database, "almond") == ["an almond"]
    assert await titled(database, "hazelnuts") == []
    assert await titled(database, "chestnuts") == [made.id]
    async with database.write(OWNER) as scope:
        await _finish(scope, answer.id, "a pecan")
    assert await found(database, "almond") == []
    assert await found(database, "pecan") == ["a pecan"]
    async with database.write(OWNER) as scope:
        await chats.delete(scope, made.id)
    assert (
        await found(database, "walnut") == await found(database, "pecan") == await titled(database, "chestnuts") == []
    )
    async with database.read(OWNER) as scope:
        assert await scope.all(scope.select(search_documents)) == []


async def test_a_forked_branch_and_an_edited_text_are_found_too(database: Database) -> None:
    async with database.write(OWNER) as scope:
        made, branch = await add_chat(scope, "first walnut", "second walnut", "third walnut")
        forked = await branches.fork(scope, made.id, branch[1].id, new_id())
        await branches.edit(scope, branch[0].id, "first almond", known=None)
    async with database.read(OWNER) as scope:
        hits = await search.candidates(scope, parse("walnut"), None, 9)
    assert [(hit.chat_id == forked.id, hit.text) for hit in hits] == [
        (True, "second walnut"), (True, "first walnut"), (False, "third walnut"), (False, "second walnut"),
    ]  # fmt: skip
    assert await found(database, "almond") == ["first almond"]


async def test_a_transaction_that_fails_leaves_the_index_alone(filled: Database) -> None:
    async def fail() -> None:
        async with filled.write(OWNER) as scope:
            await add_chat(scope, "never said")
            for chat in await chats.page(scope, None, 9):
                await chats.delete(scope, chat.id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await found(filled, "said") == []
    assert await found(filled, "quick") == [TEXTS[0]]


async def test_owners_find_their_own_alone(filled: Database) -> None:
    async with filled.write("two") as scope:
        await add_chat(scope, "quick thinking")
    assert await found(filled, "quick", "two") == ["quick thinking"]
    assert await found(filled, "quick") == [TEXTS[0]]
    assert await found(filled, "quick", "three") == await titled(filled, "quick", "three") == []
    async with filled.read("two") as scope:  # rows are numbered within an owner: nothing is told of others
        assert [each.entry for each in await search.candidates(scope, parse("quick"), None, 9)] == [1]


async def test_an_index_made_anew_finds_the_same(filled: Database) -> None:
    async with filled.write("two") as scope:
        made, _ = await add_chat(scope, "quick thinking")
        await chats.update(scope, made.id, title="Speed")

    def rebuild(connection: Connection) -> int:
        return search.rebuild(connection)

    async with filled.transaction() as transaction:
        assert await transaction.connection.run_sync(rebuild) == len(TEXTS) + 2
    assert await found(filled, "quick", "two") == ["quick thinking"]
    assert await found(filled, "donau") == [TEXTS[1]]
    assert await titled(filled, "speed", "two") == [made.id]


async def test_a_search_costs_two_queries_however_much_it_finds(database: Database) -> None:
    async with database.write(OWNER) as scope:
        await add_chat(scope, *(f"same {number}" for number in range(60)))
    for query in ("same", "nothing", '"same 3" same 机器学习 other'):
        with counted(database) as count:
            await found(database, query)
        assert count.statements == 2


async def _finish(scope: Scope, message_id: str, text: str) -> None:
    parts = [TextPart(text)]
    await messages.finish(scope, message_id, parts_now=parts, status="complete", usage=None, error=None)


def test_what_a_search_costs_is_bounded_however_long_its_phrases_are() -> None:
    terms = parse('"' + "a " * 400 + 'b" ' + "c " * 400)
    assert sum(len(term.words) for term in terms) <= MOST_WORDS
    assert has_all("a " * MOST_WORDS, parse('"' + "a " * 100 + '"')), "the phrase's beginning counts"
    assert not has_all("a " * (MOST_WORDS - 1), parse('"' + "a " * 100 + '"'))
