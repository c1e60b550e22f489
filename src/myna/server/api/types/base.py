"""What all bodies have in common: strings that the store takes, and what refuses unknown fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from myna.engine.limits import MAX_STOP_LENGTH

MAX_TEXT = 1_000_000
"""Characters of a message; far above any context, far below what would hurt the store."""
MAX_SYSTEM_PROMPT = 100_000
MOST_FIELDS = 100
"""Of one object; each that is unknown makes an error of its own, and a million of them take seconds."""


def without_null(text: str) -> str:
    """The text; ValueError where it has a character that databases do not take."""
    if "\0" in text:
        raise ValueError("must not contain the null character")
    return text


def storable(text: str) -> str:
    """As `without_null`; ValueError also where there is nothing but space."""
    if not without_null(text).strip():
        raise ValueError("must not be empty")
    return text


ID_PATTERN = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
Id = Annotated[str, Field(pattern=ID_PATTERN, examples=["UUID, lower case"])]
Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(storable)]
PresetName = Annotated[str, Field(max_length=80), AfterValidator(storable)]
Title = Annotated[str, Field(max_length=200), AfterValidator(storable)]
ModelName = Annotated[str, Field(max_length=500), AfterValidator(storable)]
SystemPrompt = Annotated[str, Field(max_length=MAX_SYSTEM_PROMPT), AfterValidator(without_null)]
"""Empty: none at all."""
StopString = Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH), AfterValidator(without_null)]


class Request(BaseModel):
    """A body or frame from the browser."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _has_few_fields(cls, given: object) -> object:
        if isinstance(given, dict) and len(given) > MOST_FIELDS:
            raise ValueError(f"an object has at most {MOST_FIELDS} fields")
        return given


class Answer(BaseModel):
    """Something of the store, as the browser sees it."""

    model_config = ConfigDict(from_attributes=True)


class Failure(Answer):
    """Why an answer or a pull failed."""

    code: str
    message: str
