"""What form an answer must have: OpenAI's ``response_format``, and the extension ``grammar``."""

from __future__ import annotations

import json
import re
from typing import Any

from myna.engine.request import Grammar
from myna.errors import InvalidParameter
from myna.server.errors import excerpt, suggestion
from myna.server.openai.texts import check_text

FORMATS: dict[str, tuple[str, ...]] = {"text": (), "json_object": (), "json_schema": ("json_schema",)}
"""Types of ``response_format``, and what each has beside its type."""
GRAMMARS = ("regex", "lark", "json_schema")
SCHEMA_FIELDS = ("name", "description", "schema", "strict")
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def requested_form(response_format: dict[str, Any] | None, grammar: dict[str, Any] | None) -> Grammar | None:
    """What the answer has to be; None where any text will do.

    A schema is enforced whether or not it is ``strict``.

    Raises:
        InvalidParameter: either is malformed, or both ask for a form.
    """
    form = None if response_format is None else _response_format(response_format)
    if grammar is None:
        return form
    if form is not None:
        raise InvalidParameter("'response_format' and 'grammar' both ask for a form; send one.", param="grammar")
    return own_grammar(grammar)


def _response_format(value: dict[str, Any]) -> Grammar | None:
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise InvalidParameter(
            f"Invalid value for 'response_format.type': {excerpt(kind)}; allowed are {', '.join(FORMATS)}.",
            param="response_format.type",
        )
    _check_fields(value, ("type", *FORMATS[kind]), "response_format")
    match kind:
        case "text":
            return None
        case "json_object":
            return Grammar("json_object", param="response_format")
    return named_schema(value.get("json_schema"), "response_format.json_schema")


def named_schema(value: Any, where: str) -> Grammar:
    """The form that a schema with a name gives; any object of JSON where it has no schema. Raises InvalidParameter."""
    if not isinstance(value, dict):
        raise InvalidParameter(f"'{where}' must be an object with name and schema; got {excerpt(value)}.", param=where)
    given = {name: part for name, part in value.items() if part is not None}
    _check_fields(given, SCHEMA_FIELDS, where)
    name = given.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidParameter(
            f"'{where}.name' must be 1 to 64 letters, digits, underscores and dashes; got {excerpt(name)}.",
            param=f"{where}.name",
        )
    for field, kind, called in (("description", str, "a text"), ("strict", bool, "true or false")):
        if field in given and not isinstance(given[field], kind):
            raise InvalidParameter(
                f"'{where}.{field}' must be {called}; got {excerpt(given[field])}.", param=f"{where}.{field}"
            )
    if "schema" not in given:
        return Grammar("json_object", param="response_format")
    return _schema(given["schema"], f"{where}.schema")


def own_grammar(value: dict[str, Any]) -> Grammar:
    """The form that the extension ``grammar`` gives. Raises InvalidParameter."""
    kind, text = value.get("type"), value.get("value")
    if not isinstance(kind, str) or kind not in GRAMMARS:
        raise InvalidParameter(
            f"Invalid value for 'grammar.type': {excerpt(kind)}; allowed are {', '.join(GRAMMARS)}.",
            param="grammar.type",
        )
    _check_fields(value, ("type", "value"), "grammar")
    if kind == "json_schema":
        return _schema(text, "grammar.value")
    if not isinstance(text, str):
        raise InvalidParameter(f"'grammar.value' must be a text; got {excerpt(text)}.", param="grammar.value")
    return Grammar("regex" if kind == "regex" else "lark", check_text(text, "grammar.value"), "grammar")


def _schema(value: Any, where: str) -> Grammar:
    if not isinstance(value, dict):
        raise InvalidParameter(f"'{where}' must be a JSON schema, an object; got {excerpt(value)}.", param=where)
    return Grammar("json_schema", json.dumps(value), where)


def _check_fields(value: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in value:
        if name not in known:
            raise InvalidParameter(
                f"Unknown parameter: '{where}.{name}'.{suggestion(name, known)}", param=f"{where}.{name}"
            )
