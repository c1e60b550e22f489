"""What a model is and what it would take to run it, from its files' descriptions alone: no weights are loaded."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from myna.formats import ModelFile, open_model
from myna.hub.entries import known_templates
from myna.models.config import AnyConfig, ModelConfig
from myna.models.description import FileDescription, UndeclaredDescription
from myna.models.dialects.load import authors_dialect
from myna.models.families import FAMILIES, layout_of
from myna.models.loader import build_program, kind_of, title_of, without_padding
from myna.models.packing import describe_quantisation, plan_packing, weight_bytes, with_quantisation
from myna.models.tokenizer import chat_template, load_tokenizer

if TYPE_CHECKING:
    from myna.settings import Quantisation

QUANTISATIONS: tuple[Quantisation, ...] = ("w4", "w8", "bf16", "f32")
MAX_README = 2**16
KV_BYTES = 2
"""Of one number in the KV cache, as float16."""


def describe_model(path: str | Path) -> FileDescription:
    """Describe whatever `open_model` opens. Raises ModelFileError as loading it would."""
    with closing(open_model(path)) as file:
        layout = layout_of(file)
        tokenizer = load_tokenizer(file)
        config = layout.configure(file)
        if file.kind == "huggingface":
            config = without_padding(config, tokenizer)
        program = build_program(file, config)
        own = plan_packing(file, layout, program, config)
        plans = {"auto": own} | {quant: with_quantisation(own, quant) for quant in QUANTISATIONS}
        decoder = config if isinstance(config, ModelConfig) else None
        experts = decoder.experts if decoder else None
        return FileDescription(
            title=title_of(file),
            kind=kind_of(config),
            architecture=config.architecture,
            parameters=sum(packing.weight.rows * packing.weight.columns for packing in own),
            layers=config.layers,
            width=config.width,
            heads=config.heads,
            kv_heads=decoder.kv_heads if decoder else config.heads,
            head_dim=decoder.head_dim if decoder else config.width // config.heads,
            mlp_width=config.mlp_width,
            experts=experts.count if experts else 0,
            experts_chosen=experts.chosen if experts else 0,
            window=max((layer.window or 0 for layer in decoder.attention), default=0) if decoder else 0,
            vocabulary=config.vocab_size,
            context=config.context,
            stored=stored_types(file),
            loaded_as=describe_quantisation(own),
            memory={name: weight_bytes(plan) for name, plan in plans.items()},
            kv_bytes_per_1000_tokens=1000 * kv_bytes_per_token(config),
            dialect=dialect_of(file) if decoder else None,
            template=(chat_template(file) or None) if decoder else None,
            infill=tokenizer.infill is not None,
            licence=stated_licence(file),
        )


def describe_any(path: str | Path) -> FileDescription | UndeclaredDescription:
    """Describe a model of any family. Raises ModelFileError where there is none."""
    with closing(open_model(path)) as file:
        family = file.metadata.get("model_type")
        if file.kind == "gguf" or not isinstance(family, str) or is_declared(family):
            return describe_model(path)
        return UndeclaredDescription(
            title=title_of(file),
            architecture=family[:100],
            parameters=sum(tensor.elements for tensor in file.tensors.values()),
            stored=stored_types(file),
            runs_on='PyTorch (pip install "myna[torch]")',
            licence=stated_licence(file),
        )


def is_declared(model_type: str) -> bool:
    """Whether checkpoints of that family run on Myna's own kernels."""
    family = FAMILIES.get(model_type)
    return family is not None and family.huggingface is not None


def dialect_of(file: ModelFile) -> str:
    """How the model is talked to: the name of a dialect, or whose the template is."""
    template = chat_template(file)
    if not template:
        return authors_dialect(file) or "plain"
    known = hashlib.sha256(template.encode()).hexdigest() in known_templates()
    return f"its own chat template{', which is known' if known else ''}"


def stored_types(file: ModelFile) -> dict[str, int]:
    """Bytes of each type among the file's tensors, the largest first."""
    sizes: dict[str, int] = {}
    for tensor in file.tensors.values():
        sizes[tensor.type] = sizes.get(tensor.type, 0) + tensor.bytes
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def kv_bytes_per_token(config: AnyConfig) -> int:
    """What a token takes in the KV cache as float16, all layers together; encoders keep none."""
    if not isinstance(config, ModelConfig):
        return 0
    return 2 * config.layers * config.kv_heads * config.head_dim * KV_BYTES


def stated_licence(file: ModelFile) -> str | None:
    """What the files say of their licence: GGUF by a key, checkpoints in the first lines of their README."""
    stated = file.metadata.get("general.license")
    if isinstance(stated, str):
        return stated[:100]
    for directory in file.directories:
        try:
            with (directory / "README.md").open(encoding="utf-8", errors="replace") as readme:
                lines = readme.read(MAX_README).split("\n")
        except OSError:
            continue
        if lines[0].strip() == "---":
            said: dict[str, str] = {}
            for line in lines[1:]:
                if line.strip() == "---":
                    break
                key, _, value = line.partition(":")
                said.setdefault(key, value.strip().strip("'\"")[:100])
            # "other" is the Hub's word for a licence that it does not know; its name stands beside it.
            stated = said.get("license")
            if found := said.get("license_name") if stated == "other" else stated:
                return found
    return None
