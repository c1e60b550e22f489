"""The OpenAI API's requests: their fields, ranges, and what is known but not available here.

Source: https://platform.openai.com/docs/api-reference. Fields that are not OpenAI's are `EXTENSIONS`, under the names
that vLLM and others gave them. A field with the value null counts as not given, as OpenAI has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from myna.engine.request import Grammar, SamplingParams
from myna.errors import InvalidParameter, UnsupportedParameter
from myna.server.errors import excerpt, from_validation
from myna.server.limits import (
    MAX_CHOICES,
    MAX_EMBEDDING_INPUTS,
    MAX_LOGIT_BIAS,
    MAX_METADATA,
    MAX_METADATA_KEY,
    MAX_METADATA_VALUE,
    MAX_PROMPTS,
    MAX_STOP_LENGTH,
    MAX_STOP_STRINGS,
    MAX_TOP_LOGPROBS,
    MAX_USER_LENGTH,
)
from myna.server.openai.forms import requested_form
from myna.server.openai.tools import ToolUse, parse_tool_use

EXTENSIONS = ("top_k", "min_p", "repetition_penalty", "ignore_eos", "grammar", "dialect", "adapter")


class Refusal(NamedTuple):
    """Why a field of OpenAI's is not available here; ``neutral`` are its values that ask for nothing."""

    reason: str
    neutral: tuple[Any, ...] = ()


CACHE_OPTIONS = Refusal(
    "the prefix cache keeps what it has room for; it takes no options",
    ({}, {"mode": "implicit"}, {"ttl": "30m"}, {"mode": "implicit", "ttl": "30m"}),
)
CHAT_UNSUPPORTED: dict[str, Refusal] = {
    "audio": Refusal("no model here speaks in a chat"),
    "function_call": Refusal("it is the deprecated form of 'tool_choice'", ("none",)),
    "functions": Refusal("it is the deprecated form of 'tools'", ([],)),
    "modalities": Refusal("answers are text", (["text"],)),
    "moderation": Refusal("answers are not moderated on their way; ask POST /v1/moderations"),
    "prompt_cache_options": CACHE_OPTIONS,
    "service_tier": Refusal("nothing here is faster than the default", ("auto", "default", "flex")),
    "verbosity": Refusal("no model here takes one; say in a message how long the answer should be", ("medium",)),
    "web_search_options": Refusal("there is no web search yet"),
}

StopString = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STOP_LENGTH)]
TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]
Label = Annotated[str, StringConstraints(max_length=MAX_USER_LENGTH)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_USER_LENGTH)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(max_length=MAX_METADATA_KEY)],
        Annotated[str, StringConstraints(max_length=MAX_METADATA_VALUE)],
    ],
    Field(max_length=MAX_METADATA),
]
"""Labels of a stored object."""


class StreamOptions(BaseModel):
    """``include_obfuscation`` pads frames, so that their lengths tell nothing of tokens where they are encrypted."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool = False
    include_obfuscation: bool = False


STREAM_OPTIONS_SCHEMA = {
    "type": "object",
    "properties": {"include_usage": {"type": "boolean"}, "include_obfuscation": {"type": "boolean"}},
}
PREDICTION_SCHEMA = {"type": "object", "properties": {"type": {"const": "content"}, "content": {}}}
"""Spelt out, since a schema inside a route cannot refer to another."""


class Prediction(BaseModel):
    """``content`` is a text, or a list of text parts."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["content"]
    content: str | list[dict[str, Any]]


class JsonBody(BaseModel):
    """What all requests with a body share."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)
    unsupported: ClassVar[dict[str, Refusal]] = {}

    @classmethod
    def parse(cls, body: Any) -> Self:
        """A request from decoded JSON.

        Raises:
            InvalidParameter: an unknown, missing or malformed field, or one out of range, by name.
            UnsupportedParameter: a field of OpenAI's that is not available here.
        """
        if not isinstance(body, dict):
            raise InvalidParameter(f"The body must be a JSON object; got {excerpt(body)}.")
        given = {name: value for name, value in body.items() if value is not None}
        for name, (reason, neutral) in cls.unsupported.items():
            if name in given and (given[name] if name in cls.model_fields else given.pop(name)) not in neutral:
                allowed = " or ".join(excerpt(value) for value in neutral)
                raise UnsupportedParameter(
                    f"'{name}' is not supported{f', other than {allowed}' if neutral else ''}: {reason}. Leave it out.",
                    param=name,
                )
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            known = (*cls.model_fields, *cls.unsupported)
            raise from_validation(error.errors(include_url=False), known) from None


class Body(JsonBody):
    """What all requests to a model share."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    user: Label | None = None


