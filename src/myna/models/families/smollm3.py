"""SmolLM3 (https://huggingface.co/blog/smollm3): Llama with every fourth layer free of rotary positions.

Such layers (NoPE) are those of Yang et al. 2025 (https://arxiv.org/abs/2501.18795).
"""

from __future__ import annotations

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface
from myna.models.families.base import Family, Layout
from myna.models.families.layers import unturned


def from_gguf(file: ModelFile) -> ModelConfig:
    """As in Llama's files, rotary pairs are neighbours."""
    config = gguf.decoder_config(file, "smollm3", norm="rms", activation="silu", rope="interleaved")
    return unturned(config, [(layer + 1) % 4 == 0 for layer in range(config.layers)])


def from_huggingface(file: ModelFile) -> ModelConfig:
    """``no_rope_layers`` says with a zero which layers are free; without it, every ``no_rope_layer_interval``-th is."""
    read, bias = file.metadata, file.metadata.boolean("attention_bias", False)
    huggingface.expect(file, {"use_sliding_window": False})
    config = huggingface.decoder_config(
        file,
        theta=2e6,
        tied_embeddings=read.boolean("tie_word_embeddings", True),
        qkv_bias=bias,
        output_bias=bias,
        mlp_bias=read.boolean("mlp_bias", False),
    )
    if "no_rope_layers" not in read:
        interval = read.integer("no_rope_layer_interval", 4, minimum=1, maximum=1024)
        return unturned(config, [(layer + 1) % interval == 0 for layer in range(config.layers)])
    turned = read.integers("no_rope_layers")
    if len(turned) < config.layers:
        raise ModelFileError(file.path, f"no_rope_layers has {len(turned)} entries for {config.layers} layers")
    return unturned(config, [not here for here in turned[: config.layers]])


FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS, consumed=frozenset({gguf.ROPE_FACTORS})),
    huggingface=huggingface.layout(from_huggingface),
)
