"""The one seam between those who want answers and whatever gives them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.request import Delta, Finished, GenerationRequest, Started

__all__ = [
    "Backend",
    "Delta",
    "Embedded",
    "EmbeddingRequest",
    "Finished",
    "GenerationRequest",
    "ModelDescription",
    "Started",
]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A loaded model as it runs: for `/v1/models`, the model menu, `myna show` and the start log.

    A ``decoder`` generates, an ``encoder`` embeds, in vectors of ``embedding_width`` numbers, a ``reranker`` scores
    texts.
    """

    name: str
    path: str
    architecture: str
    parameters: int
    context: int
    quantisation: str
    weight_bytes: int
    bytes_per_token: int
    kv_cache_tokens: int
    kv_bytes_per_token: int
    instruction_set: str
    threads: int
    tokenizer: str
    process_id: int | None
    kind: Literal["decoder", "encoder", "reranker"] = "decoder"
    embedding_width: int = 0


class Backend(Protocol):
    """A loaded model. All methods may be called by many tasks at once.

    `generate` yields one `Started`, any number of `Delta` and one `Finished`. A failure is raised as the leaf
    of `myna.errors` that fits (`PromptTooLong`, `EngineCrashed`, `EngineBusy`, …). Closing the iterator early, or
    cancelling the task that runs it, cancels the request: it stops within one step and its blocks are free again.
    """

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]: ...

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        """A vector for every text. Cancelling the task that waits cancels the request.

        Raises InvalidParameter, as `generate` does, where the model is of the other kind.
        """

    async def cancel(self, request_id: str) -> None:
        """End a request as ``cancelled``: its iterator still yields what it had and then `Finished`."""

    async def tokenize(self, text: str) -> list[int]:
        """Token ids of plain text; what looks like a control token is text too."""

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of these tokens; control tokens have none. An unknown id raises `InvalidParameter`."""

    async def encode_prompt(self, request: GenerationRequest) -> list[int]:
        """Token ids of a request's prompt as the model would get it; nothing is generated.

        Raises what `generate` raises for a prompt that it refuses.
        """

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        """Each token by itself, as text: half a character is U+FFFD, a control token its name. Raises as above."""

    async def load_adapter(self, name: str, path: str) -> None:
        """Read a LoRA adapter from a directory; requests name it as their ``adapter``.

        Raises:
            Conflict: the name is in use, or too many adapters are loaded.
            ModelFileError, UnsupportedParameter, InvalidParameter: it cannot be used, and why.
        """

    async def unload_adapter(self, name: str) -> None:
        """Refuse an adapter from now on; requests that use it go on to their end. Raises NotFound."""

    async def describe(self) -> ModelDescription: ...

    async def statistics(self) -> dict[str, float]:
        """Counters and gauges of the engine, by Prometheus-style name without prefix."""

    async def close(self) -> None:
        """End every request, free all memory; later calls raise `EngineError`."""
