"""Requests of completions and embeddings: their fields, ranges, and what is known but not available here.

Source: https://platform.openai.com/docs/api-reference. Fields that are not OpenAI's (`docs/api.md` calls them
extensions) have the names that vLLM and others gave them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from myna.engine.request import Grammar, SamplingParams
from myna.errors import InvalidParameter
from myna.server.errors import excerpt
from myna.server.limits import (
    MAX_CHOICES,
    MAX_EMBEDDING_INPUTS,
    MAX_LOGIT_BIAS,
    MAX_PROMPTS,
    MAX_TOP_LOGPROBS,
)
from myna.server.openai.body import Body, Label, Metadata, Name, Refusal
from myna.server.openai.forms import requested_form
from myna.server.openai.texts import check_text, stop_strings, texts_or_tokens
from myna.server.openai.tools import ToolUse, parse_tool_use

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

Penalty = Annotated[float, Field(ge=-2, le=2)]


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
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] = Field(
        default_factory=dict, max_length=MAX_LOGIT_BIAS
    )
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
            stop=stop_strings(self.stop, "stop"),
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


def _token_biases(biases: dict[str, float]) -> dict[int, float]:
    for token in biases:
        if not token.isdecimal() or not token.isascii() or len(token) > 9:
            raise InvalidParameter(
                f"'logit_bias' must have token ids as keys; got {excerpt(token)}.", param="logit_bias"
            )
    return {int(token): bias for token, bias in biases.items()}
