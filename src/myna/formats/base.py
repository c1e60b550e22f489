"""What every file format gives: typed metadata and named tensors, nothing loaded until it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, cast

from myna.errors import ModelFileError

Scalar = bool | int | float | str
Kind = Literal["gguf", "huggingface"]
"""How a file names its tensors and metadata: as GGUF does, or as Hugging Face's checkpoints do."""


class Array(Protocol):
    """A metadata array that is decoded when somebody looks."""

    @property
    def count(self) -> int: ...
    @property
    def element(self) -> type[Scalar]:
        """What every element is: str, int, float or bool."""

    def values(self) -> Sequence[Scalar]:
        """All elements, decoded anew at each call."""

    def raw(self) -> bytes:
        """The stored bytes, for fingerprints."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the file describes it.

    ``type`` is the GGUF name of its element or block type (F32, Q4_1, …); ``shape`` is in row-major order, so a
    matrix is (rows, columns) and quantised blocks run along the columns; ``bytes`` is its stored size. ``part``
    counts the files of a model that lies in several, and ``offset`` counts in that one.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    bytes: int
    part: int = 0

    @property
    def elements(self) -> int:
        """Number of weights."""
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count


class ModelFile(Protocol):
    """An open, checked model file, or a directory of files that make one model."""

    @property
    def path(self) -> Path: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def directories(self) -> tuple[Path, ...]:
        """Where the files beside the weights are, such as the tokenizer's, in order; none where one file holds all."""

    @property
    def metadata(self) -> Metadata: ...
    @property
    def tensors(self) -> Mapping[str, Tensor]: ...
    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes; afterwards its pages are given back to the kernel."""

    def close(self) -> None: ...


class Shard(Protocol):
    """One of the files that a model's tensors lie in."""

    @property
    def tensors(self) -> Mapping[str, Tensor]: ...
    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]: ...
    def close(self) -> None: ...


class Shards:
    """The tensors of several files as one collection. Raises ModelFileError when two files have the same one."""

    def __init__(self, path: Path, files: Sequence[Shard]) -> None:
        self.files = files
        self.tensors: dict[str, Tensor] = {}
        for part, file in enumerate(files):
            for name, tensor in file.tensors.items():
                if name in self.tensors:
                    raise ModelFileError(path, f"tensor {name!r} is in two of its files")
                self.tensors[name] = replace(tensor, part=part)

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes."""
        return self.files[tensor.part].read(tensor)

    def close(self) -> None:
        """Close all files."""
        for file in self.files:
            file.close()


class Metadata(Mapping[str, Scalar | Array]):
    """Metadata by key, with getters that check types and ranges and name the file when they refuse."""

    def __init__(self, path: Path, values: Mapping[str, Scalar | Array]) -> None:
        self._path = path
        self._values = values

    def __getitem__(self, key: str) -> Scalar | Array:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def integer(self, key: str, default: int | None = None, *, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
        """A whole number in [minimum, maximum]. Raises ModelFileError: missing, of another type, out of range."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong_type(key, value, "a whole number")
        if not minimum <= value <= maximum:
            raise ModelFileError(self._path, f"{key} is {value}, expected {minimum} to {maximum}")
        return value

    def number(self, key: str, default: float | None = None, *, minimum: float, maximum: float) -> float:
        """A finite number in [minimum, maximum]. Raises ModelFileError: missing, of another type, out of range."""
        value = self._get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong_type(key, value, "a number")
        if not minimum <= value <= maximum:  # also false for NaN
            raise ModelFileError(self._path, f"{key} is {value}, expected {minimum:g} to {maximum:g}")
        return float(value)

    def boolean(self, key: str, default: bool | None = None) -> bool:
        """True or false. Raises ModelFileError: missing or of another type."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise self._wrong_type(key, value, "true or false")
        return value

    def string(self, key: str, default: str | None = None, *, maximum: int = 200) -> str:
        """Text of at most ``maximum`` characters. Raises ModelFileError: missing, of another type, too long."""
        value = self._get(key, default)
        if not isinstance(value, str):
            raise self._wrong_type(key, value, "text")
        if len(value) > maximum:
            raise ModelFileError(self._path, f"{key} has {len(value)} characters, more than {maximum}")
        return value

    def strings(self, key: str) -> list[str]:
        """An array of text. Raises ModelFileError: missing, of another type, or not UTF-8."""
        return cast("list[str]", self._elements(key, str, "a list of text"))

    def integers(self, key: str) -> list[int]:
        """An array of whole numbers. Raises ModelFileError: missing or of another type."""
        return cast("list[int]", self._elements(key, int, "a list of whole numbers"))

    def numbers(self, key: str) -> list[float]:
        """An array of numbers, as floating-point. Raises ModelFileError: missing or of another type."""
        if self.array(key).element is int:
            return [float(value) for value in self.integers(key)]
        return cast("list[float]", self._elements(key, float, "a list of numbers"))

    def array(self, key: str) -> Array:
        """An array, still encoded. Raises ModelFileError: missing or not an array."""
        value = self._get(key, None)
        if isinstance(value, bool | int | float | str):
            raise self._wrong_type(key, value, "a list")
        return value

    def _elements(self, key: str, element: type[Scalar], expected: str) -> list[Scalar]:
        array = self.array(key)
        if array.element is not element:
            raise self._wrong_type(key, array, expected)
        return list(array.values())

    def _get(self, key: str, default: Scalar | None) -> Scalar | Array:
        value = self._values.get(key, default)
        if value is None:
            raise ModelFileError(self._path, f"its metadata lacks {key}")
        return value

    def _wrong_type(self, key: str, value: object, expected: str) -> ModelFileError:
        shown = repr(value) if isinstance(value, bool | int | float | str) else "a list"
        if len(shown) > 60:
            shown = shown[:57] + "..."
        return ModelFileError(self._path, f"{key} is {shown}, expected {expected}")
