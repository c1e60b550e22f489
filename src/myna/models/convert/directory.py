"""A checkpoint of any kind -> one directory as Hugging Face's libraries save it: config.json and model.safetensors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from myna.formats import Metadata, ModelFile
from myna.formats.jsonfile import read_object
from myna.formats.written import Written
from myna.models.convert.tensor_types import lender

DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}

BESIDE = {
    name: name
    for name in (
        "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "vocab.txt", "tekken.json", "chat_template.jinja", "chat_template.json",
        "generation_config.json", "modules.json", "sentence_bert_config.json", "LICENSE", "LICENSE.txt", "README.md",
    )
} | {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}  # fmt: skip
"""What is copied with the weights, and what it is called there; OpenAI's names are for the same files."""

MODULES = "[0-9]*_*/config.json"
"""Folders of sentence-transformers, as of how vectors are pooled."""


@dataclass(frozen=True, slots=True)
class DirectoryConversion:
    """What a directory is to hold: configuration, tensors, and further files by name, to be copied or as text."""

    configuration: dict[str, Any]
    tensors: list[Written]
    copies: dict[str, Path]
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return sum(tensor.bytes for tensor in self.tensors)


def plan_directory(file: ModelFile, kind: str | None = None) -> DirectoryConversion:
    """What the directory of a checkpoint is to hold; None keeps each tensor's own precision."""
    tensors = [
        Written(tensor.name, type_, tensor.shape, lender(file, tensor, type_))
        for tensor in file.tensors.values()
        for type_ in [kind if kind and tensor.type in DTYPES else tensor.type]
    ]
    copies: dict[str, Path] = {}
    for directory in file.directories:
        for name, called in BESIDE.items():
            if (directory / name).is_file():
                copies.setdefault(called, directory / name)
        for module in sorted(directory.glob(MODULES)):
            copies.setdefault(module.relative_to(directory).as_posix(), module)
    return DirectoryConversion(_configuration(file, kind), tensors, copies)


def _configuration(file: ModelFile, kind: str | None) -> dict[str, Any]:
    path = file.path / "config.json"
    configuration = read_object(path) if path.is_file() else nested(file.metadata)
    configuration.pop("torch_dtype", None)
    types = [tensor.type for tensor in file.tensors.values() if tensor.type in DTYPES]
    if kind or types:
        configuration["dtype"] = DTYPES[kind or max(types, key=types.count)]
    return configuration


def nested(metadata: Metadata) -> dict[str, Any]:
    """The way back of `myna.formats.jsonfile.flatten`."""
    whole: dict[str, Any] = {}
    for key, value in metadata.items():
        *parents, last = key.split(".")
        inner = whole
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = value if isinstance(value, bool | int | float | str) else list(value.values())
    return whole


def write_beside(plan: DirectoryConversion, directory: Path) -> None:
    """Everything but the weights."""
    (directory / "config.json").write_text(json.dumps(plan.configuration, indent=2) + "\n", encoding="utf-8")
    for name, source in plan.copies.items():
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(source.read_bytes())
    for name, text in plan.texts.items():
        (directory / name).write_text(text, encoding="utf-8")
