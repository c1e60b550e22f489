"""Qwen 3 with a mixture of experts, such as 30B-A3B; Yang et al. 2025 (https://arxiv.org/abs/2505.09388)."""

from __future__ import annotations

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.config import ModelConfig
from myna.models.families import gguf, huggingface, qwen
from myna.models.families.base import Family, Layout
from myna.models.families.experts import read_experts
from myna.models.weights import Source, Stacked

WEIGHTS: dict[str, Source] = huggingface.WEIGHTS | {
    "layers.{}.mlp.router": "layers.{}.mlp.gate.weight",
    **{
        f"layers.{{}}.mlp.experts.{part}": Stacked(f"layers.{{}}.mlp.experts.{{expert}}.{part}_proj.weight")
        for part in ("gate", "up", "down")
    },
}


def from_gguf(file: ModelFile) -> ModelConfig:
    """The format has no key for whether shares are renormalised: released models do."""
    return gguf.decoder_config(
        file,
        "qwen3moe",
        norm="rms",
        activation="silu",
        rope="half",
        renormalise=file.metadata.boolean("qwen3moe.expert_weights_norm", True),
        head_norm=True,
        mlp_width=file.metadata.integer("qwen3moe.expert_feed_forward_length", minimum=1, maximum=2**22),
    )


def from_huggingface(file: ModelFile) -> ModelConfig:
    """Layers without experts are possible by the configuration; no released model has any."""
    read = file.metadata
    if read.integer("decoder_sparse_step", 1) != 1 or (
        "mlp_only_layers" in read and read.array("mlp_only_layers").count
    ):
        raise ModelFileError(
            file.path, "layers without experts (decoder_sparse_step, mlp_only_layers) are not supported"
        )
    bias = read.boolean("attention_bias", False)
    return qwen.decoder_config(
        file,
        head_norm=True,
        qkv_bias=bias,
        output_bias=bias,
        defaults={"head_dim": 128},
        experts=read_experts(file, renormalise=read.boolean("norm_topk_prob", False)),
        mlp_width=read.integer("moe_intermediate_size", minimum=1, maximum=2**22),
    )


FAMILY = Family(
    gguf=Layout(from_gguf, gguf.WEIGHTS, consumed=frozenset({gguf.ROPE_FACTORS})),
    huggingface=huggingface.layout(from_huggingface, WEIGHTS),
)
