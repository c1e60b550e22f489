"""Errors as plain data, so that the very leaf that was raised in one process can be raised in another."""

from __future__ import annotations

from typing import Any

from myna import errors
from myna.engine.request import Failed
from myna.errors import EngineError, MynaError

_OWN_FIELDS = ("message", "param")


def describe_error(error: BaseException) -> tuple[str, str, str | None, dict[str, Any]]:
    """Class name, message, param and further attributes. What is not ours becomes an `EngineError`."""
    if not isinstance(error, MynaError):
        error = EngineError(f"Internal error: {type(error).__name__}: {error}")
    details = {name: value for name, value in vars(error).items() if name not in _OWN_FIELDS}
    return type(error).__name__, error.message, error.param, details


def rebuild_error(name: str, message: str, param: str | None, details: dict[str, Any]) -> MynaError:
    """The error that `describe_error` described; an `EngineError` if this version does not know its class."""
    leaf = getattr(errors, name, None) if name in errors.__all__ else None
    cls: type[MynaError] = leaf or EngineError
    error = cls.__new__(cls)
    MynaError.__init__(error, message, param=param)
    vars(error).update(details)
    return error


def failed(request_id: str, error: BaseException) -> Failed:
    """The event that ends a request with this error."""
    name, message, param, details = describe_error(error)
    return Failed(request_id, name, message, param, details)
