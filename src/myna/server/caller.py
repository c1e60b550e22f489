"""A loaded model as one caller uses it: every request carries whose it is, wherever it was put together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from myna.backends.base import Backend, ModelDescription
from myna.engine.embedding import Embedded, EmbeddingRequest
from myna.engine.request import Delta, Finished, GenerationRequest, Started
from myna.server.identity import Identity


@dataclass(frozen=True, slots=True)
class CallersModel:
    """What of a backend a request may use, in its caller's name."""

    backend: Backend
    caller: Identity

    def generate(self, request: GenerationRequest) -> AsyncGenerator[Started | Delta | Finished, None]:
        """As `Backend.generate`; the prefix cache is the caller's own."""
        return self.backend.generate(replace(request, owner=self.caller.user))

    async def embed(self, request: EmbeddingRequest) -> Embedded:
        """As `Backend.embed`."""
        return await self.backend.embed(request)

    async def encode_prompt(self, request: GenerationRequest) -> list[int]:
        """As `Backend.encode_prompt`."""
        return await self.backend.encode_prompt(request)

    async def tokenize(self, text: str) -> list[int]:
        """As `Backend.tokenize`."""
        return await self.backend.tokenize(text)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """As `Backend.detokenize`."""
        return await self.backend.detokenize(token_ids)

    async def spell(self, token_ids: Sequence[int]) -> list[str]:
        """As `Backend.spell`."""
        return await self.backend.spell(token_ids)

    async def describe(self) -> ModelDescription:
        """As `Backend.describe`."""
        return await self.backend.describe()
