"""What the engine needs of a model; `myna.models.loader.LoadedModel` has it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from myna.chat import Message, Tool
from myna.models.dialects import Prompt

if TYPE_CHECKING:
    from myna.models.tokenizer.infill import Infill  # with the library of all tokenizers, which this needs not

Sampled = tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class CacheTraits:
    """What may be done with an executor's cache.

    ``shares_blocks``: a block's content is that of its place, so that a sequence can take over another's beginning, and
    can take back tokens. ``chunks_prompts``: a prompt may be computed piece by piece.
    """

    shares_blocks: bool = True
    chunks_prompts: bool = True


PAGED = CacheTraits()


Additions = Mapping[str, tuple[NDArray[np.float32], NDArray[np.float32], float]]
"""What an adapter adds: by weight A [rank, columns], B [rows, rank] and a scale."""


class Executor(Protocol):
    """The part of `myna._native.Executor` that a step uses."""

    def cache_block_bytes(self, block_size: int, dtype: str) -> int: ...

    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None: ...

    def forward(
        self,
        tokens: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        context_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        logit_rows: NDArray[np.int32],
        adapters: NDArray[np.int32] | None = None,
    ) -> None: ...

    def set_adapter(self, slot: int, weights: Additions) -> None: ...

    def clear_adapter(self, slot: int) -> None: ...

    def discard_blocks(self, blocks: NDArray[np.int32]) -> None:
        """Give back the memory of these blocks, whose content nobody needs."""

    @property
    def sample(self) -> Callable[..., Sampled]:
        """Takes ``rows`` and, by keyword, what `myna.engine.batch.BatchBuilder.sampling` gives."""

    def score(
        self, rows: NDArray[np.int32], targets: NDArray[np.int32], top_logprobs: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]: ...


class Tokenizer(Protocol):
    """Text to tokens and back. All methods may be called from several threads."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def stop_token_ids(self) -> frozenset[int]: ...

    def encode(self, text: str, *, continues: bool = False) -> list[int]: ...

    def encode_prompt(self, text: str) -> list[int]: ...

    @property
    def infill(self) -> Infill | None: ...

    def encode_infill(self, prefix: str, suffix: str) -> list[int]: ...

    def token_bytes(self, token_id: int) -> bytes: ...

    def token_id(self, name: str) -> int | None: ...

    def token_name(self, token_id: int) -> str: ...

    def is_control(self, token_id: int) -> bool: ...


class Dialect(Protocol):
    """How the model is talked to."""

    @property
    def stop_token_ids(self) -> frozenset[int]: ...

    @property
    def stop_strings(self) -> tuple[str, ...]: ...

    def prompt(
        self,
        messages: Items[Message],
        *,
        continue_last: bool = False,
        tools: Items[Tool] = (),
        must_call: bool = False,
        effort: str | None = None,
    ) -> Prompt: ...


class Model(Protocol):
    """A model in memory, without its KV cache."""

    @property
    def executor(self) -> Executor: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    def dialect_for(self, name: str | None) -> Dialect:
        """The dialect of this name; None is the model's own. Raises InvalidParameter naming those there are."""

    @property
    def context(self) -> int: ...

    @property
    def weight_bytes(self) -> int: ...
