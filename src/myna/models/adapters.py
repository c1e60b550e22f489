"""LoRA adapters as PEFT writes them -> low-rank additions to the weights of a Program.

Hu et al. 2021 (https://arxiv.org/abs/2106.09685): W becomes W + scale * B @ A. An adapter names its matrices after
modules of Hugging Face's model; which weight of the Program each one changes, and which rows of it where a file fuses
several, the family's layout knows already: B is read through the same sources as W, as if it were W.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from myna.errors import ModelFileError, UnsupportedParameter
from myna.formats import Kind, ModelFile, Tensor
from myna.formats.floats import as_bytes, to_float32
from myna.formats.jsonfile import read_object
from myna.formats.safetensors import SafetensorsFile
from myna.models.config import ModelConfig
from myna.models.decoder import build_decoder
from myna.models.families import FAMILIES
from myna.models.families.base import Layout
from myna.models.weights import Either, Place, Source, Transposed, layer_and_pattern, locate

MAX_RANK = 1024
MAX_PATTERNS = 4096
FLOATS = ("F32", "F16", "BF16")
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])(\.default)?\.weight")

Floats = NDArray[np.float32]
Additions = Mapping[str, tuple[Floats, Floats, float]]
"""By weight of the Program: A [rank, columns], B [rows, rank] and the scale, as the executor takes them."""


@dataclass(frozen=True, slots=True)
class LowRank:
    """What is added to one module: A [rank, in], B [out, rank], scale."""

    a: Floats
    b: Floats
    scale: float


def load_adapter(path: Path, config: ModelConfig, kind: Kind) -> Additions:
    """Read an adapter for a model.

    Args:
        path: a directory with adapter_config.json and adapter_model.safetensors.
        config: the model's.
        kind: of the file that the model was loaded from.

    Raises:
        ModelFileError: a file is missing, corrupt or does not fit the model.
        UnsupportedParameter: the adapter does what is not supported, by name.
    """
    family = FAMILIES.get(config.architecture)
    if family is None or family.huggingface is None:
        raise UnsupportedParameter(f"Models of the family {config.architecture} take no adapters.", param="adapter")
    settings = read_object(path / "adapter_config.json")
    check_settings(path, settings)
    with closing(SafetensorsFile(path / "adapter_model.safetensors")) as file:
        modules = read_modules(file, settings)
    return match_weights(path, modules, config, kind, family.huggingface)


def check_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Refuse what would be left out, by name. Raises UnsupportedParameter or ModelFileError."""
    if (method := settings.get("peft_type")) != "LORA":
        raise UnsupportedParameter(f"{path.name} is an adapter of the type {method!r:.40}; LORA is supported.")
    start = settings.get("init_lora_weights")
    refused = {
        "use_dora": settings.get("use_dora"),
        "use_qalora": settings.get("use_qalora"),
        "bias": settings.get("bias") not in (None, "none"),
        "lora_bias": settings.get("lora_bias"),
        "modules_to_save": settings.get("modules_to_save"),
        "trainable_token_indices": settings.get("trainable_token_indices"),
        "target_parameters": settings.get("target_parameters"),
        "layer_replication": settings.get("layer_replication"),
        # These change the model's own weights, which an adapter saved without conversion does not hold.
        "init_lora_weights": isinstance(start, str) and start.lower().startswith(("pissa", "olora", "loftq", "corda")),
    }
    for name, is_set in refused.items():
        if is_set:
            raise UnsupportedParameter(
                f"{path.name} cannot be used: its {name} is {settings.get(name)!r:.60}, which is not supported."
            )
    numbers: dict[str, Any] = {name: settings.get(name) for name in ("r", "lora_alpha")}
    pattern = settings.get("alpha_pattern") or {}
    is_named = isinstance(pattern, dict) and all(re.fullmatch(r"[\w.]+", key) for key in pattern)
    if not is_named or len(pattern) > MAX_PATTERNS:
        raise UnsupportedParameter(  # a pattern of a stranger's can take for ever to match, and so can too many
            f"{path.name} cannot be used: keys of its alpha_pattern must be names of modules, at most {MAX_PATTERNS}."
        )
    numbers |= {f"alpha_pattern of {key}": value for key, value in pattern.items()}
    for name, value in numbers.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e6:
            raise ModelFileError(path / "adapter_config.json", f"its {name} is {value!r:.40}, no number above 0")


