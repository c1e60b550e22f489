"""A file -> metadata and named tensors."""

from myna.formats.base import Array, Metadata, ModelFile, Scalar, Tensor
from myna.formats.gguf import GGUFFile

__all__ = ["Array", "GGUFFile", "Metadata", "ModelFile", "Scalar", "Tensor"]
