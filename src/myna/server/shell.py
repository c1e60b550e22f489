"""What surrounds every route: an application without any, that already answers safely and in one shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fastapi import FastAPI
from starlette.middleware import Middleware

import myna
from myna.server import shapes
from myna.server.accounts import Accounts
from myna.server.accounts.single_sign_on import open_provider, rules_of
from myna.server.auth import Guard
from myna.server.binding import check_binding
from myna.server.meter import Meter
from myna.server.metrics import Metrics
from myna.server.observe import Observe
from myna.server.options import ServerOptions
from myna.server.security import BrowserGuard, SecurityHeaders
from myna.server.tracing import open_tracing
from myna.settings import Settings
from myna.store.records import now

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_shell(settings: Settings, metrics: Metrics, lifespan: Lifespan | None = None) -> FastAPI:
    """The application before its routes, with everything that wraps them, outermost first.

    Raises:
        ConfigurationError: the server would be open to strangers (see `myna.server.binding`), or traces are asked for
            that nothing is installed to make.
    """
    check_binding(settings)
    options = ServerOptions()
    accounts = Accounts(settings, options)
    accounts.provider = open_provider(settings)
    meter, tracing = Meter(settings, options), open_tracing(settings)
    app = FastAPI(
        title="Myna",
        version=myna.__version__,
        lifespan=lifespan,
        docs_url=None,  # these two pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": tracing is not None,
            "tracer_provider": None if tracing is None else tracing.provider,
            "operation_spans": False,
            "metrics": False,  # /metrics has them
            "logs": False,  # these would tell what was asked
        },
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Observe, metrics, meter, tracing),
            Middleware(BrowserGuard, settings),
            Middleware(Guard, accounts),
        ],
    )
    app.state.sign_on_rules = rules_of(settings)
    app.state.accounts = accounts  # knows none until the lifespan opens it
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.started_at = now()
    app.state.options = options  # the defaults, until the lifespan opens them
    app.state.tracing = tracing
    app.state.meter = meter  # in memory alone, until the lifespan opens the database
    app.state.stopping = asyncio.Event()  # set when running answers must end, because the server does
    shapes.install(app)
    return app
