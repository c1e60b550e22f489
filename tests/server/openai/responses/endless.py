"""A server of responses that never end, in a process of its own, to be killed: ``python -m … DIRECTORY``."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.server import openai
from myna.server.metrics import Metrics
from myna.server.openai.responses import open_responses
from myna.server.shell import create_shell
from myna.server.webhooks import open_webhooks
from myna.settings import Settings
from myna.store.database import opened
from tests.server.scripted import ScriptedBackend, ScriptedModels


class Counting(ScriptedBackend):
    """Counts, faster than it is stored."""

    async def generate(self, request: GenerationRequest) -> AsyncIterator[Started | Delta | Finished]:
        yield Started(request.id, 1, 0, 7)
        for number in count():
            yield Delta(request.id, f"{number} ", (number % 900,))
            await asyncio.sleep(0.005)


def main(data_dir: Path) -> None:
    """Serve on a port that is written to stdout."""
    settings = Settings(data_dir=data_dir)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(opened(settings.data_dir))
            webhooks = await stack.enter_async_context(open_webhooks(database, settings))
            app.state.responses = await stack.enter_async_context(open_responses(database, webhooks))
            yield

    app = create_shell(settings, Metrics(), lifespan)
    app.state.models = ScriptedModels(Counting())
    app.include_router(openai.create_router())
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_config=None)).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
