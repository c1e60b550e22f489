"""JSON schemas as people read them: a type with its bounds in a few words, and the fields of an object in a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

DEEPEST = 4
"""Levels of objects within objects that are shown; below, and where a schema holds itself, the type has to do."""


@dataclass(frozen=True, slots=True)
class Field:
    """One value that a request carries or an answer holds.

    Attributes:
        name: with its way through the objects around it: ``message.id``, ``data[].object``.
        kind: type and bounds in words.
        required: whether it must be there.
        default: what counts when it is absent, as JSON; None where nothing does or nobody says.
        text: what the schema says about it; empty where it says nothing.
    """

    name: str
    kind: str
    required: bool
    default: str | None
    text: str


class Schemas:
    """Resolves references into one OpenAPI document."""

    def __init__(self, document: Schema) -> None:
        self.known: Mapping[str, Schema] = document.get("components", {}).get("schemas", {})

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, or the one of ``components`` that it names."""
        seen: set[str] = set()
        while (name := schema.get("$ref")) is not None and name not in seen:
            seen.add(name)
            schema = self.known.get(name.rpartition("/")[2], {})
        return schema

    def fields(self, schema: Schema) -> tuple[Field, ...]:
        """All fields of an object, or of the objects in a list, those of inner objects after each."""
        return tuple(self._fields(schema, "", ()))

    def kind(self, schema: Schema) -> str:
        """Type and bounds in words; that it may be null is not said, since null counts as absent."""
        schema = self.resolve(schema)
        if "const" in schema:
            return _json(schema["const"])
        if "enum" in schema:
            return _either([_json(value) for value in schema["enum"] if value is not None])
        options = [option for option in _options(schema) if self.resolve(option).get("type") != "null"]
        if options:
            return _either(list(dict.fromkeys(self.kind(option) for option in options)))
        match schema.get("type"):
            case "string" if "contentMediaType" in schema or schema.get("format") == "binary":
                return "file"
            case "string":
                return "text" + _length(schema, "minLength", "maxLength", "characters")
            case "integer":
                return "whole number" + _range(schema)
            case "number":
                return "number" + _range(schema)
            case "boolean":
                return "true or false"
            case "array":
                items = self.kind(schema["items"]) if schema.get("items") else "any JSON"
                return f"list of {items}" + _length(schema, "minItems", "maxItems", "of them")
            case "object":
                return "object" + _length(schema, "minProperties", "maxProperties", "entries")
            case _:
                return "any JSON"

    def _fields(self, schema: Schema, prefix: str, within: tuple[int, ...]) -> Iterator[Field]:
        schema, path = self._object(schema)
        if len(within) >= DEEPEST or id(schema) in within:
            return
        required = frozenset(schema.get("required", ()))
        for name, inner in schema.get("properties", {}).items():
            here = f"{prefix}{path}{name}"
            whole = {**self.resolve(inner), **inner}
            default = _json(whole["default"]) if whole.get("default") is not None else None
            yield Field(here, self.kind(inner), name in required, default, whole.get("description", ""))
            yield from self._fields(inner, here + ".", (*within, id(schema)))

    def _object(self, schema: Schema) -> tuple[Schema, str]:
        """The object that a schema is, lists or offers as its only one, and the way to it."""
        schema = self.resolve(schema)
        objects = [each for each in map(self._object, _options(schema)) if "properties" in each[0]]
        if len(objects) == 1:
            return objects[0]
        if schema.get("type") == "array" and schema.get("items"):
            inner, path = self._object(schema["items"])
            return inner, f"[].{path}"
        return schema, ""


def _options(schema: Schema) -> list[Schema]:
    kinds = schema.get("type")
    several = [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) else []
    return [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *several]


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _length(schema: Schema, least: str, most: str, of: str) -> str:
    low, high = schema.get(least, 0), schema.get(most)
    if high is None:
        return f", at least {_number(low)} {of}" if low > 1 else ", not empty" if low else ""
    return f", {_number(low)} to {_number(high)} {of}" if low else f", at most {_number(high)} {of}"


def _range(schema: Schema) -> str:
    words = [
        f"{word} {_number(schema[bound])}"
        for bound, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("exclusiveMaximum", "below"),
        )
        if bound in schema
    ]
    if len(words) == 1:
        words = [words[0].replace("from", "at least").replace("to ", "at most ")]
    return f" {(', ' if 'exclusiveMaximum' in schema else ' ').join(words)}" if words else ""


def _number(value: float) -> str:
    """Whole where it is, and the limits of integers as the powers that they are."""
    if value != int(value):
        return f"{value:g}"
    whole = int(value)
    power = abs(whole).bit_length() - 1
    if power >= 31 and abs(whole) == 1 << power:
        return f"{'-' if whole < 0 else ''}2^{power}"
    return f"{whole:,}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
