"""Lists a page at a time: what may be asked, and what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field
from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, Row, String, Table
from starlette.requests import Request

from myna.errors import InvalidParameter
from myna.server.openai.pages import OrderedPageQuery, PageQuery, list_response, query_schema
from myna.store.database import Database
from myna.store.pages import OBJECT_ID, PageRequest, new_id, page

metadata = MetaData()
birds = Table("birds", metadata, Column("owner", String), Column("id", OBJECT_ID), PrimaryKeyConstraint("owner", "id"))


class BirdQuery(OrderedPageQuery):
    limit: Annotated[int, Field(ge=1, le=3)] = 2
    include: list[str] | None = None
    metadata: dict[str, str] | None = None


def request(query: str) -> Request:
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path)
    async with database.transaction() as transaction:
        await transaction.connection.run_sync(metadata.create_all)
    yield database
    await database.close()


async def listed(database: Database, owner: str, wanted: PageRequest) -> tuple[list[str], bool]:
    def read(row: Row[Any]) -> str:
        return str(row.id)

    async with database.read(owner) as scope:
        found = await page(scope, scope.select(birds), birds.c.id, wanted, read)
    return found.items, found.has_more


def test_ids_are_in_the_order_in_which_they_are_made() -> None:
    ids = [new_id("bird-") for _ in range(1_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)
    assert {len(each) for each in ids} == {len("bird-") + 32}


async def test_a_list_is_read_page_by_page_in_both_orders(database: Database) -> None:
    ids = [new_id("bird-") for _ in range(5)]
    async with database.write("ann") as scope:
        await scope.add(birds, *({"id": each} for each in ids))
    async with database.write("ben") as scope:
        await scope.add(birds, {"id": new_id("bird-")})
    assert await listed(database, "ann", PageRequest(5)) == (ids[::-1], False)
    assert await listed(database, "ann", PageRequest(2, order="asc")) == (ids[:2], True)
    assert await listed(database, "ann", PageRequest(2, ids[1], "asc")) == (ids[2:4], True)
    assert await listed(database, "ann", PageRequest(2, ids[3], "asc")) == (ids[4:], False)
    assert await listed(database, "ann", PageRequest(2, ids[0])) == ([], False)


async def test_the_row_where_a_page_ended_may_be_gone(database: Database) -> None:
    ids = [new_id("bird-") for _ in range(4)]
    async with database.write("ann") as scope:
        await scope.add(birds, *({"id": each} for each in ids))
        await scope.run(scope.delete(birds).where(birds.c.id == ids[1]))
    assert await listed(database, "ann", PageRequest(2, ids[1], "asc")) == (ids[2:], False)


def test_a_query_is_read() -> None:
    query = BirdQuery.parse(request("limit=3&order=asc&after=bird-1&include[]=a&include=b&metadata[x]=1&metadata[y]="))
    assert query.wanted == PageRequest(3, "bird-1", "asc")
    assert query.include == ["a", "b"]
    assert query.metadata == {"x": "1", "y": ""}
    assert BirdQuery.parse(request("")).wanted == PageRequest(2, None, "desc")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("limit=0", "'limit'.*greater than or equal to 1.*'0'"),
        ("limit=4", "'limit'.*less than or equal to 3"),
        ("limit=many", "'limit'.*valid integer"),
        ("limit=99999999999999999999999999", "'limit'"),
        ("limit=1&limit=2", "'limit' twice"),
        ("limit[a]=1", "'limit'"),
        ("order=up", "'order'.*'asc' or 'desc'"),
        ("after=", "'after'.*at least 1 character"),
        ("limt=1", "Unknown parameter: 'limt'. Did you mean 'limit'"),
        ("metadata=x", "'metadata'.*dictionary"),
        ("metadata=x&metadata[a]=b", "twice"),
        ("metadata[a]=b&metadata[a]=c", "twice"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(query: str, says: str) -> None:
    with pytest.raises(InvalidParameter, match=says) as refused:
        BirdQuery.parse(request(query))
    assert refused.value.param is not None


def test_a_list_without_an_order_takes_none() -> None:
    assert PageQuery.parse(request("limit=5")).wanted == PageRequest(5)
    with pytest.raises(InvalidParameter, match="Unknown parameter: 'order'"):
        PageQuery.parse(request("order=asc"))


def test_the_reference_shows_how_lists_and_maps_are_written() -> None:
    parameters = {each["name"]: each for each in query_schema(BirdQuery)["parameters"]}
    assert set(parameters) == {"after", "limit", "order", "include[]", "metadata"}
    assert parameters["limit"]["schema"]["maximum"] == 3
    assert parameters["metadata"]["style"] == "deepObject"


async def test_an_empty_list_has_no_ids(database: Database) -> None:
    async with database.read("ann") as scope:
        found = await page(scope, scope.select(birds), birds.c.id, PageRequest(), lambda row: str(row.id))
    answer = list_response(found, lambda bird: {"id": bird})
    assert answer.body == b'{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'
