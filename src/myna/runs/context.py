"""How much of a branch a model is given: all of it, or where its context is too small, the end of it.

The oldest turns are left out in large steps: an answer begins where the one above it began as long as that fits, so
that the engine finds the prompt's beginning in its cache. Where that is, is kept with the answer and shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from myna.store.scope import Scope
from myna.store.steps import OF_A_TURN, Step, climb

CLIMBED = 128
"""Messages looked at in one query."""
KEPT = 5 / 8
"""Of the room, when something has to go: what follows finds place for some time."""


def room(context: int, max_tokens: int | None) -> int:
    """Tokens that a prompt may have so that its answer finds place, but a quarter of the context at most."""
    return context - min(context // 4, max_tokens or context)


async def beginning(scope: Scope, chat_id: str, leaf_id: str, *, room: int, context: int, tokenizer: str) -> str | None:
    """Where the prompt of the branch that ends in ``leaf_id`` begins: a user's message, or None for its root.

    Args:
        scope: where the chat is.
        chat_id: the chat.
        leaf_id: the last message of the branch.
        room: tokens that the branch may have.
        context: the model's; where a prompt of another size began says nothing about this one.
        tokenizer: the vocabulary whose tokens are known.
    """
    steps: list[Step] = []
    begun: str | None = None
    told = False
    at: str | None = leaf_id
    while at is not None and (_tokens(steps) <= room or cut(steps, room) is None):
        climbed = await climb(scope, chat_id, at, CLIMBED, tokenizer, room - _tokens(steps))
        for step in climbed:
            steps.append(step)
            if not told and step.context_tokens is not None:
                told = True
                begun = step.context_from if step.context_tokens == context else None
            if step.id == begun:
                return begun if _tokens(steps) <= room else cut(steps, room)
        at = climbed[-1].parent_id if climbed else None
    return None if _tokens(steps) <= room else cut(steps, room)


def cut(steps: Sequence[Step], room: int) -> str | None:
    """The oldest user's message from which on the branch takes a good part of the room, at least the last there is.

    ``steps`` are the branch's messages, the nearest first.
    """
    found: str | None = None
    tokens = 0
    for step in steps:
        tokens += step.tokens + OF_A_TURN
        if found is not None and tokens > room * KEPT:
            break
        if step.role == "user":
            found = step.id
    return found


def _tokens(steps: Sequence[Step]) -> int:
    return sum(step.tokens + OF_A_TURN for step in steps)
