"""What all requests with a JSON body share: how it is read, and how what is wrong with it is told.

A field with the value null counts as not given, as OpenAI has it.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, from_validation
from myna.server.limits import MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE, MAX_USER_LENGTH

Label = Annotated[str, StringConstraints(max_length=MAX_USER_LENGTH)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER_LENGTH)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=MAX_METADATA_KEY)],
        Annotated[str, StringConstraints(max_length=MAX_METADATA_VALUE)],
    ],
    Field(max_length=MAX_METADATA),
]
"""Labels of a stored object."""


class Refusal(NamedTuple):
    """Why a field of OpenAI's is not available here; ``neutral`` are its values that ask for nothing."""

    reason: str
    neutral: tuple[Any, ...] = ()


class JsonBody(BaseModel):
    """What all requests with a body share."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)
    unsupported: ClassVar[dict[str, Refusal]] = {}

    @classmethod
    def parse(cls, body: Any) -> Self:
        """A request from decoded JSON.

        Raises:
            InvalidParameter: an unknown, missing or malformed field, or one out of range, by name.
            UnsupportedParameter: a field of OpenAI's that is not available here.
        """
        if not isinstance(body, dict):
            raise InvalidParameter(f"The body must be a JSON object; got {excerpt(body)}.")
        given = {name: value for name, value in body.items() if value is not None}
        for name, (reason, neutral) in cls.unsupported.items():
            if name in given and (given[name] if name in cls.model_fields else given.pop(name)) not in neutral:
                allowed = " or ".join(excerpt(value) for value in neutral)
                raise UnsupportedParameter(
                    f"'{name}' is not supported{f', other than {allowed}' if neutral else ''}: {reason}. Leave it out.",
                    param=name,
                )
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            known = (*cls.model_fields, *cls.unsupported)
            raise from_validation(error.errors(include_url=False), known) from None


class Body(JsonBody):
    """What all requests to a model share."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    user: Label | None = None


class MetadataBody(JsonBody):
    """New labels for a stored object, in place of those it has; null for none."""

    metadata: Metadata = {}

    @classmethod
    def parse(cls, body: Any) -> Self:
        """As `JsonBody.parse`; null is not the same as nothing."""
        if isinstance(body, dict) and "metadata" not in body:
            raise InvalidParameter("Missing required parameter: 'metadata'.", param="metadata")
        return super().parse(body)
