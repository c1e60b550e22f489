"""Which architectures Myna runs: one declaration a family."""

from __future__ import annotations

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.families import (
    bert,
    bloom,
    gemma,
    gpt2,
    gpt_oss,
    gptj,
    gptneox,
    llama,
    mistral,
    mixtral,
    phi3,
    qwen,
    qwen3moe,
    smollm3,
)
from myna.models.families.base import Family, Layout

__all__ = ["FAMILIES", "Family", "Layout", "layout_of"]

FAMILIES: dict[str, Family] = {
    "bert": bert.BERT,
    "bloom": bloom.FAMILY,
    "gemma2": gemma.GEMMA2,
    "gemma3": gemma.GEMMA3,
    "gemma3_text": gemma.GEMMA3,
    "gpt-oss": gpt_oss.FAMILY,
    "gpt2": gpt2.FAMILY,
    "gpt_neox": gptneox.FAMILY,
    "gpt_oss": gpt_oss.FAMILY,
    "gptj": gptj.FAMILY,
    "gptneox": gptneox.FAMILY,
    "llama": llama.FAMILY,
    "mistral": mistral.FAMILY,
    "mixtral": mixtral.FAMILY,
    "phi3": phi3.FAMILY,
    "qwen2": qwen.QWEN2,
    "qwen3": qwen.QWEN3,
    "qwen3_moe": qwen3moe.FAMILY,
    "qwen3moe": qwen3moe.FAMILY,
    "roberta": bert.ROBERTA,
    "smollm3": smollm3.FAMILY,
    "xlm-roberta": bert.ROBERTA,
}
"""By what GGUF files (general.architecture) and Hugging Face's (model_type) call them."""

KEYS = {"gguf": "general.architecture", "huggingface": "model_type"}


def layout_of(file: ModelFile) -> Layout:
    """How to read a file. Raises ModelFileError naming an unknown architecture and the known ones of its kind."""
    kind = file.kind
    layouts = {name: getattr(family, kind) for name, family in FAMILIES.items() if getattr(family, kind) is not None}
    architecture = file.metadata.string(KEYS[kind])
    if architecture not in layouts:
        raise ModelFileError(
            file.path, f"its architecture {architecture!r} is not supported; supported: {', '.join(sorted(layouts))}"
        )
    layout: Layout = layouts[architecture]
    return layout
