"""The messages API's requests: their fields, ranges, and what is known but not available here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from myna.chat import Message, Part, TextPart, ToolResultPart
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.anthropic.tools import check_uses, parse_tool_use, parse_use, result_id
from myna.server.errors import excerpt
from myna.server.limits import MAX_MESSAGE_PARTS, MAX_MESSAGES
from myna.server.openai.body import Body, Refusal
from myna.server.openai.texts import check_text, stop_strings

NO_THOUGHTS: dict[str, Any] = {"type": "disabled"}
UNSUPPORTED: dict[str, Refusal] = {
    "container": Refusal("there is no sandbox for code", ()),
    "context_management": Refusal("a conversation is never cut", ()),
    "mcp_servers": Refusal("no other servers are asked", ([],)),
    "output_config": Refusal("answers of a given form are offered by /v1/chat/completions", ({},)),
    "thinking": Refusal("thoughts are offered by /v1/chat/completions", (NO_THOUGHTS,)),
}
"""Known, not available here, and why; the values that ask for nothing are accepted."""

IGNORED_BLOCKS = ("thinking", "redacted_thinking")
"""In answers of other models that clients send back; they say nothing to this one."""
UNSUPPORTED_BLOCKS = ("document", "image", "search_result", "server_tool_use")


class CountBody(Body):
    """``POST /v1/messages/count_tokens``, and what it shares with an answer.

    ``metadata`` names the end user; ``cache_control``, also on blocks, is a hint that the prefix cache does without.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)
    unsupported: ClassVar[dict[str, Refusal]] = UNSUPPORTED

    messages: list[Any]
    system: Any = None
    tools: list[Any] = Field(default_factory=list)
    tool_choice: dict[str, Any] | None = None
    cache_control: dict[str, Any] | None = None

    def generation(self, request_id: str, params: SamplingParams) -> GenerationRequest:
        """The request; where the last message is the assistant's, the answer carries it on.

        Raises:
            InvalidParameter: a message that is malformed, by its place.
            UnsupportedParameter: a block that is not available here.
        """
        if not 1 <= len(self.messages) <= MAX_MESSAGES:
            raise InvalidParameter(
                f"'messages' must hold 1 to {MAX_MESSAGES} messages; got {len(self.messages)}.", param="messages"
            )
        use = parse_tool_use(self.tools, self.tool_choice)
        conversation: list[Message] = []
        if self.system is not None and (system := _text(self.system, "system")):
            conversation.append(Message.of("system", system))
        for index, message in enumerate(self.messages):
            for read in _turn(message, f"messages[{index}]"):
                if conversation and conversation[-1].role == read.role != "tool":  # turns of one side in a row are one
                    read = Message(read.role, (*conversation.pop().parts, *read.parts))
                conversation.append(read)
        check_uses(conversation)
        return GenerationRequest(
            id=request_id,
            params=params,
            messages=tuple(conversation),
            continue_last=conversation[-1].role == "assistant",
            tools=use.tools,
            must_call=use.must_call,
            parallel_calls=use.parallel,
        )


class MessageBody(CountBody):
    """``POST /v1/messages``."""

    max_tokens: Annotated[int, Field(ge=1, lt=1 << 31)]
    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0, lt=1 << 31)] = 0
    stop_sequences: list[Any] = Field(default_factory=list)
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None

    @property
    def params(self) -> SamplingParams:
        """Sampling parameters.

        Raises:
            InvalidParameter: the stop sequences are malformed.
        """
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=stop_strings(self.stop_sequences, "stop_sequences"),
        )


def _turn(message: Any, where: str) -> list[Message]:
    """A turn: results of tools are messages of their own, before what else the user says."""
    if not isinstance(message, dict):
        raise InvalidParameter(
            f"'{where}' must be an object with role and content; got {excerpt(message)}.", param=where
        )
    unknown = sorted(set(message) - {"role", "content"})
    if unknown:
        raise InvalidParameter(f"Unknown parameter: '{where}.{unknown[0]}'.", param=f"{where}.{unknown[0]}")
    role = message.get("role")
    if role not in ("user", "assistant"):
        raise InvalidParameter(
            f"Invalid value for '{where}.role': {excerpt(role)}; allowed are user, assistant. "
            "What the system says goes into 'system'.",
            param=f"{where}.role",
        )
    content = message.get("content")
    if not isinstance(content, list):
        return [Message.of(role, _text(content, f"{where}.content"))]
    results: list[Message] = []
    parts: list[Part] = []
    for index, block in enumerate(content[: MAX_MESSAGE_PARTS + 1]):
        place = f"{where}.content[{index}]"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "tool_use" and role == "assistant":
            parts.append(parse_use(block, place))
        elif kind == "tool_result" and role == "user":
            said = _text(block.get("content") or "", f"{place}.content")
            results.append(Message("tool", (ToolResultPart(result_id(block, place), said),)))
        else:
            parts.append(TextPart(_text([block], f"{where}.content", index)))
    if len(content) > MAX_MESSAGE_PARTS:
        _text(content, f"{where}.content")
    said_parts = tuple(part for part in parts if not isinstance(part, TextPart) or part.text)
    return [*results, *([Message(role, said_parts)] if said_parts or not results else [])]


def _text(content: Any, where: str, first: int = 0) -> str:
    """The text of a content: a text, or blocks of it."""
    if isinstance(content, str):
        return check_text(content, where)
    if not isinstance(content, list) or len(content) > MAX_MESSAGE_PARTS:
        raise InvalidParameter(
            f"'{where}' must be a text or an array of up to {MAX_MESSAGE_PARTS} blocks; got {excerpt(content)}.",
            param=where,
        )
    return "".join(_block(block, f"{where}[{index}]") for index, block in enumerate(content, first))


def _block(block: Any, where: str) -> str:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind in IGNORED_BLOCKS:
        return ""
    if kind in UNSUPPORTED_BLOCKS:
        raise UnsupportedParameter(
            f"'{where}.type' {kind} is not supported yet; allowed is text.", param=f"{where}.type"
        )
    if kind != "text" or not isinstance(block.get("text"), str):
        raise InvalidParameter(
            f'\'{where}\' must be a block such as {{"type": "text", "text": "…"}}; got {excerpt(block)}.', param=where
        )
    unknown = sorted(set(block) - {"type", "text", "cache_control", "citations"})
    if unknown:
        raise InvalidParameter(f"Unknown parameter: '{where}.{unknown[0]}'.", param=f"{where}.{unknown[0]}")
    return check_text(block["text"], f"{where}.text")
