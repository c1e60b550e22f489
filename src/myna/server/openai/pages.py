"""Lists a page at a time, as OpenAI has them: ``after``, ``limit`` and ``order`` asked for; what follows, answered.

A route that lists has a model of its query, as one that takes a body has a model of that: a subclass of `PageQuery`
or `OrderedPageQuery` with its own bounds and filters. Each field is honoured, or refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Self, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from myna.errors import InvalidParameter
from myna.server.errors import excerpt, from_validation, json_response
from myna.store.pages import Order, Page, PageRequest

Item = TypeVar("Item")
ObjectId = Annotated[str, StringConstraints(min_length=1, max_length=256)]

_KEYED = re.compile(r"(\w+)\[(.*)\]", re.DOTALL)


class Query(BaseModel):
    """What may stand behind the question mark of a route."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, request: Request) -> Self:
        """The query of a request: lists come as ``name[]=a&name[]=b``, maps as ``name[key]=a``.

        Raises:
            InvalidParameter: a name that is unknown or comes twice, or a value that is malformed or out of range.
        """
        lists = {name for name, field in cls.model_fields.items() if _is_list(field.annotation)}
        given: dict[str, Any] = {}
        for name, value in request.query_params.multi_items():
            keyed = _KEYED.fullmatch(name)
            field, key = (keyed[1], keyed[2]) if keyed else (name, None)
            if field in lists:
                given.setdefault(field, []).append(value)
                continue
            target: Any = given if key is None else given.setdefault(field, {})
            place = field if key is None else key
            if not isinstance(target, dict) or place in target:
                raise InvalidParameter(f"The query gives {excerpt(name)} twice; give it once.", param=field)
            target[place] = value
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise from_validation(error.errors(include_url=False), cls.model_fields) from None


class PageQuery(Query):
    """The query of a list whose newest is always first."""

    after: ObjectId | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20

    @property
    def wanted(self) -> PageRequest:
        """As the store takes it."""
        return PageRequest(self.limit, self.after)


class OrderedPageQuery(PageQuery):
    """The query of a list in either order of time."""

    order: Order = "desc"

    @property
    def wanted(self) -> PageRequest:
        return PageRequest(self.limit, self.after, self.order)


def query_schema(model: type[Query]) -> dict[str, Any]:
    """What a route adds to the OpenAPI document, as the query is read here and not by the framework."""
    schema = model.model_json_schema()
    described = []
    for name, field in model.model_fields.items():
        parameter = {"name": name, "in": "query", "required": field.is_required(), "schema": schema["properties"][name]}
        if _is_list(field.annotation):
            parameter |= {"name": f"{name}[]", "style": "form", "explode": True}
        elif _holds(field.annotation, dict):
            parameter |= {"style": "deepObject", "explode": True}
        described.append(parameter)
    return {"parameters": described}


def list_response(page: Page[Item], render: Callable[[Item], dict[str, Any]]) -> Response:
    """The answer of a route that lists; ``render`` makes the object of an item, with its ``id``."""
    data = [render(item) for item in page.items]
    return json_response(
        {
            "object": "list",
            "data": data,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            "has_more": page.has_more,
        }
    )


def _is_list(annotation: Any) -> bool:
    return _holds(annotation, list)


def _holds(annotation: Any, kind: type) -> bool:
    """Whether a field may be a list, or a dict."""
    return any(get_origin(each) is kind for each in (annotation, *get_args(annotation)))
