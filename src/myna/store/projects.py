"""Projects: list, create, change, delete."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, func

from myna.errors import NotFound
from myna.store import changes
from myna.store.records import Project
from myna.store.scope import Scope
from myna.store.tables.chats import chats, projects

COLUMNS = [column for column in projects.c if column is not projects.c.owner]


def _project(row: Row[Any]) -> Project:
    return Project(**row._mapping)


def _missing(project_id: str) -> NotFound:
    return NotFound(f"There is no project {project_id}; it may have been deleted.", param="project")


async def find(scope: Scope, project_id: str) -> Project | None:
    """A project, or None if the owner has none of this id."""
    row = await scope.first(scope.select(projects, *COLUMNS).where(projects.c.id == project_id))
    return None if row is None else _project(row)


async def get(scope: Scope, project_id: str) -> Project:
    """A project.

    Raises:
        NotFound: the owner has none of this id.
    """
    project = await find(scope, project_id)
    if project is None:
        raise _missing(project_id)
    return project


async def of_ids(scope: Scope, ids: Iterable[str]) -> dict[str, Project]:
    """Those of the given projects that exist, by id."""
    rows = await scope.all(scope.select(projects, *COLUMNS).where(projects.c.id.in_(list(ids))))
    return {row.id: _project(row) for row in rows}


async def listed(scope: Scope) -> list[Project]:
    """All of the owner's projects, oldest first."""
    rows = await scope.all(scope.select(projects, *COLUMNS).order_by(projects.c.created_at, projects.c.id))
    return [_project(row) for row in rows]


async def count(scope: Scope) -> int:
    """How many projects the owner has."""
    row = await scope.first(scope.select(projects, func.count().label("number")))
    assert row is not None
    return int(row.number)


async def create(scope: Scope, project: Project) -> None:
    """Insert a project."""
    await scope.add(projects, {column.name: getattr(project, column.name) for column in COLUMNS})
    await changes.record(scope, "project", project.id)


async def update(scope: Scope, project_id: str, **values: Any) -> Project:
    """Change columns of a project and count its version up.

    Raises:
        NotFound: the owner has none of this id.
    """
    row = await scope.first(
        scope.update(projects)
        .where(projects.c.id == project_id)
        .values(**values, version=projects.c.version + 1)
        .returning(*COLUMNS)
    )
    if row is None:
        raise _missing(project_id)
    await changes.record(scope, "project", project_id)
    return _project(row)


async def delete(scope: Scope, project_id: str) -> None:
    """Delete a project; its chats stay and are in none.

    Raises:
        NotFound: the owner has none of this id.
    """
    if not await scope.run(scope.delete(projects).where(projects.c.id == project_id)):
        raise _missing(project_id)
    left = await scope.all(
        scope.update(chats)
        .where(chats.c.project_id == project_id)
        .values(project_id=None, version=chats.c.version + 1)
        .returning(chats.c.id)
    )
    await changes.record_all(scope, "chat", [row.id for row in left])
    await changes.record(scope, "project_deleted", project_id)