class MetadataBody(JsonBody):
    """New labels for a stored object, in place of those it has; null for none."""

    metadata: Metadata = {}

    @classmethod
    def parse(cls, body: Any) -> Self:
        """As `JsonBody.parse`; null is not the same as nothing."""
        if isinstance(body, dict) and "metadata" not in body:
            raise InvalidParameter("Missing required parameter: 'metadata'.", param="metadata")
        return super().parse(body)


class SamplingBody(Body):
    """What all requests share that a model answers with text: how it is chosen, and labels."""

    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=-1, lt=1 << 31)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float, Field(gt=0, le=10)] = 1.0
    presence_penalty: Penalty = 0.0
    frequency_penalty: Penalty = 0.0
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=MAX_LOGIT_BIAS)] = {}
    seed: Annotated[int, Field(ge=-(1 << 63), lt=1 << 64)] | None = None
    stop: Any = None
    ignore_eos: bool = False
    grammar: dict[str, Any] | None = None
    adapter: Name | None = None
    safety_identifier: Label | None = None
    metadata: Metadata | None = None
    prompt_cache_key: Label | None = None
    prompt_cache_retention: Label | None = None

    def sampling(self, **more: Any) -> SamplingParams:
        """The engine's parameters; ``more`` are those in which the kinds differ."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=max(self.top_k, 0),
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=_token_biases(self.logit_bias),
            seed=None if self.seed is None else self.seed % (1 << 64),
            stop=_stop_strings(self.stop),
            ignore_eos=self.ignore_eos,
            **more,
        )


class GenerationBody(SamplingBody):
    """What both kinds of completion share."""

    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] = 1
    stream_options: Annotated[StreamOptions, WithJsonSchema(STREAM_OPTIONS_SCHEMA)] | None = None
    response_format: dict[str, Any] | None = None

    @property
    def form(self) -> Grammar | None:
        """What the answer has to be, if that was asked for.

        Raises:
            InvalidParameter: it is malformed, or was asked for twice.
        """
        return requested_form(self.response_format, self.grammar)

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a frame of usage.

        Raises:
            InvalidParameter: options of a stream without a stream.
        """
        if self.stream_options is not None and not self.stream:
            raise InvalidParameter("'stream_options' is allowed only with 'stream': true.", param="stream_options")
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def padded(self) -> bool:
        """Whether a stream's frames are padded."""
        return self.stream_options is not None and self.stream_options.include_obfuscation


class ChatCompletionBody(GenerationBody):
    """``POST /v1/chat/completions``; the messages are read by `myna.server.openai.messages`."""

    unsupported: ClassVar[dict[str, Refusal]] = CHAT_UNSUPPORTED

    messages: list[Any]
    dialect: Name | None = None
    max_tokens: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    prediction: Annotated[Prediction, WithJsonSchema(PREDICTION_SCHEMA)] | None = None
    store: bool = False
    service_tier: Literal["auto", "default", "flex"] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None

    @property
    def tier(self) -> Literal["default", "flex"]:
        """The tier that is used; ``flex`` gives way to requests that are not."""
        return "flex" if self.service_tier == "flex" else "default"

    @property
    def tool_use(self) -> ToolUse:
        """Which tools may be called, or have to be. Raises what `parse_tool_use` does."""
        return parse_tool_use(self.tools, self.tool_choice, self.parallel_tool_calls)

    @property
    def params(self) -> SamplingParams:
        """Sampling parameters.

        Raises:
            InvalidParameter: parameters that contradict each other.
        """
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidParameter("'top_logprobs' is allowed only with 'logprobs': true.", param="top_logprobs")
        limits = {limit for limit in (self.max_tokens, self.max_completion_tokens) if limit is not None}
        if len(limits) > 1:
            raise InvalidParameter(
                f"'max_tokens' ({self.max_tokens}) and 'max_completion_tokens' ({self.max_completion_tokens}) "
                "contradict each other; send the latter only.",
                param="max_tokens",
            )
        return self.sampling(
            max_tokens=limits.pop() if limits else None, logprobs=(self.top_logprobs or 0) if self.logprobs else None
        )


