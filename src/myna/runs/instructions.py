"""What a model is told before a chat, and with it the prompt of an answer."""

from __future__ import annotations

from myna.chat import Message
from myna.errors import InvalidParameter
from myna.hub import recommended_sampling
from myna.store import chats, messages, preferences, projects
from myna.store.scope import Scope


async def prompt(
    scope: Scope,
    chat_id: str,
    leaf_id: str,
    model: str,
    system_prompt: str | None = None,
    *,
    profile: Scope | None = None,
    since: str | None = None,
) -> tuple[Message, ...]:
    """The branch from its root to ``leaf_id``, and before it what the model is told.

    Args:
        scope: where the chat is.
        chat_id: the chat.
        leaf_id: the last message of the branch; an answer that is to be carried on is the last turn then.
        model: who answers.
        system_prompt: the chat's own; None: it has none, and what is advised for the model counts; empty: none at all.
        profile: where the user's own instructions are, if not beside the chat.
        since: the message with which it begins, in place of the root (`myna.runs.context`).

    Raises:
        InvalidParameter: nothing is left of the branch.
    """
    branch = await messages.context(scope, chat_id, leaf_id, since)
    if not branch:
        raise InvalidParameter("There is nothing to answer: the messages above were deleted.", param="parent_id")
    project_id = (await chats.get(scope, chat_id)).project_id
    told = await system(profile or scope, model, system_prompt, project_id)
    return branch if told is None else (Message.of("system", told), *branch)


async def system(
    profile: Scope, model: str, system_prompt: str | None = None, project_id: str | None = None
) -> str | None:
    """What the user, the project and the chat say of how to answer, a paragraph each; else what the model's authors do.

    The most particular comes last: models heed what is nearest. A chat that says "" wants nothing said for the model.
    """
    said = [(await preferences.get(profile)).instructions]
    if project_id is not None:
        said.append((await projects.get(profile, project_id)).instructions)
    said.append(system_prompt or "")
    told = "\n\n".join(part.strip() for part in said if part.strip())
    return told or (recommended_sampling(model).system_prompt if system_prompt is None else None)
