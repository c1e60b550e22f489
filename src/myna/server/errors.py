"""One place that says what errors mean over HTTP: status, and OpenAI's shape.

``{"error": {"message", "type", "param", "code"}}``, whatever went wrong and wherever: an error of the tree, a body
that does not validate, an unknown route, a method that a route lacks, a fault of our own. `myna.server.shapes` puts
it into an application, and into the shapes of other APIs.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from myna.errors import (
    Conflict,
    DiskFull,
    EngineBusy,
    EngineCrashed,
    HubError,
    InvalidParameter,
    LicenceNotAcknowledged,
    LimitReached,
    ModelTooLarge,
    MynaError,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    Refused,
    RequestError,
    ServerStopping,
    StorageFull,
    StoreUnavailable,
    TooLarge,
    TooManyAttempts,
    Unauthenticated,
)

STATUS: dict[type[MynaError], int] = {
    NotFound: 404,
    Conflict: 409,
    Refused: 403,
    LicenceNotAcknowledged: 403,
    TooLarge: 413,
    Unauthenticated: 401,
    TooManyAttempts: 429,
    RequestError: 400,
    LimitReached: 429,
    EngineBusy: 429,
    EngineCrashed: 503,
    ServerStopping: 503,
    ModelTooLarge: 507,
    DiskFull: 507,
    StorageFull: 507,
    StoreUnavailable: 503,
    HubError: 502,
    ProviderError: 502,
    MynaError: 500,
}
"""The nearest ancestor decides."""

HTTP_CODES = {408: "request_timeout", 404: "not_found", 405: "method_not_allowed", 413: "content_too_large"}
"""Codes of the refusals that come from routing and from reading the body, not from the tree."""

RETRY_AFTER_SECONDS = 1
STORE_RETRY_SECONDS = 5
"""The official clients try twice more: so they outlast a database that is gone for ten seconds."""

LONGEST_NAME = 64
"""Of a field, in a message."""
CLIENT_CLOSED_REQUEST = 499
"""Nobody receives it; it is for the metrics and the log, as nginx has it."""

_encode = msgspec.json.Encoder().encode


def status_of(error: MynaError) -> int:
    """HTTP status of an error: that of the nearest class on its way to the root."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_object(message: str, status: int, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error object; ``type`` tells the caller's faults from the server's."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def describe(error: MynaError) -> dict[str, Any]:
    """The error object of an error of the tree."""
    code = "model_not_found" if isinstance(error, NotFound) and error.param == "model" else error.code
    described = error_object(error.told, status_of(error), param=error.param, code=code)
    match error:
        case RateLimited():
            described["error"]["type"] = error.unit
        case QuotaExhausted():
            described["error"]["type"] = error.code
        case EngineBusy():
            described["error"]["type"] = "server_error"
    return described


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer from plain data."""
    return Response(_encode(body), status, headers, "application/json")


def error_response(error: MynaError) -> Response:
    """The HTTP answer to an error of the tree."""
    return json_response(describe(error), status_of(error), retry_headers(error))


def retry_headers(error: MynaError) -> dict[str, str] | None:
    """When to try again, where that may help; the official clients read the milliseconds first."""
    match error:
        case EngineBusy() | EngineCrashed() | ServerStopping():
            seconds: float = RETRY_AFTER_SECONDS
        case StoreUnavailable():
            seconds = STORE_RETRY_SECONDS
        case LimitReached() | TooManyAttempts():
            seconds = error.retry_after
        case _:
            return None
    headers = {"retry-after": str(math.ceil(seconds)), "retry-after-ms": str(math.ceil(seconds * 1000))}
    # Nobody should wait for tomorrow with a request in hand.
    return headers | {"x-should-retry": "false"} if isinstance(error, QuotaExhausted) else headers


def plain_error(status: int, message: str, *, code: str | None = None) -> Response:
    """The HTTP answer to a fault that no class of the tree describes."""
    return json_response(error_object(message, status, code=code), status)


def from_validation(errors: Sequence[Mapping[str, Any]], fields: Iterable[str] = ()) -> InvalidParameter:
    """The first of pydantic's errors as a sentence with field, value and what is allowed.

    Args:
        errors: what ``ValidationError.errors()`` gave.
        fields: names that are known, to suggest the nearest for one that is not.
    """
    first = errors[0]
    place, *inner = first["loc"] or ("",)
    # Where the framework found it, which is not of the field's name; a body of ours may have a field called query.
    is_place = place == "body" or (bool(inner) and place in ("query", "path", "header"))
    param = field_path(inner if is_place else first["loc"])
    if first["type"] == "missing":
        return InvalidParameter(f"Missing required parameter: '{param}'.", param=param or None)
    if first["type"] == "extra_forbidden":
        return InvalidParameter(f"Unknown parameter: '{param}'.{suggestion(param, fields)}", param=param)
    if first["type"] == "json_invalid":
        return InvalidParameter(f"The body is not valid JSON: {first.get('ctx', {}).get('error', first['msg'])}.")
    reason = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    where = f"'{param}'" if param else "the body"
    return InvalidParameter(f"Invalid value for {where}: {reason}; got {excerpt(first['input'])}.", param=param or None)


def field_path(parts: Iterable[object]) -> str:
    """``("messages", 0, "role")`` as people write it: ``messages[0].role``; names that strangers made up are cut."""
    path = ""
    for part in parts:
        if part != "[key]":  # pydantic's word for the name in a map, which stands before it
            name = str(part)[:LONGEST_NAME]
            path += f"[{part}]" if isinstance(part, int) else f".{name}" if path else name
    return path


def suggestion(name: str, known: Iterable[str]) -> str:
    """A question to append, with the known name that is nearest; nothing when none is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean '{near[0]}'?" if near else ""


def excerpt(value: object, limit: int = 60) -> str:
    """A value for a message: its repr, cut where it is long, nothing that a terminal or log would obey."""
    text = repr(value[:limit] if isinstance(value, str | list) else value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
