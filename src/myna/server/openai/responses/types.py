"""Requests of the Responses API: their fields, ranges, and what is known but not available here.

Source: https://platform.openai.com/docs/api-reference/responses/create.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from myna.engine.request import Grammar, SamplingParams
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, suggestion
from myna.server.limits import MAX_TOP_LOGPROBS
from myna.server.openai.body import JsonBody, Label, Name, Refusal
from myna.server.openai.forms import named_schema, own_grammar
from myna.server.openai.responses.tools import parse_tools
from myna.server.openai.texts import check_text
from myna.server.openai.tools import ToolUse
from myna.server.openai.types import CACHE_OPTIONS, SamplingBody

LOGPROBS = "message.output_text.logprobs"
INCLUDABLE: dict[str, str | None] = {
    LOGPROBS: None,
    "reasoning.encrypted_content": None,  # thoughts are always there, in the clear: nothing has to be encrypted
    "code_interpreter_call.outputs": "there is no code interpreter here",
    "computer_call_output.output.image_url": "there is no computer use here",
    "file_search_call.results": "there is no file search here",
    "message.input_image.image_url": "models here read no images",
    "web_search_call.action.sources": "there is no web search here",
    "web_search_call.results": "there is no web search here",
}
"""What may be asked to come with a response; else why not."""

NO_IMAGES = Refusal("models here read no images", ({"context_compression": "auto"},))
UNSUPPORTED: dict[str, Refusal] = {
    "access_programs": Refusal("programs for access are a service of OpenAI's"),
    "context_management": Refusal("ask POST /v1/responses/compact for a compaction where you want one", ([],)),
    "image": NO_IMAGES,
    "moderation": Refusal("there is no moderation of answers"),
    "prompt": Refusal("templates of prompts are not stored here; send the text as 'instructions' and 'input'"),
    "prompt_cache_options": CACHE_OPTIONS,
    "service_tier": Refusal("nothing here is faster than the default", ("auto", "default", "flex")),
}
NO_SUMMARIES = "thoughts come whole, as reasoning_text, and are not summarised"
REASONING: dict[str, tuple[str, str]] = {
    "summary": ("auto", NO_SUMMARIES),
    "generate_summary": ("auto", NO_SUMMARIES),
    "context": ("auto", "a model's own template decides which thoughts it is shown again"),
    "mode": ("standard", "models here think in one way"),
}
"""Fields of ``reasoning`` beside the effort: the one value that is taken, and why no other."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Reasoning(_Options):
    """How much to think; the other fields are in `REASONING`."""

    effort: Effort | None = None
    context: Literal["auto", "current_turn", "all_turns"] | None = None
    mode: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ResponseStreamOptions(_Options):
    """``include_obfuscation`` pads frames, so that their lengths tell nothing of tokens where they are encrypted."""

    include_obfuscation: bool = False


class BackgroundOptions(_Options):
    """``continuation_id`` names requests that belong together; nothing here is put off for a lower price."""

    completion_window: Literal["soonest", "2h", "8h"] | None = None
    continuation_id: Label | None = None


def _object(**properties: Any) -> WithJsonSchema:
    """Spelt out, since a schema inside a route cannot refer to another."""
    return WithJsonSchema({"type": "object", "properties": properties, "additionalProperties": False})


REASONING_SCHEMA = _object(
    effort={"enum": [*get_args(Effort), None]},
    summary={"enum": ["auto", None]},
    generate_summary={"enum": ["auto", None]},
    context={"enum": ["auto", None]},
    mode={"enum": ["standard", None]},
)


BACKGROUND_SCHEMA = _object(completion_window={"enum": ["soonest", None]}, continuation_id={"type": ["string", "null"]})


