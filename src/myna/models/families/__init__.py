"""Which architectures Myna runs: one declaration a family."""

from __future__ import annotations

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.families import llama
from myna.models.families.base import Family

__all__ = ["FAMILIES", "Family", "family_of"]

FAMILIES: dict[str, Family] = {"llama": llama.FAMILY}


def family_of(file: ModelFile) -> Family:
    """The family that a file belongs to. Raises ModelFileError naming an unknown architecture and the known ones."""
    architecture = file.metadata.string("general.architecture")
    if architecture not in FAMILIES:
        raise ModelFileError(
            file.path, f"its architecture {architecture!r} is not supported; supported: {', '.join(sorted(FAMILIES))}"
        )
    return FAMILIES[architecture]
