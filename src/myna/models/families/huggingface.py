"""What Hugging Face's config.json says of most decoders, in Llama's names, which others have taken over.

Nested objects arrive flattened: ``rope_scaling.factor``. Keys with null arrive as if they were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import Activation, AttentionConfig, ExpertsConfig, ModelConfig, Norm, RopeLayout
from myna.models.families.base import Layout
from myna.models.families.huggingface_rope import rope_config, stretched_context
from myna.models.weights import Source

LINEARS = {
    "attention.q": "self_attn.q_proj",
    "attention.k": "self_attn.k_proj",
    "attention.v": "self_attn.v_proj",
    "attention.output": "self_attn.o_proj",
    "mlp.gate": "mlp.gate_proj",
    "mlp.up": "mlp.up_proj",
    "mlp.down": "mlp.down_proj",
}

WEIGHTS: dict[str, Source] = {
    "embedding": "embed_tokens.weight",
    "output_norm": "norm.weight",
    "head": "lm_head.weight",
    **{f"layers.{{}}.{weight}": f"layers.{{}}.{name}.weight" for weight, name in LINEARS.items()},
    **{f"layers.{{}}.{weight}.bias": f"layers.{{}}.{name}.bias" for weight, name in LINEARS.items()},
    "layers.{}.attention_norm": "layers.{}.input_layernorm.weight",
    "layers.{}.mlp_norm": "layers.{}.post_attention_layernorm.weight",
    "layers.{}.attention.q_norm": "layers.{}.self_attn.q_norm.weight",
    "layers.{}.attention.k_norm": "layers.{}.self_attn.k_norm.weight",
}
"""Llama's; ``model.`` in front of most is taken off."""

ACTIVATIONS: dict[str, Activation] = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}

EPSILON: dict[Norm, str] = {"rms": "rms_norm_eps", "layer": "layer_norm_epsilon"}
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")


def layout(configure: Callable[[ModelFile], ModelConfig], weights: Mapping[str, Source] = WEIGHTS) -> Layout:
    """Llama's layout: a head that repeats tied embeddings and precomputed frequencies say nothing."""
    ignored = frozenset({"lm_head.weight", "*.rotary_emb.inv_freq"})
    return Layout(configure, weights, ignored=ignored, prefixes=("model.",))


