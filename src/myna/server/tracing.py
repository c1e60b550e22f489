"""Traces for OpenTelemetry: a span a request, and below it one for each answer or batch of vectors that a model makes.

There are none unless the setting ``telemetry`` asks for them. The span of a request, which takes up the caller's
``traceparent``, is the framework's own. Where spans go and how many of them, the standard variables say
(``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_TRACES_SAMPLER``, …). Names are those of the semantic conventions for
generative AI (https://opentelemetry.io/docs/specs/semconv/gen-ai/); prompts and answers are in no span.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

import myna
from myna.engine.embedding import EmbeddingRequest
from myna.engine.request import Finished, GenerationRequest, SamplingParams, Started
from myna.errors import ConfigurationError, MynaError
from myna.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from myna.server.meter import Use

PROVIDER_NAME = "myna"
CLOSE_SECONDS = 2.0
"""How long the last spans may take to be sent."""


class Tracing:
    """Makes the spans of one server.

    Args:
        provider: where they go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider = provider
        self._tracer = provider.get_tracer("myna", myna.__version__)

    def close(self) -> None:
        """Send what is not yet sent; a collector that cannot be reached does not hold up the end for long."""
        sending = threading.Thread(target=self.provider.shutdown, daemon=True)
        sending.start()
        sending.join(CLOSE_SECONDS)

    def describe_request(self, use: Use) -> None:
        """Tell the span of the current request what it has used."""
        span = trace.get_current_span()
        span.set_attribute("myna.request.id", use.request_id)
        if use.model is not None:
            span.set_attributes(
                {
                    "gen_ai.request.model": use.model,
                    "gen_ai.usage.input_tokens": use.prompt_tokens,
                    "gen_ai.usage.output_tokens": use.completion_tokens,
                }
            )

    def generation(self, request: GenerationRequest, model: str) -> GenerationSpan:
        """Begin the span of an answer; it must be ended."""
        operation = "text_completion" if request.messages is None else "chat"
        return GenerationSpan(
            self._start(operation, model, request.id, _sampling(request.params) | {"myna.adapter": request.adapter})
        )

    def embedding(self, request: EmbeddingRequest, model: str) -> GenerationSpan:
        """Begin the span of some vectors; it must be ended."""
        wanted = {"gen_ai.embeddings.dimension.count": request.dimensions}
        return GenerationSpan(self._start("embeddings", model, request.id, wanted))

    def _start(self, operation: str, model: str, request_id: str, more: dict[str, Any]) -> trace.Span:
        attributes = more | {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDER_NAME,
            "gen_ai.request.model": model,
            "gen_ai.response.id": request_id,
        }
        given = {name: value for name, value in attributes.items() if value is not None}
        return self._tracer.start_span(f"{operation} {model}", kind=trace.SpanKind.INTERNAL, attributes=given)


class GenerationSpan:
    """The time in which a model works for one sequence of tokens, or one batch of texts."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def started(self, event: Started) -> None:
        """The prompt is computed."""
        self._span.add_event("first token")
        self._span.set_attribute("gen_ai.usage.cache_read.input_tokens", event.cached_tokens)
        self.used(prompt=event.prompt_tokens)

    def finished(self, event: Finished) -> None:
        """The answer is there."""
        self._span.set_attributes(
            {
                "gen_ai.response.finish_reasons": (event.reason,),
                "gen_ai.response.time_to_first_chunk": event.first_token_seconds,
                "myna.queue_seconds": event.queue_seconds,
                "myna.decode_seconds": event.decode_seconds,
            }
        )

    def used(self, *, prompt: int | None = None, completion: int | None = None) -> None:
        """Tokens, as far as they are known."""
        if prompt is not None:
            self._span.set_attribute("gen_ai.usage.input_tokens", prompt)
        if completion is not None:
            self._span.set_attribute("gen_ai.usage.output_tokens", completion)

    def end(self, error: BaseException | None = None) -> None:
        """End the span, with what went wrong."""
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            self._span.set_attribute("error.type", "cancelled")  # its reader has gone, which is no failure of ours
        elif error is not None:
            self._span.set_attribute("error.type", error.code if isinstance(error, MynaError) else type(error).__name__)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


def open_tracing(settings: Settings) -> Tracing | None:
    """What makes spans and sends them over OTLP and HTTP; None unless the settings ask for it.

    Raises:
        ConfigurationError: OpenTelemetry's SDK is not installed.
    """
    if not settings.telemetry:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigurationError(
            'The setting telemetry needs OpenTelemetry: pip install "myna[telemetry]", or leave it out.',
            param="telemetry",
        ) from None
    own = Resource({"service.name": "myna", "service.version": myna.__version__})
    provider = TracerProvider(resource=own.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Tracing(provider)


def _sampling(params: SamplingParams) -> dict[str, Any]:
    return {
        "gen_ai.request.max_tokens": params.max_tokens,
        "gen_ai.request.temperature": params.temperature,
        "gen_ai.request.top_p": params.top_p,
        "gen_ai.request.top_k": params.top_k or None,
        "gen_ai.request.seed": params.seed,
        "gen_ai.request.presence_penalty": params.presence_penalty or None,
        "gen_ai.request.frequency_penalty": params.frequency_penalty or None,
    }
