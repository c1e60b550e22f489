"""gpt-oss 20B and 120B; OpenAI 2025 (https://arxiv.org/abs/2508.10925).

Attention sinks, a window of 128 tokens in every other layer, YaRN, biases everywhere, and experts in MXFP4 whose
units are clamped. Hugging Face's files interleave the rows of gate and up, whether the experts are packed (``_blocks``
and ``_scales``, [experts, out, groups, 16]) or plain ([experts, in, out]).
"""

from __future__ import annotations

from dataclasses import replace

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.experts import read_experts
from myna.models.families.layers import windowed
from myna.models.weights import Either, Flat, Mxfp4, Source, Strided, Transposed

ALPHA, LIMIT, WINDOW = 1.702, 7.0, 128
"""The released models'; GGUF files do not state the first two."""

EXPERTS = "layers.{}.mlp.experts"
GATE_UP: Source = Either(
    f"{EXPERTS}.gate_up_proj_blocks",
    Flat(Mxfp4(f"{EXPERTS}.gate_up_proj_blocks", f"{EXPERTS}.gate_up_proj_scales")),
    Flat(Transposed(f"{EXPERTS}.gate_up_proj")),
)  # [experts * 2 * mlp_width, width]
GATE_UP_BIAS: Source = Flat(f"{EXPERTS}.gate_up_proj_bias", vector=True)

WEIGHTS: dict[str, Source] = huggingface.WEIGHTS | {
    "layers.{}.attention.sinks": "layers.{}.self_attn.sinks",
    "layers.{}.mlp.router": "layers.{}.mlp.router.weight",
    "layers.{}.mlp.router.bias": "layers.{}.mlp.router.bias",
    "layers.{}.mlp.experts.gate": Strided(GATE_UP, 0, 2),
    "layers.{}.mlp.experts.gate.bias": Strided(GATE_UP_BIAS, 0, 2),
    "layers.{}.mlp.experts.up": Strided(GATE_UP, 1, 2),
    "layers.{}.mlp.experts.up.bias": Strided(GATE_UP_BIAS, 1, 2),
    "layers.{}.mlp.experts.down": Either(
        f"{EXPERTS}.down_proj_blocks",
        Flat(Mxfp4(f"{EXPERTS}.down_proj_blocks", f"{EXPERTS}.down_proj_scales")),
        Flat(Transposed(f"{EXPERTS}.down_proj")),
    ),
    "layers.{}.mlp.experts.down.bias": Flat(f"{EXPERTS}.down_proj_bias", vector=True),
}

GGUF_WEIGHTS: dict[str, Source] = gguf.WEIGHTS | {"layers.{}.mlp_norm": "blk.{}.post_attention_norm.weight"}


def from_gguf(file: ModelFile) -> ModelConfig:
    """The first layer has a window, the second none, and so on."""
    config = gguf.decoder_config(
        file,
        "gpt-oss",
        norm="rms",
        activation="silu",
        rope="half",
        renormalise=True,
        truncate=False,
        qkv_bias=True,
        output_bias=True,
        sinks=True,
        mlp_width=file.metadata.integer("gpt-oss.expert_feed_forward_length", minimum=1, maximum=2**22),
    )
    if config.experts is None:
        raise ModelFileError(file.path, "it has no experts (gpt-oss.expert_count)")
    experts = replace(config.experts, bias=True, activation="clamped_silu", alpha=ALPHA, limit=LIMIT)
    window = gguf.sliding_window(file, "gpt-oss", config.context, WINDOW)
    return windowed(replace(config, experts=experts), window, [layer % 2 == 0 for layer in range(config.layers)])


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Likewise, unless ``layer_types`` says otherwise."""
    read = file.metadata
    bias = read.boolean("attention_bias", True)
    config = huggingface.decoder_config(
        file,
        theta=150_000.0,
        defaults={"head_dim": 64},
        experts=read_experts(
            file,
            renormalise=True,
            bias=True,
            activation="clamped_silu",
            alpha=read.number("swiglu_alpha", ALPHA, minimum=1e-3, maximum=1e3),
            limit=read.number("swiglu_limit", LIMIT, minimum=1e-3, maximum=1e6),
        ),
        quantised=("mxfp4",),
        qkv_bias=bias,
        output_bias=bias,
        sinks=True,
        tied_embeddings=read.boolean("tie_word_embeddings", False),
    )
    window = huggingface.sliding_window(file, config.context, default=WINDOW)
    local = huggingface.windowed_layers(file, [layer % 2 == 0 for layer in range(config.layers)])
    return windowed(config, window, local)


FAMILY = Family(
    gguf=Layout(from_gguf, GGUF_WEIGHTS),
    huggingface=huggingface.layout(from_huggingface, WEIGHTS),
)
