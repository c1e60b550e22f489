"""PyTorch's checkpoint files, read by PyTorch itself and never in a way that could run code from them.

They are pickles, which can do anything when loaded; ``weights_only`` admits tensors and plain containers alone.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from myna.errors import ModelFileError
from myna.formats.base import Tensor

DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2", "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8",
    "bool": "BOOL",
}  # fmt: skip


class TorchFile:
    """An open ``.bin`` or ``.pth`` file of tensors by name. Its tensors stay in the mapped file until they are read.

    Raises:
        ModelFileError: PyTorch is not installed, or the file is missing, corrupt or holds more than tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._values = _load(path)
        self.tensors = {
            name: _describe(path, name, value, index) for index, (name, value) in enumerate(self._values.items())
        }

    @contextmanager
    def read(self, tensor: Tensor) -> Iterator[memoryview]:
        """Lend the tensor's bytes."""
        torch = import_torch(self.path)
        flat = self._values[tensor.name].detach().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data if flat.numel() else memoryview(b"")

    def close(self) -> None:
        """Let go of the file."""
        self._values = {}


def import_torch(path: Path) -> ModuleType:
    """PyTorch. Raises ModelFileError naming the extra that brings it."""
    try:
        import torch
    except ImportError:
        raise ModelFileError(
            path, 'reading PyTorch checkpoints needs PyTorch, which is not installed (pip install "myna[torch]")'
        ) from None
    return torch


def _load(path: Path) -> dict[str, Any]:
    torch = import_torch(path)
    if not path.is_file():
        raise ModelFileError(path, "there is no such file")
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"  # what PyTorch has written since 1.6; only that can be mapped
        if zipped:
            _check_stored(path)
        values = torch.load(path, map_location="cpu", mmap=zipped, weights_only=True)
    except pickle.UnpicklingError:
        raise ModelFileError(
            path, "it holds more than tensors, or is no PyTorch checkpoint; loading it could run code, so it is not"
        ) from None
    except ModelFileError:
        raise
    except Exception as error:  # PyTorch raises nearly anything for files that are cut or made up
        reason = str(error).partition("\n")[0]
        raise ModelFileError(path, f"PyTorch cannot read it ({reason:.200})") from error
    if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
        raise ModelFileError(path, "it does not hold tensors by name")
    return values


def _check_stored(path: Path) -> None:
    """Refuse compressed archives: PyTorch writes none, and a few bytes of one can unpack to more than memory holds."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ModelFileError(path, "it is compressed, which no file is that PyTorch wrote")


def _describe(path: Path, name: str, value: Any, index: int) -> Tensor:
    torch = import_torch(path)
    dtype = str(getattr(value, "dtype", type(value).__name__)).removeprefix("torch.")
    if not isinstance(value, torch.Tensor) or dtype not in DTYPES or value.layout != torch.strided:
        raise ModelFileError(path, f"{name!r} is a {dtype}, expected a tensor of {', '.join(DTYPES)}")
    size = value.numel() * value.element_size()
    if value.device.type != "cpu" or size > value.untyped_storage().nbytes():
        raise ModelFileError(path, f"{name!r} has the shape {list(value.shape)}, but the file does not hold that much")
    return Tensor(name, DTYPES[dtype], tuple(value.shape), index, size)
