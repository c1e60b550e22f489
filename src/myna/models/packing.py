"""Which tensor of a file becomes which weight of a Program, in which packed format, and how large that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from myna.errors import ModelFileError, ModelTooLarge
from myna.formats import ModelFile, Tensor
from myna.models.families import Layout
from myna.models.program import Program, Weight

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

GROUP = 32
"""Weights that share a scale; the packed integer formats need rows of whole groups."""

GROUP_BYTES = {"w4": 20, "w4s": 18, "w8": 34, "bf16": 64, "f32": 128}


@dataclass(frozen=True, slots=True)
class Packing:
    """One step of loading: this tensor becomes that weight in format ``target``."""

    weight: Weight
    tensor: Tensor
    target: str

    @property
    def bytes(self) -> int:
        """Packed size, without the padding of an instruction set."""
        return -(-self.weight.rows * self.weight.columns // GROUP) * GROUP_BYTES[self.target]


def plan_packing(
    file: ModelFile,
    family: Layout,
    program: Program,
    quant: Quantisation = "auto",
    overrides: Mapping[str, str] | None = None,
) -> list[Packing]:
    """Pair every weight with its tensor, in the file's order.

    Args:
        file: where the tensors are.
        family: what they are called.
        program: what is needed.
        quant: the format of all matrices, or ``auto`` for the smallest that keeps the file's precision.
        overrides: formats of single weights by name, for measurements.

    Raises:
        ModelFileError: a tensor is missing, surplus, of the wrong shape or of a type without a packed format.
    """
    remaining = {name: tensor for name, tensor in file.tensors.items() if name not in family.consumed}
    plan = []
    for weight in program.weights.values():
        name = tensor_name(family, weight.name)
        tensor = remaining.pop(name, None)
        if tensor is None:
            raise ModelFileError(file.path, f"tensor {name!r} is missing")
        expected = (weight.rows, weight.columns) if weight.kind == "matrix" else (weight.columns,)
        if tensor.shape != expected:
            raise ModelFileError(
                file.path, f"tensor {name!r} has the shape {list(tensor.shape)}, expected {list(expected)}"
            )
        if tensor.type not in TARGETS:
            raise ModelFileError(
                file.path,
                f"tensor {name!r} is quantised as {tensor.type}, which is not supported; "
                f"supported: {', '.join(TARGETS)}",
            )
        target = (overrides or {}).get(weight.name) or _target(weight, tensor, quant)
        plan.append(Packing(weight, tensor, target))
    if remaining:
        raise ModelFileError(file.path, f"tensor {min(remaining)!r} is not part of this architecture")
    return sorted(plan, key=lambda packing: packing.tensor.offset)


def tensor_name(family: Layout, weight: str) -> str:
    """The file's name of a Program's weight: ``layers.3.mlp.up`` is the pattern ``layers.{}.mlp.up``, layer 3."""
    if not weight.startswith("layers."):
        return family.weights[weight]
    _, layer, rest = weight.split(".", 2)
    return family.weights[f"layers.{{}}.{rest}"].format(layer)


def _target(weight: Weight, tensor: Tensor, quant: Quantisation) -> str:
    if weight.kind == "vector":
        return "f32"
    kept = TARGETS[tensor.type]
    # Asked for w4, a file of w4s keeps it: the smaller of the two, and nothing is lost.
    target = kept if quant == "auto" or (quant == "w4" and kept == "w4s") else quant
    if target in ("w4", "w4s", "w8") and weight.columns % GROUP:
        return "bf16"
    return target


def check_memory(file: ModelFile, plan: list[Packing], available: int) -> None:
    """Raise ModelTooLarge when the packed weights alone exceed ``available`` bytes of memory."""
    needed = sum(packing.bytes for packing in plan)
    if needed > available:
        raise ModelTooLarge(
            f"{file.path.name} needs {needed / 2**20:,.0f} MiB of memory for its weights, "
            f"but {available / 2**20:,.0f} MiB are free. "
            "Close other programs, choose a smaller model or load it with fewer bits (--quant w4)."
        )


def describe_quantisation(plan: list[Packing]) -> str:
    """The packed formats of the matrices, largest share first, such as ``w4+w8``."""
    sizes: dict[str, int] = {}
    for packing in plan:
        if packing.weight.kind == "matrix":
            sizes[packing.target] = sizes.get(packing.target, 0) + packing.bytes
    return "+".join(sorted(sizes, key=lambda target: -sizes[target]))
