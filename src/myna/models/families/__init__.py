"""Which architectures Myna runs: one declaration a family."""

from __future__ import annotations

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.families import bert, llama
from myna.models.families.base import Family, Layout

__all__ = ["FAMILIES", "Family", "Layout", "layout_of"]

FAMILIES: dict[str, Family] = {
    "bert": bert.BERT,
    "llama": llama.FAMILY,
    "roberta": bert.ROBERTA,
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
