"""The messages API's requests: their fields, ranges, and what is known but not available here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from myna.chat import Message
from myna.engine.request import GenerationRequest, SamplingParams
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt
from myna.server.limits import MAX_MESSAGE_PARTS, MAX_MESSAGES, MAX_STOP_LENGTH, MAX_STOP_STRINGS
from myna.server.openai.generation import OWNER
from myna.server.openai.types import Body, Refusal, check_text

NO_THOUGHTS: dict[str, Any] = {"type": "disabled"}
UNSUPPORTED: dict[str, Refusal] = {
    "container": Refusal("there is no sandbox for code", ()),
    "context_management": Refusal("a conversation is never cut", ()),
    "mcp_servers": Refusal("no other servers are asked", ([],)),
    "output_config": Refusal("answers of a given form are offered by /v1/chat/completions", ({},)),
    "thinking": Refusal("thoughts are offered by /v1/chat/completions", (NO_THOUGHTS,)),
    "tool_choice": Refusal("tools are offered by /v1/chat/completions", ({"type": "auto"}, {"type": "none"})),
    "tools": Refusal("tools are offered by /v1/chat/completions", ([],)),
}
"""Known, not available here, and why; the values that ask for nothing are accepted."""

IGNORED_BLOCKS = ("thinking", "redacted_thinking")
"""In answers of other models that clients send back; they say nothing to this one."""
UNSUPPORTED_BLOCKS = ("document", "image", "search_result", "server_tool_use", "tool_result", "tool_use")


class CountBody(Body):
    """``POST /v1/messages/count_tokens``, and what it shares with an answer.

    ``metadata`` names the end user; ``cache_control``, also on blocks, is a hint that the prefix cache does without.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)
    unsupported: ClassVar[dict[str, Refusal]] = UNSUPPORTED

    messages: list[Any]
    system: Any = None
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
        conversation: list[Message] = []
        if self.system is not None and (system := _text(self.system, "system")):
            conversation.append(Message.of("system", system))
        for index, message in enumerate(self.messages):
            read = _message(message, f"messages[{index}]")
            if conversation and conversation[-1].role == read.role:  # turns of one side in a row are one
                read = Message(read.role, (*conversation.pop().parts, *read.parts))
            conversation.append(read)
        return GenerationRequest(
            id=request_id,
            params=params,
            messages=tuple(conversation),
            continue_last=conversation[-1].role == "assistant",
            owner=OWNER,
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
        stop = self.stop_sequences
        if len(stop) > MAX_STOP_STRINGS or not all(
            isinstance(text, str) and 1 <= len(text) <= MAX_STOP_LENGTH for text in stop
        ):
            raise InvalidParameter(
                f"'stop_sequences' may hold {MAX_STOP_STRINGS} texts of 1 to {MAX_STOP_LENGTH} characters; "
                f"got {excerpt(stop)}.",
                param="stop_sequences",
            )
        return SamplingParams(
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            stop=tuple(check_text(text, "stop_sequences") for text in stop),
        )


def _message(message: Any, where: str) -> Message:
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
    return Message.of(role, _text(message.get("content"), f"{where}.content"))


def _text(content: Any, where: str) -> str:
    """The text of a content: a text, or blocks of it."""
    if isinstance(content, str):
        return check_text(content, where)
    if not isinstance(content, list) or len(content) > MAX_MESSAGE_PARTS:
        raise InvalidParameter(
            f"'{where}' must be a text or an array of up to {MAX_MESSAGE_PARTS} blocks; got {excerpt(content)}.",
            param=where,
        )
    return "".join(_block(block, f"{where}[{index}]") for index, block in enumerate(content))


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
