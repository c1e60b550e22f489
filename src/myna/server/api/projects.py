"""Projects: folders of chats with instructions of their own."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response

from myna.errors import Conflict, InvalidParameter
from myna.server.api import project_types, types
from myna.server.api.services import Owner, Services
from myna.store import projects
from myna.store.records import Project, now

router = APIRouter(prefix="/api/projects")

MOST = 200
"""Projects of one user: the list is sent whole."""


@router.get("")
async def list_projects(services: Services, owner: Owner) -> project_types.ProjectList:
    """All of the owner's projects, oldest first."""
    async with services.database.read(owner) as scope:
        return project_types.ProjectList.model_validate({"projects": await projects.listed(scope)})


@router.post("", status_code=201)
async def make_project(
    services: Services, owner: Owner, request: project_types.NewProject, response: Response
) -> types.Project:
    """Make a project; 200 instead of 201 when that was done before."""
    async with services.database.write(owner) as scope:
        known = await projects.find(scope, request.id)
        if known is not None:
            if (known.name, known.instructions) != (request.name, request.instructions):
                raise Conflict(f"Project {request.id} exists already; make a new id.", param="id")
            response.status_code = 200
            return types.Project.model_validate(known)
        if await projects.count(scope) >= MOST:
            raise Conflict(f"You have {MOST} projects; delete one before you make another.")
        at = now()
        project = Project(request.id, request.name, request.instructions, at, at, version=1)
        await projects.create(scope, project)
        return types.Project.model_validate(project)


@router.patch("/{project_id}")
async def change_project(
    services: Services, owner: Owner, project_id: types.Id, patch: project_types.ProjectPatch
) -> types.Project:
    """Rename a project, or change its instructions: what is asked from then on has them."""
    values = patch.model_dump(exclude_unset=True)
    if not values:
        raise InvalidParameter("Nothing to change: give name or instructions.")
    async with services.database.write(owner) as scope:
        return types.Project.model_validate(await projects.update(scope, project_id, **values, updated_at=now()))


@router.delete("/{project_id}", status_code=204)
async def delete_project(
    services: Services, owner: Owner, project_id: types.Id, with_chats: Literal["keep", "delete"] = "keep"
) -> None:
    """Delete a project. Its chats leave it, or are deleted with it if that is asked for."""
    if with_chats == "delete":
        await services.runs.delete_project(owner, project_id)
    else:
        async with services.database.write(owner) as scope:
            await projects.delete(scope, project_id)