def read_modules(file: SafetensorsFile, settings: Mapping[str, Any]) -> dict[str, LowRank]:
    """Both matrices of every module, by its name in Hugging Face's model. Raises ModelFileError."""
    sides: dict[str, dict[str, Floats]] = {}
    for tensor in file.tensors.values():
        named = _KEY.fullmatch(tensor.name)
        if named is None:
            raise ModelFileError(file.path, f"tensor {tensor.name!r} is no part of a LoRA adapter of linear layers")
        if tensor.type not in FLOATS or len(tensor.shape) != 2:
            raise ModelFileError(
                file.path,
                f"tensor {tensor.name!r}, {tensor.type} of shape {list(tensor.shape)}, is no matrix of floats",
            )
        with file.read(tensor) as data:
            values = np.array(to_float32(data, tensor.type), np.float32).reshape(tensor.shape)
        sides.setdefault(named["module"], {})[named["side"]] = values
    modules = {}
    for module, both in sides.items():
        a, b = both.get("A"), both.get("B")
        if a is None or b is None or a.shape[0] != b.shape[1] or not 1 <= a.shape[0] <= MAX_RANK:
            raise ModelFileError(file.path, f"module {module!r} has no two matrices of one rank from 1 to {MAX_RANK}")
        alpha = float(_of_module(module, settings.get("alpha_pattern") or {}, settings["lora_alpha"]))
        rank = a.shape[0]
        modules[module] = LowRank(a, b, alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank))
    if not modules:
        raise ModelFileError(file.path, "it has no tensors")
    return modules


def _of_module(module: str, values: Mapping[str, float], default: float) -> float:
    """The value for a module: of the first key that its name ends in, as PEFT has it; else the default."""
    return next((value for key, value in values.items() if f".{module}".endswith(f".{key}")), default)


def match_weights(
    path: Path, modules: Mapping[str, LowRank], config: ModelConfig, kind: Kind, layout: Layout
) -> Additions:
    """Which weights of the Program the modules change. Raises ModelFileError for a module that changes none."""
    bare = {_without(layout.prefixes, f"{module}.weight"): module for module in modules}
    found: dict[str, tuple[Floats, Floats, float]] = {}
    used: set[str] = set()
    for weight in build_decoder(config).weights.values():
        if weight.kind != "matrix":
            continue
        layer, pattern = layer_and_pattern(weight.name)
        source = layout.weights.get(pattern)
        name = None if source is None else next((n for n in _names(source, layer) if n in bare), None)
        if source is None or name is None or weight.name == "embedding":
            continue
        low = modules[bare[name]]
        b = _rows(path, name, low, source, config, layer)
        if kind == "gguf" and weight.name.endswith((".attention.q", ".attention.k")):
            b = _as_gguf(b, config)
        if low.a.shape[1] != weight.columns or b.shape[0] != weight.rows:
            raise ModelFileError(
                path,
                f"module {bare[name]!r} changes {b.shape[0]} x {low.a.shape[1]} weights, "
                f"but this model has {weight.rows} x {weight.columns} there",
            )
        found[weight.name] = (low.a, np.ascontiguousarray(b), low.scale)
        used.add(name)
    if unused := bare.keys() - used:
        raise ModelFileError(path, f"module {bare[min(unused)]!r} is none that can be changed in this model")
    return found


def _names(source: Source, layer: str) -> Iterator[str]:
    """Tensors that a source may read, for one layer."""
    if isinstance(source, str):
        yield source.format(layer)
    elif isinstance(source, Either):
        yield from _names(source.present, layer)
        yield from _names(source.absent, layer)
    elif (inner := getattr(source, "source", None)) is not None:
        yield from _names(inner, layer)


def _is_turned(source: Source) -> bool:
    inner = getattr(source, "source", None)
    return isinstance(source, Transposed) or (inner is not None and _is_turned(inner))


def _without(prefixes: tuple[str, ...], name: str) -> str:
    for prefix in prefixes:
        name = name.removeprefix(prefix)
    return name


def _rows(path: Path, name: str, low: LowRank, source: Source, config: ModelConfig, layer: str) -> Floats:
    """B as the Program's weight has its rows: read through the weight's own source."""
    b = np.ascontiguousarray(low.b.T if _is_turned(source) else low.b)
    tensor = Tensor(name, "F32", b.shape, 0, b.nbytes)
    place = Place(cast(ModelFile, _Lent(path, b)), {name: tensor}, config, layer)
    stored = locate(source, place)
    with stored.lend() as data:
        return np.array(to_float32(data, stored.type), np.float32).reshape(stored.shape)


def _as_gguf(b: Floats, config: ModelConfig) -> Floats:
    """The rows of q or k as GGUF files have them where rotary pairs are neighbours: from halves of heads to pairs."""
    if any(attention.rope is None or attention.rope.layout != "interleaved" for attention in config.attention):
        return b
    halves = b.reshape(-1, 2, config.head_dim // 2, b.shape[1])  # [heads, half, pair, rank]
    return halves.swapaxes(1, 2).reshape(b.shape)


@dataclass(frozen=True, slots=True)
class _Lent:
    """A file of one tensor, for sources to read from."""

    path: Path
    content: Floats

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        return nullcontext(as_bytes(self.content))
