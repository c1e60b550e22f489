"""What a model is, as frozen data: every quirk is a named field, never a family's name in shared code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Norm = Literal["rms", "layer"]
Activation = Literal["silu", "gelu_tanh", "gelu"]
ExpertActivation = Literal["silu", "clamped_silu"]
RopeLayout = Literal["half", "interleaved"]
Pooling = Literal["mean", "first", "last"]


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864).

    ``layout`` says which pairs turn together: ``half`` pairs dimension i with i + dims/2 (Hugging Face's layout),
    ``interleaved`` pairs 2i with 2i + 1 (Meta's, and GGUF files of llama-style architectures).
    ``factors`` divides each of the dims/2 frequencies (every kind of scaling arrives this way); None means all ones.
    ``short_factors`` stand in for them where no sequence is longer than ``short_context`` tokens.
    ``scale`` multiplies cosines and sines, and so scores by its square (YaRN's and LongRoPE's attention factor).
    """

    dims: int
    base: float
    layout: RopeLayout
    factors: tuple[float, ...] | None = None
    scale: float = 1.0
    short_factors: tuple[float, ...] | None = None
    short_context: int = 0

    def within(self, context: int) -> RopeConfig:
        """The same for sequences of at most ``context`` tokens."""
        return replace(self, factors=self.short_factors) if context <= self.short_context else self


@dataclass(frozen=True, slots=True)
class AttentionConfig:
    """What may differ from layer to layer.

    ``rope`` None: no rotary positions. ``window``: a token sees the keys at position - window < key <= position;
    None means all up to its own.
    """

    rope: RopeConfig | None
    window: int | None = None


@dataclass(frozen=True, slots=True)
class ExpertsConfig:
    """A mixture of experts in place of each MLP, ``mlp_width`` being one expert's width.

    Each token goes to the ``chosen`` of ``count`` experts with the largest router logits. Their shares are a softmax
    over these logits alone if ``renormalise``, else over all. ``bias``: router and experts have biases.
    ``clamped_silu``: gate at most ``limit``, up within ±``limit``, gate * sigmoid(alpha * gate) * (up + 1).
    """

    count: int
    chosen: int
    renormalise: bool
    bias: bool = False
    activation: ExpertActivation = "silu"
    alpha: float = 1.0
    limit: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A decoder's shape and quirks. Sizes are counts of elements; ``context`` is in tokens.

    Attributes:
        attention: one a layer.
        tied_embeddings: the head is the embedding.
        gated_mlp: down(activation(gate x) * up x); else down(activation(up x)).
        qkv_bias, output_bias, mlp_bias, head_bias: which linears have biases; output is attention's own.
        parallel_residual: attention and MLP read the same x and are added together, not one after the other.
        shared_norm: one norm feeds attention and MLP alike (with ``parallel_residual``).
        head_norm: a norm on each head of q and k, before their rotation.
        post_norms: a norm also behind attention and behind the MLP, before each is added.
        embedding_scale: multiplies the embeddings.
        embedding_norm: a norm on the embeddings.
        learned_positions: rows of a table that is added to the embeddings; 0 means none.
        alibi: scores lose a slope times the distance, a slope a head.
        attention_scale: multiplies scores; None is 1 / sqrt(head_dim).
        attention_softcap, logit_softcap: c * tanh(s / c) of scores, of logits; None means uncapped.
        sinks: a learned logit a head that takes its share of the attention and gives nothing.
        experts: None means one dense MLP a layer.
    """

    architecture: str
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp_width: int
    vocab_size: int
    context: int
    attention: tuple[AttentionConfig, ...]
    norm: Norm
    norm_epsilon: float
    activation: Activation
    tied_embeddings: bool
    gated_mlp: bool = True
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    parallel_residual: bool = False
    shared_norm: bool = False
    head_norm: bool = False
    post_norms: bool = False
    embedding_scale: float = 1.0
    embedding_norm: bool = False
    learned_positions: int = 0
    alibi: bool = False
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    sinks: bool = False
    experts: ExpertsConfig | None = None

    @property
    def layers(self) -> int:
        return len(self.attention)

    def within(self, context: int) -> ModelConfig:
        """The same model for sequences of at most ``context`` tokens."""
        attention = (replace(layer, rope=layer.rope and layer.rope.within(context)) for layer in self.attention)
        return replace(self, context=context, attention=tuple(attention))


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """An encoder's shape, and how the vectors of a text's tokens become the text's one.

    ``pooling`` takes their mean, or the first or last token's; ``normalised``: the result has length 1. ``context``
    is in tokens, those that begin and end a text included.

    Attributes:
        ranks: it has a head that gives the first token's vector a score: how well the second of two texts answers the
            first. It makes no vectors then.
        segments: kinds of texts that it tells apart. With 2, the tokens of a second text are those of a second
            vocabulary, which follows the first in the embedding.
    """

    architecture: str
    layers: int
    width: int
    heads: int
    mlp_width: int
    vocab_size: int
    context: int
    norm_epsilon: float
    activation: Activation
    pooling: Pooling
    normalised: bool
    ranks: bool = False
    segments: int = 1

    def within(self, context: int) -> EncoderConfig:
        """The same: a table of positions serves shorter texts as it is."""
        return self


AnyConfig = ModelConfig | EncoderConfig
