"""A server whose model never stops talking: ``python -m tests.server.api.endless DATA_DIR`` prints its address."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import uvicorn

from myna.backends.base import Delta, Finished, GenerationRequest, Started
from myna.hub import Hub
from myna.server import api
from myna.server.metrics import Metrics
from myna.server.shell import create_shell
from myna.settings import Settings
from myna.store.database import opened
from tests.runs.scripted import ScriptedBackend, ScriptedModels, tokens_of


class EndlessBackend(ScriptedBackend):
    """Counts until somebody ends it."""

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]:
        yield Started(request.id, 1, 0, 1)
        number = 0
        while True:
            word = f"{number} "
            yield Delta(request.id, word, tokens_of(word))
            number += 1
            await asyncio.sleep(0.002)  # a model takes its time, too


async def main(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)
    app = create_shell(settings, Metrics())
    app.include_router(api.create_router())
    listening = socket.create_server(("127.0.0.1", 0))
    models = ScriptedModels(EndlessBackend())
    models.default = "smollm2:135m"
    async with (
        opened(settings.data_dir) as database,
        api.open_services(database, models, Hub(settings.models_dir)) as services,  # type: ignore[arg-type]
    ):
        app.state.api = services
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        await uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off")).serve(sockets=[listening])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
