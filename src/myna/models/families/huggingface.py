"""What Hugging Face's config.json says of most decoders, in Llama's names, which others have taken over.

Nested objects arrive flattened: ``rope_scaling.factor``. Keys with null arrive as if they were not there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import Activation, AttentionConfig, ExpertsConfig, ModelConfig, Norm, RopeConfig, RopeLayout
from myna.models.families.base import Layout
from myna.models.families.rotary import linear_factors, llama3_factors, longrope_scale, yarn_factors, yarn_scale
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


def rope_config(
    file: ModelFile,
    head_dim: int,
    context: int,
    *,
    section: str = "",
    places: Sequence[str] = ("rope_parameters.", "rope_scaling."),
    bases: Sequence[str] = ("rope_theta", "rotary_emb_base"),
    theta: float = 10_000.0,
    share: float = 1.0,
    layout: RopeLayout = "half",
) -> RopeConfig:
    """How rotary positions turn.

    Args:
        file: the model's directory.
        head_dim: dimensions a head.
        context: the longest sequence, for what is relative to it.
        section: what all keys begin with.
        places: where the parameters may be: in one object since Transformers 5, in two places before.
        bases: what the base is called outside of them.
        theta: the base where the file says none.
        share: of the head's dimensions that turn, where the file does not say.
        layout: which pairs turn together.
    """
    read = file.metadata
    places = sorted(places, key=lambda place: not any(name.startswith(section + place) for name in read))

    def key(name: str, *outside: str) -> str:
        return first_key(file, [section + found for found in (*(place + name for place in places), *outside)])

    share = read.number(
        key("partial_rotary_factor", "partial_rotary_factor", "rotary_pct"), share, minimum=0.0, maximum=1.0
    )
    dims = int(head_dim * share)
    if dims < 2 or dims % 2:
        raise ModelFileError(file.path, f"{dims} of {head_dim} dimensions turn, expected an even number")
    base = read.number(key("rope_theta", *bases), theta, minimum=2.0, maximum=1e12)
    plain = RopeConfig(dims, base, layout)
    type_key = first_key(file, [key("rope_type"), key("type")])
    kind = read.string(type_key, "default")
    if kind == "default":
        return plain

    original_key = key("original_max_position_embeddings", "original_max_position_embeddings")
    original = read.integer(original_key, context, minimum=2, maximum=2**26)
    if kind in ("longrope", "su") or key("long_factor") in read:
        return _longrope(file, plain, key, context, original)
    factor = read.number(key("factor"), None, minimum=1e-6, maximum=1e6) if kind != "dynamic" else 1.0
    match kind:
        case "linear":
            return RopeConfig(dims, base, layout, linear_factors(dims, factor))
        case "llama3":
            low = read.number(key("low_freq_factor"), minimum=1e-3, maximum=1e6)
            high = read.number(key("high_freq_factor"), minimum=low, maximum=1e6)
            factors = llama3_factors(dims, base, factor=factor, low=low, high=high, original=original)
            return RopeConfig(dims, base, layout, factors)
        case "yarn":
            fast = read.number(key("beta_fast"), 32.0, minimum=1e-3, maximum=1e6)
            slow = read.number(key("beta_slow"), 1.0, minimum=1e-3, maximum=1e6)
            whole = read.boolean(key("truncate"), True)
            factors = yarn_factors(dims, base, factor=factor, original=original, fast=fast, slow=slow, truncate=whole)
            return RopeConfig(dims, base, layout, factors, _yarn_scale(file, key, factor))
        case "dynamic":
            raise ModelFileError(
                file.path,
                f"rotary scaling 'dynamic' ({type_key}) is not supported: it turns what is already in the cache anew "
                "as a sequence grows; choose 'linear' or 'yarn'",
            )
        case _:
            raise ModelFileError(file.path, f"rotary scaling {kind!r} ({type_key}) is not supported")


def _yarn_scale(file: ModelFile, key: Callable[[str], str], factor: float) -> float:
    read = file.metadata
    weights = [read.number(key(name), 0.0, minimum=0.0, maximum=1e3) for name in ("mscale", "mscale_all_dim")]
    scale = yarn_scale(factor, weights[0]) / yarn_scale(factor, weights[1]) if all(weights) else yarn_scale(factor)
    return read.number(key("attention_factor"), scale, minimum=1e-3, maximum=1e3)


def _longrope(file: ModelFile, plain: RopeConfig, key: Callable[[str], str], context: int, original: int) -> RopeConfig:
    """Two lists of factors: one for sequences that fit the original context, one for longer ones."""
    lists = []
    for name in ("long_factor", "short_factor"):
        factors = tuple(file.metadata.numbers(key(name)))
        if len(factors) != plain.dims // 2 or not all(1e-6 < factor < 1e6 for factor in factors):
            raise ModelFileError(
                file.path, f"{key(name)} has {len(factors)} factors, expected {plain.dims // 2} positive numbers"
            )
        lists.append(factors)
    factor = file.metadata.number(key("factor"), context / original, minimum=1e-6, maximum=1e6)
    scale = file.metadata.number(key("attention_factor"), longrope_scale(factor, original), minimum=1e-3, maximum=1e3)
    return RopeConfig(plain.dims, plain.base, plain.layout, lists[0], scale, lists[1], original)
