"""What a model is, as frozen data: every quirk is a named field, never a family's name in shared code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["rms", "layer"]
Activation = Literal["silu", "gelu_tanh", "gelu"]
RopeLayout = Literal["half", "interleaved"]


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864).

    ``layout`` says which pairs turn together: ``half`` pairs dimension i with i + dims/2 (Hugging Face's layout),
    ``interleaved`` pairs 2i with 2i + 1 (Meta's, and GGUF files of llama-style architectures).
    ``factors`` divides each of the dims/2 frequencies (Llama 3.1 scaling arrives this way); None means all ones.
    """

    dims: int
    base: float
    layout: RopeLayout
    factors: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A decoder's shape and quirks. Sizes are counts of elements; ``context`` is in tokens."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    vocab_size: int
    context: int
    norm: Norm
    norm_epsilon: float
    activation: Activation
    rope: RopeConfig
    tied_embeddings: bool
