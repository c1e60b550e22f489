"""Which tensor of a file becomes which weight of a Program, in which packed format, and how large that is."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from myna.errors import ModelFileError, ModelTooLarge
from myna.formats import ModelFile, Tensor
from myna.models.config import AnyConfig
from myna.models.families import Layout
from myna.models.program import Program, Weight
from myna.models.weights import Place, Stored, layer_and_pattern, locate, slice_rows

if TYPE_CHECKING:
    # pydantic would cost the engine process a quarter of a second of its start.
    from myna.settings import Quantisation

TARGETS = {
    "Q4_1": "w4",
    "Q4_0": "w4s",
    "Q4_K": "w4",
    "Q2_K": "w8",
    "Q3_K": "w8",
    "Q5_0": "w8",
    "Q5_1": "w8",
    "Q5_K": "w8",
    "Q6_K": "w8",
    "Q8_0": "w8",
    "IQ4_NL": "w8",
    "MXFP4": "w8",
    "BF16": "bf16",
    "F16": "f32",
    "F32": "f32",
}
"""The smallest packed format that keeps a file type's precision; docs/decisions/024 has the errors.

bf16 would cut three bits off a float16."""

VOCABULARY = ("embedding", "head", "head.bias")
"""Weights with a row a token; rows beyond the tokenizer's vocabulary are padding and stay where they are."""

EXACT = ("position_embedding", ".mlp.router")
"""Small matrices that keep the file's precision whatever is asked for: a rounded router picks other experts."""

GROUP = 32
"""Weights that share a scale; the packed integer formats need rows of whole groups."""

SMALLER: tuple[Quantisation, ...] = ("w8", "w4")
"""What to suggest where a model does not fit, the more precise first."""

COMFORTABLE = 0.75
"""Share of the free memory that weights may take before ``auto`` gives up precision; the KV cache needs some too."""

GROUP_BYTES = {"w4": 20, "w4s": 18, "w8": 34, "bf16": 64, "f32": 128}