class ContextBody(JsonBody):
    """What says what a model is given; shared by creating a response, counting its tokens and compacting."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    input: Any = None
    instructions: str | None = None
    previous_response_id: Name | None = None
    conversation: Any = None
    reasoning: Annotated[Reasoning, REASONING_SCHEMA] | None = None
    text: dict[str, Any] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    truncation: Literal["auto", "disabled"] = "disabled"
    dialect: Name | None = None

    @property
    def conversation_id(self) -> str | None:
        """The conversation that is gone on with.

        Raises:
            InvalidParameter: it is malformed, or ``previous_response_id`` is there too.
        """
        named = self.conversation
        if isinstance(named, dict) and set(named) == {"id"}:
            named = named["id"]
        if named is not None and not (isinstance(named, str) and named):
            raise InvalidParameter(
                f"'conversation' must be an id, or an object with one; got {excerpt(self.conversation)}.",
                param="conversation",
            )
        if named is not None and self.previous_response_id is not None:
            raise InvalidParameter(
                "'conversation' and 'previous_response_id' both say what to go on from; send one.",
                param="previous_response_id",
            )
        return named

    @property
    def checked_instructions(self) -> str | None:
        """The instructions. Raises InvalidParameter where they hold half a character."""
        return None if self.instructions is None else check_text(self.instructions, "instructions")

    @property
    def effort(self) -> str | None:
        """How much to think first. Raises UnsupportedParameter for thinking of another kind."""
        if self.reasoning is None:
            return None
        for name, (taken, reason) in REASONING.items():
            if getattr(self.reasoning, name) not in (None, taken):
                raise UnsupportedParameter(
                    f"'reasoning.{name}' is not supported, other than {taken!r}: {reason}. Leave it out.",
                    param=f"reasoning.{name}",
                )
        return self.reasoning.effort

    @property
    def tool_use(self) -> ToolUse:
        """Which tools may be called, or have to be. Raises what `parse_tools` does."""
        return parse_tools(self.tools, self.tool_choice, self.parallel_tool_calls)

    @property
    def text_form(self) -> Grammar | None:
        """What ``text`` says that the answer has to be.

        Raises:
            InvalidParameter: it is malformed.
            UnsupportedParameter: a verbosity.
        """
        return None if self.text is None else _text_form(self.text)


class ResponseBody(ContextBody, SamplingBody):
    """``POST /v1/responses``; the items are read by `myna.server.openai.responses.items`."""

    unsupported: ClassVar[dict[str, Refusal]] = UNSUPPORTED

    background: bool = False
    background_options: Annotated[BackgroundOptions, BACKGROUND_SCHEMA] | None = None
    include: list[str] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    max_tool_calls: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    service_tier: Literal["auto", "default", "flex"] = "auto"
    store: bool = True
    stream_options: Annotated[ResponseStreamOptions, _object(include_obfuscation={"type": "boolean"})] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None

    @property
    def form(self) -> Grammar | None:
        """What the answer has to be, if that was asked for.

        Raises:
            InvalidParameter: it is malformed, or was asked for twice.
            UnsupportedParameter: a verbosity.
        """
        form = self.text_form
        if self.grammar is None:
            return form
        if form is not None:
            raise InvalidParameter("'text.format' and 'grammar' both ask for a form; send one.", param="grammar")
        return own_grammar(self.grammar)

    @property
    def padded(self) -> bool:
        """Whether the events of a stream are padded."""
        return self.stream_options is not None and self.stream_options.include_obfuscation

    @property
    def wants_logprobs(self) -> bool:
        """Whether every token comes with its probability. Raises what `check_include` does."""
        check_include(self.include)
        return LOGPROBS in (self.include or ()) or self.top_logprobs is not None

    @property
    def params(self) -> SamplingParams:
        """Sampling parameters.

        Raises:
            InvalidParameter: parameters that contradict each other.
        """
        if self.background and not self.store:
            raise InvalidParameter(
                "A response in 'background' has to be stored, or nobody could get it; leave out 'store'.", param="store"
            )
        if self.background_options is not None:
            if not self.background:
                raise InvalidParameter(
                    "'background_options' is allowed only with 'background': true.", param="background_options"
                )
            if self.background_options.completion_window not in (None, "soonest"):
                raise UnsupportedParameter(
                    "'background_options.completion_window' is not supported, other than 'soonest': nothing is put off "
                    "for a lower price. Leave it out.",
                    param="background_options.completion_window",
                )
        if self.stream_options is not None and not self.stream:
            raise InvalidParameter("'stream_options' is allowed only with 'stream': true.", param="stream_options")
        return self.sampling(
            max_tokens=self.max_output_tokens, logprobs=(self.top_logprobs or 0) if self.wants_logprobs else None
        )

    def echo(self) -> dict[str, Any]:
        """What a response repeats of its request."""
        return {
            "background": self.background,
            "conversation": None if self.conversation_id is None else {"id": self.conversation_id},
            "instructions": self.instructions,
            "max_output_tokens": self.max_output_tokens,
            "max_tool_calls": self.max_tool_calls,
            "metadata": self.metadata or {},
            "parallel_tool_calls": self.parallel_tool_calls is not False,
            "previous_response_id": self.previous_response_id,
            "prompt_cache_key": self.prompt_cache_key,
            "prompt_cache_retention": self.prompt_cache_retention,
            "reasoning": {
                "effort": None if self.reasoning is None else self.reasoning.effort,
                "summary": None if self.reasoning is None else self.reasoning.summary,
            },
            "safety_identifier": self.safety_identifier,
            "service_tier": "flex" if self.service_tier == "flex" else "default",
            "store": self.store,
            "temperature": self.temperature,
            "text": {"format": (self.text or {}).get("format") or {"type": "text"}, "verbosity": "medium"},
            "tool_choice": "auto" if self.tool_choice is None else self.tool_choice,
            "tools": [{"strict": True, "description": None, "parameters": None} | tool for tool in self.tools or ()],
            "top_logprobs": self.top_logprobs or 0,
            "top_p": self.top_p,
            "truncation": self.truncation,
            "user": self.user,
        }


def check_include(names: list[str] | None) -> None:
    """See that what is to come with a response can.

    Raises:
        InvalidParameter: a name that is unknown.
        UnsupportedParameter: one of what does not exist here.
    """
    for index, name in enumerate(names or ()):
        if name not in INCLUDABLE:
            raise InvalidParameter(
                f"Invalid value for 'include[{index}]': {excerpt(name)}.{suggestion(name, INCLUDABLE)}",
                param=f"include[{index}]",
            )
        if (reason := INCLUDABLE[name]) is not None:
            raise UnsupportedParameter(f"'include' {name} is not supported: {reason}.", param=f"include[{index}]")


def _text_form(value: dict[str, Any]) -> Grammar | None:
    for name in value:
        if name not in ("format", "verbosity"):
            raise InvalidParameter(
                f"Unknown parameter: 'text.{name}'.{suggestion(name, ('format', 'verbosity'))}", param=f"text.{name}"
            )
    if value.get("verbosity") not in (None, "medium"):
        raise UnsupportedParameter(
            "'text.verbosity' is not supported, other than 'medium': no model here takes one; say in 'instructions' "
            "how long the answer should be.",
            param="text.verbosity",
        )
    given = value.get("format")
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        raise InvalidParameter(
            f"Invalid value for 'text.format.type': {excerpt(kind)}; allowed are text, json_object, json_schema.",
            param="text.format.type",
        )
    more = {name: part for name, part in given.items() if name != "type" and part is not None}
    if kind == "json_schema":
        if "schema" not in more:
            raise InvalidParameter("Missing required parameter: 'text.format.schema'.", param="text.format.schema")
        return named_schema(more, "text.format")
    for name in more:
        raise InvalidParameter(f"Unknown parameter: 'text.format.{name}' of {kind}.", param=f"text.format.{name}")
    return Grammar("json_object", param="text.format") if kind == "json_object" else None
