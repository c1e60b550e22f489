"""What a model is given for a response: stored items, those of the request, and how much of them fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

from myna.chat import Message
from myna.engine.request import GenerationRequest
from myna.errors import Conflict, InvalidParameter, MynaError, NotFound, PromptTooLong
from myna.server.openai.generation import ServedModel
from myna.server.openai.responses.items import Item, check_calls, parse_items
from myna.server.openai.responses.prompt import to_messages
from myna.server.openai.responses.types import ContextBody
from myna.store import conversations, responses
from myna.store.database import Database
from myna.store.scope import Scope

ANSWER_ROOM = 256
"""Tokens that truncation leaves for the answer where the request does not say how long it may be."""

PARAMS = {"messages": "input", "prompt": "input", "reasoning_effort": "reasoning.effort"}
"""What the engine calls the fields of requests, and what they are called here."""


@dataclass(frozen=True, slots=True)
class Context:
    """A conversation: ``before`` is stored, ``given`` comes with the request."""

    before: list[Item]
    given: list[Item]
    instructions: str | None

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of it, for the model."""
        return to_messages([*self.before, *self.given], self.instructions)


async def read_context(database: Database, owner: str, body: ContextBody) -> Context:
    """What a request is about.

    Raises:
        InvalidParameter: malformed items, calls without results, or nothing at all.
        UnsupportedParameter: items that are not available here.
        NotFound: the owner has no such response, conversation or item.
        Conflict: the response to go on from is still being written.
    """
    given = [] if body.input is None else parse_items(body.input)
    conversation_id, instructions = body.conversation_id, body.checked_instructions
    before: list[Item] = []
    if body.previous_response_id or conversation_id or any(item["type"] == "item_reference" for item in given):
        async with database.read(owner) as scope:
            if body.previous_response_id is not None:
                before = await _previous(scope, body.previous_response_id)
            elif conversation_id is not None:
                before = await conversations.history(scope, conversation_id)
            given = await _resolved(scope, before, given)
    if not before and not given:
        raise InvalidParameter("Missing required parameter: 'input'.", param="input")
    if conversation_id is not None:
        _check_new(before, given)
    check_calls(before, given)
    return Context(before, given, instructions)


async def fitted(model: ServedModel, generation: GenerationRequest) -> GenerationRequest:
    """The request without as many of the oldest turns as have to go for it to fit, with room for an answer.

    A turn begins with what a user says; instructions and other system messages at the start stay.

    Raises:
        PromptTooLong: the last turn alone does not fit.
    """
    head, turns = split_turns(generation.messages or ())
    context = model.description.context
    room = min(generation.params.max_tokens or ANSWER_ROOM, context // 4)

    async def without(dropped: int) -> GenerationRequest | None:
        """The request with so many turns fewer, if it fits."""
        shorter = replace(generation, messages=joined(head, turns[dropped:]))
        is_last = dropped >= len(turns) - 1
        try:
            tokens = len(await model.backend.encode_prompt(shorter))
        except PromptTooLong:
            if is_last:
                raise
            return None
        return shorter if tokens + room <= context or is_last else None

    fewest, most = 0, len(turns) - 1
    found = await without(0)
    if found is not None:
        return found
    last = await without(most)
    assert last is not None
    while most - fewest > 1:  # fits without `most`, does not without `fewest`
        middle = (fewest + most) // 2
        shorter = await without(middle)
        if shorter is None:
            fewest = middle
        else:
            most, last = middle, shorter
    return last


def split_turns(messages: Sequence[Message]) -> tuple[tuple[Message, ...], list[tuple[Message, ...]]]:
    """System messages at the start, and the turns after them, each of which begins with what a user says."""
    begun = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    starts = [index for index in range(begun + 1, len(messages)) if messages[index].role == "user"]
    bounds = [begun, *starts, len(messages)]
    return tuple(messages[:begun]), [tuple(messages[start:end]) for start, end in pairwise(bounds) if start < end]


def joined(head: tuple[Message, ...], turns: Iterable[tuple[Message, ...]]) -> tuple[Message, ...]:
    """The inverse of `split_turns`."""
    return (*head, *chain.from_iterable(turns))


def in_terms_of_responses(error: MynaError) -> MynaError:
    """The same error, naming the field as this API does."""
    error.param = PARAMS.get(error.param or "", error.param)
    return error


async def _previous(scope: Scope, response_id: str) -> list[Item]:
    previous = await responses.get(scope, response_id, "previous_response_id")
    if previous.is_open:
        raise Conflict(
            f"The response {response_id} is {previous.status}; wait for its end, or cancel it.",
            param="previous_response_id",
        )
    return await responses.chain(scope, response_id)


async def _resolved(scope: Scope, before: Sequence[Item], given: Sequence[Item]) -> list[Item]:
    """The given items, stored ones in place of references to them."""
    wanted = [item["id"] for item in given if item["type"] == "item_reference"]
    known = await responses.items_of_ids(scope, wanted) if wanted else {}
    known |= {item["id"]: item for item in before}
    resolved = []
    for index, item in enumerate(given):
        if item["type"] == "item_reference" and item["id"] not in known:
            raise NotFound(
                f"There is no stored item {item['id']!r}; it was deleted, or its response was not stored.",
                param=f"input[{index}].id",
            )
        resolved.append(known[item["id"]] if item["type"] == "item_reference" else item)
    return resolved


def _check_new(before: Sequence[Item], given: Sequence[Item]) -> None:
    """Raise InvalidParameter for an item that its conversation has already: it would be added once more."""
    known = {item["id"] for item in before}
    for index, item in enumerate(given):
        if item["id"] in known:
            raise InvalidParameter(
                f"'input[{index}].id' {item['id']} is in the conversation already; leave out items that it has.",
                param=f"input[{index}].id",
            )
