"""What Ollama's routes share: bodies, names of models, errors, and streams of lines."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Self

import msgspec
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from myna.errors import InvalidParameter, MynaError, UnsupportedParameter
from myna.hub import catalog
from myna.server.errors import excerpt, from_validation
from myna.server.openai.connection import EventStream, read_json
from myna.server.shapes import OLLAMA

_encode = msgspec.json.Encoder().encode

LATEST = ":latest"
"""The tag that Ollama gives to names without one."""


def create_router() -> APIRouter:
    """A router under ``/api``; `myna.server.shapes` knows its routes, whose errors are ``{"error": message}``."""
    return APIRouter(prefix="/api")


class Body(BaseModel):
    """What all requests share. ``name`` is what ``model`` was called before.

    A field that is null, zero or empty counts as not given, as in the original's language.
    """

    model_config = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)
    unsupported: ClassVar[dict[str, str]] = {}

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)]

    @model_validator(mode="before")
    @classmethod
    def _given(cls, body: Any) -> Any:
        if isinstance(body, dict):
            body = {name: value for name, value in body.items() if value is not None}
            body.setdefault("model", body.get("name", ""))
        return body

    @classmethod
    async def read(cls, request: Request) -> Self:
        """The request's body.

        Raises:
            InvalidParameter: it is no JSON object, or a field is malformed.
            UnsupportedParameter: it asks for something that is not available here.
        """
        body = await read_json(request)
        if not isinstance(body, dict):
            raise InvalidParameter(f"The body must be a JSON object; got {excerpt(body)}.")
        for name, reason in cls.unsupported.items():
            if body.get(name):
                raise UnsupportedParameter(f"'{name}' is not supported: {reason}", param=name)
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            raise from_validation(error.errors(include_url=False)) from None

    @property
    def name(self) -> str:
        """The model's name, without the tag that Ollama's clients add to one that has none."""
        bare = self.model.removesuffix(LATEST)
        return bare if catalog.find(self.model) is None else self.model


class Lines(EventStream):
    """A stream of JSON objects, one a line."""

    media_type = "application/x-ndjson"

    def failure_frame(self, error: MynaError) -> bytes:
        """What the stream ends with when the server must stop."""
        return line(OLLAMA.frame(error))


def line(value: Any) -> bytes:
    """One line of a stream."""
    return _encode(value) + b"\n"


async def lines(values: AsyncGenerator[dict[str, Any], None]) -> AsyncGenerator[bytes, None]:
    """Objects as lines; an error in the middle is the last of them."""
    try:
        async for value in values:
            yield line(value)
    except MynaError as error:
        yield line(OLLAMA.frame(error))


def timestamp(seconds: float | None = None) -> str:
    """Unix seconds, by default now, in the form of RFC 3339."""
    moment = datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat().replace("+00:00", "Z")


def nanoseconds(seconds: float) -> int:
    """Ollama's unit of time."""
    return round(seconds * 1e9)