@dataclass(frozen=True, slots=True)
class Packing:
    """One step of loading: what is stored there becomes that weight in format ``target``."""

    weight: Weight
    stored: Stored
    target: str

    @property
    def bytes(self) -> int:
        """Packed size, without the padding of an instruction set."""
        return -(-self.weight.rows * self.weight.columns // GROUP) * GROUP_BYTES[self.target]

    @property
    def order(self) -> tuple[int, int]:
        """Where the disk meets it: the file, the byte."""
        first = self.stored.tensors[0]
        return first.part, first.offset


def plan_packing(
    file: ModelFile,
    layout: Layout,
    program: Program,
    config: AnyConfig,
    quant: Quantisation = "auto",
) -> list[Packing]:
    """Find every weight, in the file's order.

    Args:
        file: where the tensors are.
        layout: what they are called, and how they are stored.
        program: what is needed.
        config: the sizes that sources ask for.
        quant: the format of all matrices, or ``auto`` for the smallest that keeps the file's precision.

    Raises:
        ModelFileError: a tensor is missing, surplus, of the wrong shape or of a type without a packed format.
    """
    place = Place(file, bare_names(file, layout), config)
    plan = []
    for weight in program.weights.values():
        stored = find_weight(place, layout, weight)
        if stored.type not in TARGETS:
            raise ModelFileError(
                file.path,
                f"tensor {stored.name!r} is quantised as {stored.type}, which is not supported; "
                f"supported: {', '.join(TARGETS)}",
            )
        plan.append(Packing(weight, stored, _target(weight, stored.type, quant)))
    _refuse_surplus(place, layout, plan)
    return sorted(plan, key=lambda packing: packing.order)


def bare_names(file: ModelFile, layout: Layout) -> dict[str, Tensor]:
    """The file's tensors without what their names may begin with. Raises ModelFileError where two become one."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in file.tensors.items():
        for prefix in layout.prefixes:
            name = name.removeprefix(prefix)
        if name in tensors:
            raise ModelFileError(file.path, f"tensors {tensors[name].name!r} and {tensor.name!r} are the same")
        tensors[name] = tensor
    return tensors


def find_weight(place: Place, layout: Layout, weight: Weight) -> Stored:
    """Where a weight of the Program is. Raises ModelFileError: a tensor is missing or of the wrong shape."""
    layer, pattern = layer_and_pattern(weight.name)
    if pattern not in layout.weights:
        raise ModelFileError(place.file.path, f"nothing says where its files keep {weight.name}, which it needs")
    stored = locate(layout.weights[pattern], replace(place, layer=layer))
    expected = (weight.rows, weight.columns) if weight.kind == "matrix" else (weight.columns,)
    if pattern in VOCABULARY and stored.shape[1:] == expected[1:] and stored.shape[0] > expected[0]:
        stored = slice_rows(place, stored, 0, expected[0])
    if stored.shape != expected:
        raise ModelFileError(
            place.file.path,
            f"tensor {stored.name!r} has the shape {list(stored.shape)}, expected {list(expected)}",
        )
    return stored


def _refuse_surplus(place: Place, layout: Layout, plan: list[Packing]) -> None:
    """A tensor that nothing reads means a model that is not what it was taken for."""
    used = {tensor.name for packing in plan for tensor in packing.stored.tensors}
    known = [re.compile(fnmatch.translate(pattern)) for pattern in (*layout.consumed, *layout.ignored)]
    surplus = [
        tensor.name
        for name, tensor in place.tensors.items()
        if tensor.name not in used and not any(pattern.match(name) for pattern in known)
    ]
    if surplus:
        raise ModelFileError(place.file.path, f"tensor {min(surplus)!r} is not part of this architecture")


def _target(weight: Weight, stored: str, quant: Quantisation) -> str:
    if weight.kind == "vector":
        return "f32"
    kept = TARGETS[stored]
    if weight.name.endswith(EXACT):
        return kept
    # Asked for w4, a file of w4s keeps it: the smaller of the two, and nothing is lost.
    target = kept if quant == "auto" or (quant == "w4" and kept == "w4s") else quant
    if target in ("w4", "w4s", "w8") and weight.columns % GROUP:
        return "bf16"
    return target


def ease(plan: list[Packing], available: int) -> list[Packing]:
    """The same plan, or one of fewer bits where float matrices would take most of ``available`` bytes of memory.

    A float16 file is loaded as f32, which is exact and twice as large: as bf16 it is as large as it was. When that is
    too much as well, float matrices become w8, which costs the least that integers cost. docs/decisions/080.
    """
    for formats in (("f32", "bf16"), ("bf16",), ()):
        eased = [_at_most(packing, formats) for packing in plan]
        if weight_bytes(eased) <= available * COMFORTABLE:
            break
    return plan if eased == plan else eased


def _at_most(packing: Packing, formats: tuple[str, ...]) -> Packing:
    if packing.weight.kind == "vector" or packing.target not in ("f32", "bf16") or packing.target in formats:
        return packing
    grouped = packing.weight.columns % GROUP == 0 and not formats
    return replace(packing, target="w8" if grouped else "bf16")


def weight_bytes(plan: list[Packing]) -> int:
    """Packed size of a whole model, without the padding of an instruction set."""
    return sum(packing.bytes for packing in plan)


def check_memory(file: ModelFile, plan: list[Packing], available: int) -> None:
    """Raise ModelTooLarge when the packed weights alone exceed ``available`` bytes, naming what would fit."""
    needed = weight_bytes(plan)
    if needed <= available:
        return
    smaller = {quant: weight_bytes(with_quantisation(plan, quant)) for quant in SMALLER}
    fitting = next((quant for quant, size in smaller.items() if size <= available), None)
    if fitting is not None:
        remedy = f"With --quant {fitting} it needs {smaller[fitting] / 2**20:,.0f} MiB, which would fit."
    else:
        remedy = "No quantisation of it would fit: close other programs or choose a smaller model."
    raise ModelTooLarge(
        f"{file.path.name} needs {needed / 2**20:,.0f} MiB of memory for its weights, "
        f"but {available / 2**20:,.0f} MiB are free. {remedy}"
    )


def with_quantisation(plan: list[Packing], quant: Quantisation) -> list[Packing]:
    """The same weights in another format."""
    return [replace(packing, target=_target(packing.weight, packing.stored.type, quant)) for packing in plan]


def describe_quantisation(plan: list[Packing]) -> str:
    """The packed formats of the matrices, largest share first, such as ``w4+w8``."""
    sizes: dict[str, int] = {}
    for packing in plan:
        if packing.weight.kind == "matrix":
            sizes[packing.target] = sizes.get(packing.target, 0) + packing.bytes
    return "+".join(sorted(sizes, key=lambda target: -sizes[target]))
