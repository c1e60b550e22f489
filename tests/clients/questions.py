"""What all scripts ask, so that their answers can be told apart only by the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

QUESTION = "Where is the Eiffel Tower?"
ANSWER = "Paris"
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
SENTENCES = ("A myna is a bird that talks.", "Some birds imitate speech.", "Interest rates rose by a quarter.")


class Bird(BaseModel):
    """A form for an answer."""

    model_config = ConfigDict(extra="forbid")  # else a small model adds what comes to its mind

    name: str = Field(max_length=20)
    colour: Literal["black", "brown", "white"]
    legs: int = Field(ge=0, le=9)


def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It rains in {city}."


def nearer(vectors: Sequence[Sequence[float]]) -> bool:
    """Whether the second of three sentences is nearer to the first than the third is."""

    def cosine(one: Sequence[float], other: Sequence[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    first, second, third = vectors
    return cosine(first, second) > cosine(first, third) + 0.1