class CompletionBody(GenerationBody):
    """``POST /v1/completions``. ``suffix``: what follows the completion, for models that can fill gaps."""

    prompt: Any
    suffix: str | None = None
    max_tokens: Annotated[int, Field(ge=0, lt=1 << 31)] = 16
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = None
    best_of: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None

    @property
    def tries(self) -> int:
        """Completions to make of each prompt; the best ``n`` are the answer.

        Raises:
            InvalidParameter: fewer than ``n``; more, where the answer is to be streamed; or too many for the prompts.
        """
        tries = self.n if self.best_of is None else self.best_of
        if tries < self.n:
            raise InvalidParameter(f"'best_of' is {tries}; it must be at least 'n', {self.n}.", param="best_of")
        if tries > self.n and self.stream:
            raise InvalidParameter(
                "'best_of' above 'n' cannot be streamed: the best are known at the end.", param="best_of"
            )
        if tries * len(self.prompts) > MAX_CHOICES:
            raise InvalidParameter(
                f"{len(self.prompts)} prompts with {tries} completions each are more than {MAX_CHOICES}.", param="n"
            )
        return tries

    @property
    def after(self) -> str | None:
        """What follows the completion; an empty text asks for nothing.

        Raises:
            InvalidParameter: it holds half a character, or its prompt is to be scored, which is not only its own text.
        """
        if self.suffix and self.echo and self.logprobs is not None:
            raise InvalidParameter("'suffix' cannot be combined with 'echo' and 'logprobs'.", param="suffix")
        return check_text(self.suffix, "suffix") if self.suffix else None

    @property
    def prompts(self) -> Sequence[str | tuple[int, ...]]:
        """The prompts, as texts or as token ids.

        Raises:
            InvalidParameter: neither a text, nor token ids, nor a list of either.
        """
        return texts_or_tokens(self.prompt, "prompt", MAX_PROMPTS)

    @property
    def params(self) -> SamplingParams:
        """Sampling parameters.

        Raises:
            InvalidParameter: no tokens are asked for and the prompt's are not either.
        """
        if self.max_tokens == 0 and not self.echo:
            raise InvalidParameter("'max_tokens' may be 0 only with 'echo': true.", param="max_tokens")
        compared = self.tries > self.n  # by their log-probabilities
        return self.sampling(
            max_tokens=self.max_tokens,
            logprobs=0 if compared and self.logprobs is None else self.logprobs,
            prompt_logprobs=self.logprobs if self.echo else None,
        )


class EmbeddingBody(Body):
    """``POST /v1/embeddings``."""

    input: Any
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, lt=1 << 31)] | None = None

    @property
    def inputs(self) -> Sequence[str | tuple[int, ...]]:
        """The texts, or their token ids.

        Raises:
            InvalidParameter: neither a text, nor token ids, nor a list of either; or one of them is empty.
        """
        inputs = texts_or_tokens(self.input, "input", MAX_EMBEDDING_INPUTS)
        if "" in inputs:
            raise InvalidParameter("'input' holds an empty text; leave it out.", param="input")
        return inputs


def texts_or_tokens(value: Any, param: str, most: int) -> Sequence[str | tuple[int, ...]]:
    """One or several texts, or one or several lists of token ids; all of one kind.

    Raises:
        InvalidParameter: anything else, or more of them than ``most``.
    """
    items = value if isinstance(value, list) else [value]
    if items and all(_is_token(token) for token in items) and isinstance(value, list):
        items = [items]
    if not 1 <= len(items) <= most:
        raise InvalidParameter(f"'{param}' must hold 1 to {most} {param}s; got {len(items)}.", param=param)
    if all(isinstance(text, str) for text in items):
        return [check_text(text, param) for text in items]
    if all(isinstance(ids, list) and ids and all(_is_token(token) for token in ids) for ids in items):
        return [tuple(ids) for ids in items]
    raise InvalidParameter(
        f"'{param}' must be a text, an array of token ids (0 and above), or an array of either; got {excerpt(value)}.",
        param=param,
    )


def check_text(text: str, param: str) -> str:
    """A text that can be encoded: JSON's escapes can spell half a character, which no tokenizer knows.

    Raises:
        InvalidParameter: it holds an unpaired surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameter(
            f"'{param}' holds half a character (an unpaired surrogate) at position {error.start}.", param=param
        ) from None
    return text


def check_texts(value: Any) -> None:
    """Plain data all of whose texts can be encoded; see `check_text`.

    Raises:
        InvalidParameter: one of them holds an unpaired surrogate.
    """
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise InvalidParameter("The request holds half a character (an unpaired surrogate).") from None


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31


def _stop_strings(value: Any) -> tuple[str, ...]:
    strings = [value] if isinstance(value, str) else [] if value is None else value
    fine = isinstance(strings, list) and len(strings) <= MAX_STOP_STRINGS
    if not fine or not all(isinstance(text, str) and 1 <= len(text) <= MAX_STOP_LENGTH for text in strings):
        raise InvalidParameter(
            f"'stop' must be a text or an array of up to {MAX_STOP_STRINGS} texts of 1 to {MAX_STOP_LENGTH} "
            f"characters; got {excerpt(value)}.",
            param="stop",
        )
    return tuple(check_text(text, "stop") for text in strings)


def _token_biases(biases: dict[str, float]) -> dict[int, float]:
    for token in biases:
        if not token.isdecimal() or not token.isascii() or len(token) > 9:
            raise InvalidParameter(
                f"'logit_bias' must have token ids as keys; got {excerpt(token)}.", param="logit_bias"
            )
    return {int(token): bias for token, bias in biases.items()}
