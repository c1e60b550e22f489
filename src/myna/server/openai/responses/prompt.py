"""Items -> the messages that a model is given."""

from __future__ import annotations

from collections.abc import Iterable

from myna.chat import Message, Part, ReasoningPart, Role, TextPart, ToolCallPart, ToolResultPart
from myna.server.openai.responses.items import TOKENS, Item

SUMMARY = "Summary of the conversation so far:\n"
SAID = "What the user said in it, word by word:\n"
"""What stands before a compaction, and before the messages that it keeps."""


def to_messages(items: Iterable[Item], instructions: str | None = None) -> tuple[Message, ...]:
    """A conversation of items that `parse_items` has checked, after the instructions.

    What the assistant does in a row (thinks, says, calls) is one message, but two texts are two. System messages at
    the start are one, because many models take only one. Thoughts that nothing came of are left out.
    """
    messages: list[Message] = [] if not instructions else [Message.of("system", instructions)]
    turn: list[Part] = []
    for item in items:
        match item["type"]:
            case "reasoning":
                if any(not isinstance(part, ReasoningPart) for part in turn) and not _calls(turn):
                    _close(turn, messages)
                turn += [ReasoningPart(part["text"]) for part in (item["content"] or item["summary"])]
            case "function_call":
                turn.append(ToolCallPart(item["call_id"], item["name"], item["arguments"]))
            case "message" if item["role"] == "assistant":
                if any(isinstance(part, TextPart) for part in turn) and not _calls(turn):
                    _close(turn, messages)
                turn += _texts(item)
            case "message":
                _close(turn, messages)
                role: Role = "user" if item["role"] == "user" else "system"
                _say(messages, Message(role, _texts(item)))
            case "function_call_output":
                _close(turn, messages)
                output = item["output"]
                text = output if isinstance(output, str) else "".join(part["text"] for part in output)
                messages.append(Message("tool", (ToolResultPart(item["call_id"], text),)))
            case "compaction":
                _close(turn, messages)
                _say(messages, _compacted(item["encrypted_content"], messages))
            case kind:
                raise AssertionError(f"{kind} is to be replaced before")
    _close(turn, messages)
    return tuple(messages)


def _compacted(summary: str, messages: list[Message]) -> Message:
    """A compaction as a system message, with the user's messages right before it, which are answered already."""
    said: list[str] = []
    while messages and messages[-1].role == "user":
        said.insert(0, messages.pop().text)
    kept = [SAID + "\n".join(said)] if said else []
    return Message.of("system", "\n\n".join([SUMMARY + summary, *kept]))


def _say(messages: list[Message], message: Message) -> None:
    if message.role == "system" and len(messages) == 1 and messages[0].role == "system":
        messages[0] = Message.of("system", f"{messages[0].text}\n\n{message.text}")
    else:
        messages.append(message)


def _close(turn: list[Part], messages: list[Message]) -> None:
    if any(not isinstance(part, ReasoningPart) for part in turn):
        messages.append(Message("assistant", tuple(turn)))
    turn.clear()


def _calls(turn: list[Part]) -> bool:
    return any(isinstance(part, ToolCallPart) for part in turn)


def _texts(item: Item) -> tuple[TextPart, ...]:
    """A message's parts. Tokens are known of a message with one part only."""
    tokens = item.get(TOKENS)
    if tokens is not None:
        return (TextPart(item["content"][0]["text"], tuple(tokens["ids"]), tokens["tokenizer"]),)
    return tuple(TextPart(part["text"]) for part in item["content"])