def decoder_config(
    file: ModelFile,
    *,
    section: str = "",
    aliases: Mapping[str, tuple[str, ...]] | None = None,
    defaults: Mapping[str, int | float] | None = None,
    norm: Norm = "rms",
    theta: float | None = 10_000.0,
    share: float = 1.0,
    layout: RopeLayout = "half",
    experts: ExpertsConfig | None = None,
    mlp_ratio: int | None = None,
    quantised: Sequence[str] = (),
    **quirks: Any,
) -> ModelConfig:
    """A decoder as its config.json describes it, all layers attending alike.

    Args:
        file: the model's directory.
        section: what the keys begin with, such as ``text_config.``.
        aliases: what else a key may be called; these names come first.
        defaults: values of keys that the family's files may leave out.
        norm: kind of the norms.
        theta: rotary base where the file says none; None: the model has no rotary positions.
        share: of each head's dimensions that turn, where the file does not say.
        layout: which rotary pairs turn together.
        experts: the mixture that the family has found; None: experts are refused.
        mlp_ratio: width of the MLP over that of the model, where the file does not say.
        quantised: quantisation methods that the family's sources understand.
        quirks: further fields of `ModelConfig`, or other values than the keys say.

    Raises:
        ModelFileError: naming the key that is missing, impossible or not supported.
    """
    read, names, absent = file.metadata, aliases or {}, defaults or {}

    def integer(name: str, default: int | None = None, *, minimum: int = 1, maximum: int) -> int:
        key = first_key(file, [section + alias for alias in (*names.get(name, ()), name)])
        default = default if name not in absent else int(absent[name])
        return read.integer(key, default, minimum=minimum, maximum=maximum)

    refuse_quantised(file, quantised)
    if experts is None:
        refuse_experts(file, section)
    width = integer("hidden_size", maximum=2**20)
    heads = integer("num_attention_heads", maximum=1024)
    kv_heads = integer("num_key_value_heads", heads, maximum=heads)
    if heads % kv_heads:
        raise ModelFileError(file.path, f"{heads} attention heads cannot share {kv_heads} KV heads evenly")
    head_dim = integer("head_dim", width // heads, minimum=2, maximum=1024)
    layers = integer("num_hidden_layers", maximum=1024)
    context = integer("max_position_embeddings", maximum=2**26)
    rope = None
    if theta is not None:
        rope = rope_config(file, head_dim, context, section=section, theta=theta, share=share, layout=layout)
        context = stretched_context(file, context, section)
    epsilon = first_key(file, [section + alias for alias in (*names.get(EPSILON[norm], ()), EPSILON[norm])])
    fields: dict[str, Any] = {
        "architecture": read.string(f"{section}model_type"),
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim,
        "mlp_width": integer("intermediate_size", mlp_ratio and mlp_ratio * width, maximum=2**22),
        "vocab_size": integer("vocab_size", maximum=2**24),
        "context": context,
        "attention": (AttentionConfig(rope),) * layers,
        "norm": norm,
        "norm_epsilon": read.number(epsilon, absent.get(EPSILON[norm]), minimum=1e-12, maximum=1.0),
        "activation": quirks.get("activation") or activation(file, section, names.get("hidden_act", ())),
        "tied_embeddings": False,
        "experts": experts,
    }
    return ModelConfig(**(fields | quirks))


def activation(
    file: ModelFile, section: str = "", aliases: Sequence[str] = (), default: str | None = None
) -> Activation:
    """The MLP's, by Hugging Face's name."""
    key = first_key(file, [section + name for name in (*aliases, "hidden_act")])
    name = file.metadata.string(key, default)
    if name not in ACTIVATIONS:
        raise ModelFileError(
            file.path, f"its activation {name!r} ({key}) is not supported; supported: {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name]


def expect(file: ModelFile, switches: Mapping[str, bool]) -> None:
    """Raise ModelFileError naming a switch that is set otherwise; absent ones are as expected."""
    for key, expected in switches.items():
        if file.metadata.boolean(key, expected) != expected:
            raise ModelFileError(file.path, f"{key} is {not expected}, which is not supported")


def first_key(file: ModelFile, keys: Sequence[str]) -> str:
    """The first of ``keys`` that the file has, else the first."""
    return next((key for key in keys if key in file.metadata), keys[0])


def refuse_quantised(file: ModelFile, supported: Sequence[str]) -> None:
    """Weights that were quantised in a way of their own cannot be read as what they seem to be."""
    key = "quantization_config.quant_method"
    if not any(name.startswith("quantization_config.") for name in file.metadata):
        return
    method = file.metadata.string(key)
    if method not in supported:
        raise ModelFileError(
            file.path, f"its weights are quantised by {method!r} ({key}), which is not supported; load the original"
        )


def refuse_experts(file: ModelFile, section: str) -> None:
    """A dense family has none."""
    for name in EXPERTS:
        count = file.metadata.integer(section + name, 0)
        if count:
            raise ModelFileError(
                file.path, f"a mixture of experts ({section}{name} is {count}) is not supported in this family"
            )


def sliding_window(file: ModelFile, context: int, section: str = "", default: int = 0) -> int | None:
    """How many tokens back a windowed layer sees; None where that is no less than the whole context."""
    window = file.metadata.integer(f"{section}sliding_window", default, maximum=2**30)
    return window if 0 < window < context else None


def windowed_layers(file: ModelFile, default: Sequence[bool], section: str = "") -> list[bool]:
    """Which layers have a sliding window: as ``layer_types`` says, where it is there, else ``default``."""
    key = f"{section}layer_types"
    if key not in file.metadata:
        return list(default)
    types = file.metadata.strings(key)
    if len(types) != len(default):
        raise ModelFileError(file.path, f"{key} has {len(types)} entries for {len(default)} layers")
    for kind in types:
        if kind not in ("sliding_attention", "full_attention"):
            raise ModelFileError(file.path, f"layers of type {kind[:60]!r} ({key}) are not supported")
    return [kind == "sliding_attention" for kind in types]
