"""Answering again, carrying an answer on, stopping one, and what waits for another."""

from __future__ import annotations

from fastapi import APIRouter, Response

from myna.runs.alternative import Place
from myna.runs.service import NewRun
from myna.server.api import types
from myna.server.api.services import Admitted, ApiServices, Owner, Services

router = APIRouter(prefix="/api")


def new_run(services: ApiServices, asked: types.NewRun) -> NewRun:
    """A run as the service takes it.

    Raises:
        NotFound: no such model.
    """
    model = None if asked.model is None else services.library.canonical(asked.model)
    return NewRun(asked.id, asked.message_id, model, types.given(asked.parameters), asked.system_prompt)


@router.post("/chats/{chat_id}/runs", status_code=201)
async def start_run(
    services: Services, owner: Admitted, chat_id: types.Id, request: types.RunRequest, response: Response
) -> types.Created:
    """Answer a user's message once more, carry on or vary an answer; 200 when that was done before."""
    home = await services.home(owner, chat=chat_id)
    if request.carry_on is not None:
        parameters = types.given(request.parameters)
        created = await home.runs.carry_on(owner, chat_id, request.carry_on, request.id, parameters)
    elif request.continue_from is not None:
        assert request.message_id is not None, "see RunRequest.one_of_both"
        asked = types.NewRun(id=request.id, message_id=request.message_id, parameters=request.parameters)
        place = Place(**request.continue_from.model_dump())
        created = await home.runs.continue_from(owner, chat_id, place, new_run(services, asked))
    else:
        assert request.message_id is not None, "see RunRequest.one_of_both"
        assert request.parent_id is not None
        asked = types.NewRun(
            id=request.id,
            message_id=request.message_id,
            model=request.model,
            parameters=request.parameters,
            system_prompt=request.system_prompt,
        )
        created = await home.runs.answer_again(owner, chat_id, request.parent_id, new_run(services, asked))
    response.status_code = 201 if created.is_new else 200
    return types.Created.model_validate(created)


@router.post("/runs/{run_id}/stop")
async def stop_run(services: Services, owner: Owner, run_id: types.Id) -> types.Run:
    """End a run with the text it has."""
    return types.Run.model_validate(await (await services.home(owner, run=run_id)).runs.stop(owner, run_id))


@router.post("/runs/{run_id}/send")
async def send_on(services: Services, owner: Admitted, run_id: types.Id) -> types.Run:
    """Send a waiting message whose turn did not come by itself."""
    home = await services.home(owner, run=run_id)
    return types.Run.model_validate(await home.runs.queue.send_on(owner, run_id))


@router.patch("/runs/{run_id}")
async def change_waiting(
    services: Services, owner: Owner, run_id: types.Id, patch: types.WaitingPatch
) -> types.Message:
    """Change a waiting message."""
    home = await services.home(owner, run=run_id)
    return types.Message.model_validate(await home.runs.queue.rewrite(owner, run_id, patch.text))


@router.delete("/runs/{run_id}", status_code=204)
async def withdraw(services: Services, owner: Owner, run_id: types.Id) -> None:
    """Take a waiting message back, and its answer to be."""
    home = await services.home(owner, run=run_id)
    await home.runs.queue.withdraw(owner, run_id)
