"""The pages themselves: one that lists all routes, and one a subject. No script, one style sheet, no other host."""

from __future__ import annotations

import asyncio
import functools
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from myna.server.docs import commands, reference

if TYPE_CHECKING:
    import jinja2

router = APIRouter(prefix="/docs", include_in_schema=False)

READING = ["GET", "HEAD"]
STYLE_SHEET = "reference.css"
_CODE = re.compile(r"``(.+?)``|`([^`]+)`")


def create_router() -> APIRouter:
    """``/docs`` and what lies below it; it reads the document of the application that it is part of."""
    return router


@router.api_route("", methods=READING)
async def index(request: Request) -> Response:
    """All routes by subject."""
    return await _page(request, "index.html", None)


@router.api_route("/", methods=READING)
async def slash() -> Response:
    """The same address, written with a slash."""
    return RedirectResponse("/docs")


@router.api_route(f"/{STYLE_SHEET}", methods=READING)
async def style_sheet() -> Response:
    """The pages' one companion."""
    css = resources.files(__package__).joinpath("templates", STYLE_SHEET).read_text("utf-8")
    return Response(css, media_type="text/css", headers={"cache-control": "no-cache"})


@router.api_route("/{slug}", methods=READING)
async def subject(request: Request, slug: str) -> Response:
    """One subject's routes with all that can be said to them."""
    return await _page(request, "subject.html", slug)


async def _page(request: Request, template: str, slug: str | None) -> Response:
    app, base = request.app, str(request.base_url).rstrip("/")

    def render() -> str:
        subjects = _subjects(app)
        chosen = next((each for each in subjects if each.slug == slug), None)
        if slug is not None and chosen is None:
            raise HTTPException(404)
        return (
            _templates()
            .get_template(template)
            .render(subjects=subjects, subject=chosen, base=base, version=app.version, title=app.title)
        )

    return Response(await asyncio.to_thread(render), media_type="text/html", headers={"cache-control": "no-cache"})


def _subjects(app: Any) -> tuple[reference.Subject, ...]:
    """Read once: the document of a running application does not change."""
    if not hasattr(app.state, "reference"):
        app.state.reference = reference.read(app.openapi())
    subjects: tuple[reference.Subject, ...] = app.state.reference
    return subjects


@functools.cache
def _templates() -> jinja2.Environment:
    """Loaded with the first page: a server that nobody asks for its reference starts without it."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("myna.server.docs"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": _prose, "breakable": _breakable}
    environment.globals |= {"curl": commands.curl, "who": reference.WHO}
    return environment


def _breakable(path: str) -> Any:
    """A path that goes on in the next line behind a slash, where it must."""
    from markupsafe import Markup

    return Markup("/<wbr>").join(path.split("/"))


def _prose(text: str) -> Any:
    """Text as HTML, what stands in backticks as code."""
    from markupsafe import Markup, escape

    parts, last = [], 0
    for match in _CODE.finditer(text):
        parts += [escape(text[last : match.start()]), Markup("<code>{}</code>").format(match[1] or match[2])]
        last = match.end()
    return Markup("").join([*parts, escape(text[last:])])
