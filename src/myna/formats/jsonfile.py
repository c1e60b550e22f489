"""JSON from strangers: bounded in size, depth and number of keys, as metadata of the usual types."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError
from myna.formats.base import Array, Metadata, Scalar

MAX_BYTES = 2**25
MAX_KEYS = 65_536
MAX_DEPTH = 16


class _Values:
    """A list of scalars of one type."""

    def __init__(self, values: Sequence[Scalar], element: type[Scalar]) -> None:
        self._values = values
        self.count = len(values)
        self.element = element

    def values(self) -> Sequence[Scalar]:
        return self._values

    def raw(self) -> bytes:
        return json.dumps(self._values).encode()


def read_object(path: Path, maximum: int = MAX_BYTES) -> dict[str, Any]:
    """The object in a JSON file. Raises ModelFileError: missing, too long, not JSON, another kind, a key twice."""
    try:
        with path.open("rb") as file:
            content = file.read(maximum + 1)
    except OSError as error:
        raise ModelFileError(path, f"it cannot be opened ({error.strerror})") from error
    if len(content) > maximum:
        raise ModelFileError(path, f"it is longer than {maximum} bytes")
    return parse_object(path, content)


def parse_object(path: Path, content: bytes) -> dict[str, Any]:
    """The object in a JSON text. Raises ModelFileError: not JSON, another kind, a key that appears twice."""
    try:
        value = json.loads(content, object_pairs_hook=_unique)
    except RecursionError:
        raise ModelFileError(path, "its JSON is nested too deeply") from None
    except ValueError as error:
        raise ModelFileError(path, f"it does not hold JSON ({error!s:.100})") from None
    if not isinstance(value, dict):
        raise ModelFileError(path, "it does not hold a JSON object")
    return value


def flatten(path: Path, values: Mapping[str, Any]) -> Metadata:
    """Nested objects as keys with dots; null is absent, and so is a list of anything but scalars of one type.

    Raises ModelFileError: too many keys, or nested too deeply.
    """
    flat: dict[str, Scalar | Array] = {}
    for key, value in _walk(path, values, "", 0):
        flat[key] = value
        if len(flat) > MAX_KEYS:
            raise ModelFileError(path, f"it has more than {MAX_KEYS} keys")
    return Metadata(path, flat)


def _walk(path: Path, values: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Scalar | Array]]:
    if depth > MAX_DEPTH:
        raise ModelFileError(path, f"its objects are nested more than {MAX_DEPTH} deep")
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _walk(path, value, f"{prefix}{key}.", depth + 1)
        elif isinstance(value, bool | int | float | str):
            yield prefix + key, value
        elif isinstance(value, list) and (array := _array(value)) is not None:
            yield prefix + key, array


def _array(values: list[Any]) -> Array | None:
    kinds = set(map(type, values))
    if kinds == {int, float}:
        return _Values([float(value) for value in values], float) if all(map(_fits, values)) else None
    if not kinds:
        return _Values([], int)
    kind = kinds.pop()
    return None if kinds or kind not in (bool, int, float, str) else _Values(values, kind)


def _fits(value: float) -> bool:
    return isinstance(value, float) or abs(value) < 2**1000  # larger whole numbers are no floating-point ones


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"key {twice!r} appears twice")
    return made
