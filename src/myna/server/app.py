"""The server as one ASGI application: what wraps every request, and which routes there are.

From outside in: request id, counters and last resort; headers of every answer; Host, Origin and content type; who is
asking; then the routes, and for all other paths the browser application's files.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.responses import Response

from myna.backends.manager import ModelManager
from myna.hub import Hub
from myna.server import anthropic, api, docs, ollama, openai, web
from myna.server.errors import json_response
from myna.server.files import open_files
from myna.server.metrics import CONTENT_TYPE, Metrics
from myna.server.openai.batches import open_batches
from myna.server.openai.responses import open_responses
from myna.server.shell import create_shell
from myna.server.takeout import Takeouts
from myna.server.webhooks import open_webhooks
from myna.settings import Settings
from myna.store.database import opened


def create_app(settings: Settings, manager: ModelManager, hub: Hub, *, static: Path = web.STATIC) -> FastAPI:
    """The application; its lifespan opens the store and at its end closes the store, then the manager.

    Args:
        settings: all configuration.
        manager: gives loaded models; the application closes it.
        hub: knows the models on disk.
        static: the built browser application.

    Raises:
        ConfigurationError: the server would be open to strangers (see `myna.server.binding`).

    The lifespan raises what `myna.store.database.opened` does.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(manager.close)
            if app.state.tracing is not None:
                stack.push_async_callback(asyncio.to_thread, app.state.tracing.close)
            app.state.database = database = await stack.enter_async_context(
                opened(settings.data_dir, settings.database)
            )
            await stack.enter_async_context(app.state.options.opened(database))
            await stack.enter_async_context(app.state.meter.usage.stored(database))
            await stack.enter_async_context(app.state.accounts.opened(database))
            app.state.accounts.on_departure(app.state.meter.usage.forget)
            app.state.files = await stack.enter_async_context(open_files(database, settings))
            app.state.takeouts = Takeouts(database, app.state.files.blobs, settings.data_dir)
            app.state.webhooks = await stack.enter_async_context(
                open_webhooks(database, settings, may_reach=app.state.accounts.administers)
            )
            app.state.accounts.on_departure(app.state.webhooks.forget)
            app.state.responses = await stack.enter_async_context(open_responses(database, app.state.webhooks))
            app.state.accounts.on_departure(app.state.responses.forget)
            app.state.accounts.on_suspension(app.state.responses.cancel_all)
            app.state.api = await stack.enter_async_context(
                api.open_services(
                    database,
                    manager,
                    hub,
                    app.state.meter,
                    titles=lambda: app.state.options.current.titles,
                    admit=lambda owner: app.state.meter.check_quota(app.state.accounts.identity(owner)),
                )
            )
            app.state.accounts.on_departure(app.state.api.forget)
            app.state.accounts.on_suspension(app.state.api.interrupt)
            app.state.batches = await stack.enter_async_context(open_batches(app, settings))
            yield

    metrics = Metrics()
    app = create_shell(settings, metrics, lifespan)
    app.state.models = manager
    app.state.hub = hub
    app.include_router(openai.create_router(), tags=["OpenAI"])
    app.include_router(anthropic.create_router(), tags=["Anthropic"])
    app.include_router(ollama.create_router(), tags=["Ollama"])
    app.include_router(api.create_router(), tags=["Application"])
    app.include_router(docs.create_router())

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz")
    async def healthz(request: Request) -> Response:
        """Whether the server can answer: 200, or 503 with the reason. Says nothing else, since anyone may ask."""
        problem = request.app.state.api.readiness()
        return json_response({"status": problem or "ok"}, 503 if problem else 200)

    @app.head("/metrics", include_in_schema=False)
    @app.get("/metrics")
    async def prometheus() -> Response:
        """Counters of the server and its engines for Prometheus."""
        return Response(metrics.exposition(await manager.statistics()), media_type=CONTENT_TYPE)

    app.router.default = web.WebApplication(static)
    return app
