"""Any causal language model of Hugging Face Transformers behind the outside of `myna._native.Executor`.

Sequences are computed one after the other, each with the cache that its model itself makes. So a text does not depend
on what runs beside it, and every kind of cache will do: keys and values, a recurrent state, or none at all. What a
sequence has is kept under its first KV block until that block is given back; the other blocks only count its length.
Tokens are chosen by the native sampler, so that parameters and seeds mean the same with either executor.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from myna import _native

CACHES = ("past_key_values", "cache_params", "state")
"""What models call the cache that they return and take back."""


@dataclass(slots=True)
class _State:
    """One sequence: its tokens [1, tokens], and the model's cache of them by the name of its argument."""

    ids: torch.Tensor
    cache: dict[str, Any] = field(default_factory=dict)


class TorchExecutor:
    """See the module.

    Args:
        model: in evaluation mode, on the device where it is to run.
        vocab_size: tokens of the tokenizer; a model may have rows of logits beyond, which are never looked at.
        token_bytes: of the cache that a token takes in the model's own precision.
    """

    def __init__(self, model: PreTrainedModel, vocab_size: int, token_bytes: int) -> None:
        self._model: Any = model
        self._vocab_size = vocab_size
        self._token_bytes = token_bytes
        self._picks_rows = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._states: dict[int, _State] = {}
        self._logits = np.zeros((0, vocab_size), np.float32)

    @property
    def chunks_prompts(self) -> bool:
        """Whether a prompt can be computed piece by piece: what recurrent models return continues by single tokens."""
        state = _State(self._tensor([0]))
        self._compute(state, 1, [0])
        cache = state.cache.get("past_key_values")
        return isinstance(cache, DynamicCache) and all(type(layer) is DynamicLayer for layer in cache.layers)

    def cache_block_bytes(self, block_size: int, dtype: str) -> int:
        """Bytes that ``block_size`` tokens take; the cache has the model's precision, whatever ``dtype`` says."""
        return self._token_bytes * block_size

    def allocate_cache(self, blocks: int, block_size: int, dtype: str) -> None:
        """Nothing is reserved: each sequence's cache grows as it does."""

    def discard_blocks(self, blocks: NDArray[np.int32]) -> None:
        """Forget the sequences that began in these blocks."""
        for block in blocks.tolist():
            self._states.pop(block, None)

    def set_adapter(self, slot: int, weights: object) -> None:
        """Refuses: adapters are for Myna's own kernels."""
        raise ValueError("models that PyTorch runs take no adapters")

    def clear_adapter(self, slot: int) -> None:
        """Nothing was ever set."""

    def forward(
        self,
        tokens: NDArray[np.int32],
        sequence_starts: NDArray[np.int32],
        context_lengths: NDArray[np.int32],
        block_tables: NDArray[np.int32],
        logit_rows: NDArray[np.int32],
        adapters: NDArray[np.int32] | None = None,
    ) -> None:
        """One step; see `myna._native.Executor.forward`."""
        starts, rows = sequence_starts.tolist(), logit_rows.tolist()
        found = [np.zeros((0, self._vocab_size), np.float32)]
        for index, context in enumerate(context_lengths.tolist()):
            start, end = starts[index], starts[index + 1]
            block = int(block_tables[index, 0])
            new = self._tensor(tokens[start:end].tolist())
            if not context:
                self._states[block] = state = _State(new)
            else:
                state = self._states[block]
                if state.ids.shape[1] != context:
                    raise ValueError(f"a sequence of {state.ids.shape[1]} tokens cannot go on at {context}")
                state.ids = torch.cat([state.ids, new], dim=1)
            found.append(self._compute(state, end - start, [row - start for row in rows if start <= row < end]))
        self._logits = np.concatenate(found)

    def sample(self, rows: NDArray[np.int32], **parameters: Any) -> tuple[Any, Any, Any, Any]:
        """See `myna._native.Executor.sample`."""
        return cast("tuple[Any, Any, Any, Any]", _native.sample_logits(self._logits, rows, **parameters))

    def score(
        self, rows: NDArray[np.int32], targets: NDArray[np.int32], top_logprobs: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
        """See `myna._native.Executor.score`."""
        logits = self._logits[rows].astype(np.float64)
        logprobs = logits - logits.max(1, keepdims=True)
        logprobs -= np.log(np.exp(logprobs).sum(1, keepdims=True))
        top = np.argsort(-logprobs, axis=1, kind="stable")[:, :top_logprobs]
        chosen = logprobs[np.arange(len(rows)), targets]
        rivals = np.take_along_axis(logprobs, top, 1)
        return chosen.astype(np.float32), top.astype(np.int32), rivals.astype(np.float32)

    def _tensor(self, ids: Items[int]) -> torch.Tensor:
        return torch.tensor([ids], device=self._model.device)

    @torch.inference_mode()
    def _compute(self, state: _State, count: int, wanted: Items[int]) -> NDArray[np.float32]:
        """Run a sequence's last ``count`` tokens; the logits after those of them that are ``wanted``: [wanted, vocab].

        A model that returns no cache is given the whole sequence every time.
        """
        length = state.ids.shape[1]
        is_first = count == length
        inputs = self._model.prepare_inputs_for_generation(
            state.ids,
            next_sequence_length=count if state.cache else None,
            is_first_iteration=is_first,
            attention_mask=torch.ones_like(state.ids),
            use_cache=True,
            **state.cache,
        )
        fed = inputs["input_ids"].shape[1]
        rows = torch.tensor(wanted or [count - 1], device=self._model.device) + (fed - count)
        if self._picks_rows:
            inputs["logits_to_keep"] = rows
        output = self._model(**inputs, return_dict=True)
        state.cache = {name: output[name] for name in CACHES if output.get(name) is not None}
        logits = output.logits[0] if self._picks_rows else output.logits[0, rows]
        return cast("NDArray[np.float32]", logits[: len(wanted), : self._vocab_size].float().cpu().numpy())
