"""Schemas in words."""

from __future__ import annotations

from typing import Any

import pytest

from myna.server.docs.schemas import Field, Schemas

TREE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "below": {"$ref": "#/x/Tree"}},
}
DOCUMENT = {"components": {"schemas": {"Tree": TREE, "Loop": {"$ref": "#/x/Loop"}}}}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1.0, "maximum": 128.0}, "whole number from 1 to 128"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, "number above 0 to 1"),
        ({"type": "number", "minimum": 0.5}, "number at least 0.5"),
        (
            {"type": "integer", "minimum": -9.223372036854776e18, "exclusiveMaximum": 1.8446744073709552e19},
            "whole number from -2^63, below 2^64",
        ),
        ({"anyOf": [{"type": "string", "maxLength": 1024}, {"type": "null"}]}, "text, at most 1,024 characters"),
        ({"type": "string", "minLength": 1}, "text, not empty"),
        ({"type": "string", "contentMediaType": "application/octet-stream"}, "file"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3},
         "list of true or false, 2 to 3 of them"),
        ({"enum": ["float", "base64", None]}, '"float" or "base64"'),
        ({"type": ["string", "null"], "minLength": 1}, "text, not empty"),
        ({"oneOf": [{"const": 1}, {"type": "object"}, {"type": "object"}]}, "1 or object"),
        ({}, "any JSON"),
        ({"$ref": "#/x/Loop"}, "any JSON"),
        ({"$ref": "#/x/Absent"}, "any JSON"),
    ],
)  # fmt: skip
def test_kinds(schema: dict[str, Any], words: str) -> None:
    assert Schemas(DOCUMENT).kind(schema) == words


def test_fields_of_inner_objects_follow_with_the_way_to_them() -> None:
    schema = {
        "type": "object",
        "required": ["list"],
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/x/Tree"}},
            "n": {"type": "integer", "default": 0, "description": "How many."},
        },
    }
    assert Schemas(DOCUMENT).fields(schema) == (
        Field("list", "list of object", True, None, ""),
        Field("list.[].name", "text", True, None, ""),
        Field("list.[].below", "object", False, None, ""),
        Field("n", "whole number", False, "0", "How many."),
    )
