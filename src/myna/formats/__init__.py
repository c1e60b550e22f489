"""A file -> metadata and named tensors."""

from myna.formats.base import Array, Kind, Metadata, ModelFile, Scalar, Tensor
from myna.formats.gguf import GGUFFile
from myna.formats.open import open_model

__all__ = ["Array", "GGUFFile", "Kind", "Metadata", "ModelFile", "Scalar", "Tensor", "open_model"]
