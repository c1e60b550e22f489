"""The lines of a batch's output and error files, and the tokens that answers say they took."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from myna.server.inside import Answer
from myna.server.openai.batches.draft import Usage

EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}

_encode = msgspec.json.Encoder().encode


class _Details(msgspec.Struct):
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class _Tokens(msgspec.Struct):
    """A usage object, in the words of either of OpenAI's APIs."""

    prompt_tokens: int = 0
    input_tokens: int = 0
    completion_tokens: int = 0
    output_tokens: int = 0
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Body(msgspec.Struct):
    usage: _Tokens | None = None


_read_body = msgspec.json.Decoder(_Body).decode


def answer_line(custom_id: str, answer: Answer) -> bytes:
    """The line of a request that was answered, with whatever status."""
    response = {"status_code": answer.status, "request_id": answer.request_id, "body": _body_of(answer)}
    return _line(custom_id, response=response)


def expired_line(custom_id: str) -> bytes:
    """The line of a request whose time was over before it was answered."""
    return _line(custom_id, error=EXPIRED)


def usage_of(answer: Answer) -> Usage:
    """The tokens that an answer says it took; none where it says nothing."""
    try:
        tokens = _read_body(answer.body).usage
    except (msgspec.DecodeError, UnicodeDecodeError):
        tokens = None
    if tokens is None:
        return Usage()
    taken = tokens.prompt_tokens_details or tokens.input_tokens_details or _Details()
    given = tokens.completion_tokens_details or tokens.output_tokens_details or _Details()
    return Usage(
        tokens.prompt_tokens or tokens.input_tokens,
        taken.cached_tokens,
        tokens.completion_tokens or tokens.output_tokens,
        given.reasoning_tokens,
    )


def _line(custom_id: str, *, response: Any = None, error: Any = None) -> bytes:
    """As OpenAI has it: either a response or an error."""
    return _encode(
        {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": custom_id, "response": response, "error": error}
    )


def _body_of(answer: Answer) -> msgspec.Raw | str:
    """An answer's body as part of a line: JSON as it is, but for what is laid out over several lines."""
    if answer.headers.get("content-type", "").startswith("application/json") and b"\n" not in answer.body:
        return msgspec.Raw(answer.body)
    return answer.body.decode(errors="replace")
