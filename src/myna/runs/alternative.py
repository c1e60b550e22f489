"""Going on from another token: an answer's tokens before it are kept, and all that follows is new."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from myna.chat import ReasoningPart, TextPart
from myna.errors import Conflict, InvalidParameter
from myna.models.dialects.answer import THINK, THINK_END
from myna.runs.scoring import Tokens, token_ids
from myna.store.records import Message, MessagePart

INCOMPLETE = "\ufffd"


class Speller(Tokens, Protocol):
    """What of a backend is needed to tell tokens from marks."""

    async def detokenize(self, token_ids: list[int]) -> str: ...

    async def spell(self, token_ids: list[int]) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Number ``token`` of an answer's tokens, and the id of the token that is to stand there instead."""

    message_id: str
    token: int
    alternative: int


async def begin(backend: Speller, answer: Message, place: Place) -> tuple[MessagePart, ...]:
    """The parts of the new answer before anything is generated.

    Raises:
        Conflict: the answer is still being written.
        InvalidParameter: there is no such token, or the other one is a mark, which ends an answer.
    """
    if answer.status == "running":
        raise Conflict(f"Message {answer.id} is still being written; go on from it when it is done.")
    ids, _ = await token_ids(backend, answer)
    if place.token >= len(ids):
        raise InvalidParameter(
            f"continue_from.token is {place.token}; this answer has {len(ids)} tokens, which count from 0.",
            param="continue_from.token",
        )
    [spelt] = await backend.spell([place.alternative])
    if not await backend.detokenize([place.alternative]):
        raise InvalidParameter(
            f"continue_from.alternative is {place.alternative}, the mark {spelt!r}: nothing goes on from there.",
            param="continue_from.alternative",
        )
    tokenizer = (await backend.describe()).tokenizer
    kept = [*ids[: place.token], place.alternative]
    parts: list[MessagePart] = []
    thought = 0
    if answer.parts and isinstance(first := answer.parts[0], ReasoningPart):
        thought = len(first.token_ids or ())
        if place.token >= thought:
            parts.append(first)
        else:
            text = (await _text(backend, kept, INCOMPLETE in spelt)).removeprefix(THINK).partition(THINK_END)[0]
            parts.append(ReasoningPart(text.strip(), tuple(kept), tokenizer))
    if place.token >= thought:
        text = await _text(backend, kept[thought:], INCOMPLETE in spelt)
        parts.append(TextPart(text, tuple(kept[thought:]), tokenizer))
    return tuple(parts)


async def _text(backend: Speller, ids: list[int], may_be_cut: bool) -> str:
    """What tokens say. Half a character at the end is left to the token that completes it."""
    text = await backend.detokenize(ids)
    return text[:-1] if may_be_cut and text.endswith(INCOMPLETE) else text
