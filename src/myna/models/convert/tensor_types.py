"""A tensor's bytes as another type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from myna.errors import ModelFileError, UnsupportedParameter
from myna.formats import ModelFile, Tensor
from myna.formats.blocks import READABLE, decode, encode


def lender(file: ModelFile, tensor: Tensor, type_: str) -> Callable[[], AbstractContextManager[memoryview]]:
    """What lends a tensor's bytes as ``type_``, computed when they are asked for."""

    @contextmanager
    def lend() -> Iterator[memoryview]:
        with file.read(tensor) as data:
            yield data if tensor.type == type_ else converted(file, tensor.name, data, tensor.type, type_)

    return lend


def check_readable(name: str, type_: str, param: str = "quant") -> None:
    """Raise UnsupportedParameter for a tensor whose blocks only the executor knows how to unpack."""
    if type_ not in READABLE:
        raise UnsupportedParameter(
            f"Tensor {name!r} is quantised as {type_}, which cannot be converted; convert the original instead"
            + (", or leave the quantisation as it is." if param == "quant" else "."),
            param=param,
        )


def converted(file: ModelFile, name: str, data: memoryview, own: str, wanted: str) -> memoryview:
    """A tensor's bytes as another type.

    Raises:
        ModelFileError: the tensor holds what that type cannot.
        UnsupportedParameter: its own type cannot be computed with.
    """
    if own == wanted:
        return memoryview(bytes(data))
    check_readable(name, own)
    try:
        return encode(decode(data, own), wanted)
    except ValueError as error:
        raise ModelFileError(file.path, f"tensor {name!r} cannot be written ({error})") from error
