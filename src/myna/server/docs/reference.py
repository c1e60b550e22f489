"""An OpenAPI document as what its readers look for: subjects, their routes, and what each route takes and answers."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from myna.server.docs.schemas import Field, Schemas
from myna.server.docs.words import example_of, known_words
from myna.server.permissions import Need, need_of

METHODS = ("get", "post", "put", "patch", "delete")
LAST_SUBJECT = "Server"
"""Where a route is shown that no subject claims."""

SUBJECTS = {
    "OpenAI": "What programs written for OpenAI's API use: set their base URL to this server's address and `/v1`.",
    "Anthropic": "Anthropic's Messages API, for programs whose base URL can be set to this server's address.",
    "Ollama": "Ollama's API, for editors and plugins that look for an Ollama server.",
    "Application": "What the chat application in the browser uses. It may change with the application; programs are "
    "better served by the OpenAI API.",
    LAST_SUBJECT: "Whether the server is well, and what it counts.",
}
"""Tags of the document, in the order of the pages, and what each is for."""

WHO: dict[Need, str] = {
    "open": "Everyone who reaches the server.",
    "any": "Whoever is signed in, and every key.",
    "read": "Whoever is signed in; keys with the permission `read` or `all`.",
    "inference": "Whoever is signed in; keys with the permission `inference` or `all`.",
    "all": "Whoever is signed in; keys with the permission `all`.",
    "models": "Owners and admins, and their keys with the permission `all`: it concerns all users.",
    "account": "Whoever is signed in to the application; no key.",
    "users": "Owners and admins who are signed in to the application; no key.",
    "owners": "Owners who are signed in to the application; no key.",
}
"""Who may ask, where there are accounts."""

_SECTION = re.compile(r"^(?:Args|Raises|Returns|Yields):", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a path or a query takes."""

    place: str
    field: Field


@dataclass(frozen=True, slots=True)
class Answer:
    """What a status means, and what then comes."""

    status: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        anchor: names it within its page.
        summary: the first sentences, in one paragraph.
        details: further paragraphs.
        need: what its caller must be allowed.
        media: content type of the body; None when there is none.
        body: the body's fields; empty when it has none or they are not described.
        example: a body that can be sent, or None.
    """

    method: str
    path: str
    anchor: str
    summary: str
    details: tuple[str, ...]
    need: Need
    parameters: tuple[Parameter, ...]
    media: str | None
    body: tuple[Field, ...]
    example: Any
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The routes that belong together, on a page of their own."""

    name: str
    slug: str
    text: str
    operations: tuple[Operation, ...]


def read(document: Mapping[str, Any]) -> tuple[Subject, ...]:
    """The subjects that have routes, each route once, in the document's order."""
    schemas = Schemas(document)
    grouped: dict[str, list[Operation]] = {name: [] for name in SUBJECTS}
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                tag = next((tag for tag in methods[method].get("tags", ()) if tag in SUBJECTS), LAST_SUBJECT)
                grouped[tag].append(_operation(method.upper(), path, methods[method], schemas))
    return tuple(
        Subject(name, name.lower(), SUBJECTS[name], tuple(operations))
        for name, operations in grouped.items()
        if operations
    )


def _operation(method: str, path: str, described: Mapping[str, Any], schemas: Schemas) -> Operation:
    summary, *details = _paragraphs(described.get("description") or described.get("summary") or "")
    media, body = _body(described, schemas, path)
    required = {field.name for field in body if field.required and "." not in field.name}
    return Operation(
        method=method,
        path=path,
        anchor=re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-"),
        summary=summary,
        details=tuple(details),
        need=need_of(method, re.sub(r"\{\w+\}", "x", path)) or "all",
        parameters=tuple(
            Parameter(each["in"], _told(_parameter(each, schemas), path))
            for each in described.get("parameters", ())
            if each["in"] in ("path", "query")
        ),
        media=media,
        body=body,
        example=example_of(method, path, required) if media == "application/json" else None,
        answers=tuple(
            Answer(status, _meaning(status, answer), _answer_fields(answer, schemas, path))
            for status, answer in described.get("responses", {}).items()
            if status != "422"  # the framework's own; errors are 400 here and have one shape
        ),
    )


def _body(described: Mapping[str, Any], schemas: Schemas, path: str) -> tuple[str | None, tuple[Field, ...]]:
    content = described.get("requestBody", {}).get("content", {})
    for media, body in content.items():
        return media, tuple(_told(field, path) for field in schemas.fields(body.get("schema", {})))
    return None, ()


def _parameter(parameter: Mapping[str, Any], schemas: Schemas) -> Field:
    schema = parameter.get("schema", {})
    default = json.dumps(schema["default"]) if schema.get("default") is not None else None
    text = parameter.get("description", "")
    return Field(parameter["name"], schemas.kind(schema), parameter.get("required", False), default, text)


def _answer_fields(answer: Mapping[str, Any], schemas: Schemas, path: str) -> tuple[Field, ...]:
    for content in answer.get("content", {}).values():
        return tuple(schemas.fields(content.get("schema", {})))
    return ()


def _meaning(status: str, answer: Mapping[str, Any]) -> str:
    """The framework calls everything a success; the status's own name tells more."""
    text = str(answer.get("description", ""))
    if text and text != "Successful Response":
        return text
    return HTTPStatus(int(status)).phrase if status.isdecimal() else ""


def _paragraphs(text: str) -> list[str]:
    """A docstring's paragraphs, each on one line, without the sections that are for readers of the code."""
    text = _SECTION.split(textwrap.dedent(text))[0]
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text) if each.strip()] or [""]


def _told(field: Field, path: str) -> Field:
    """The field with what fields.toml says about it, unless its schema says something itself."""
    if field.text:
        return field
    words = known_words()
    name = field.name.replace("[]", "")
    for known, key in (
        (words["at"].get(path, {}), name),
        (words["any"], name),
        (words["any"], name.rpartition(".")[2]),
    ):
        if text := known.get(key):
            return replace(field, text=text)
    return field
