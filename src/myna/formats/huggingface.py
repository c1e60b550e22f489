"""A directory as Hugging Face's libraries save it: config.json, and the weights in one file or in shards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import Kind, Metadata, Shard, Shards, Tensor
from myna.formats.jsonfile import flatten, read_object
from myna.formats.safetensors import SafetensorsFile
from myna.formats.torch import TorchFile

CONFIG = "config.json"
MAX_CONFIG_BYTES = 2**22
MAX_SHARDS = 4096
SHOWN = 12
"""Files that a message names of those that are there instead."""

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""Where weights may be, the first that is there: the order of `transformers`."""

FILE_NAME = re.compile(r"(?!\.)[\w.+=@ -]{1,200}", re.ASCII)
"""What an index may call a file: no path, and nothing that an operating system takes for anything else."""


class HuggingFaceDirectory:
    """An open checkpoint directory. ``metadata`` is config.json with dots between the names of nested objects.

    Raises:
        ModelFileError: a file is missing, truncated, corrupt, hostile or of another kind.
    """

    kind: Kind = "huggingface"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directories = (path,)
        self.metadata: Metadata = flatten(path / CONFIG, read_object(path / CONFIG, MAX_CONFIG_BYTES))
        self._shards = open_shards(path)

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self._shards.tensors

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes."""
        return self._shards.read(tensor)

    def close(self) -> None:
        """Close the weights."""
        self._shards.close()


def open_shards(path: Path) -> Shards:
    """The weights of a directory. Raises ModelFileError saying what is there instead, or what is wrong with them."""
    name = next((name for name in WEIGHTS if (path / name).is_file()), None)
    if name is None:
        single = sorted(file.name for file in path.glob("*.safetensors"))
        if len(single) != 1:
            raise ModelFileError(path, f"it has none of {', '.join(WEIGHTS)}; it holds {listing(path)}")
        name = single[0]
    if not name.endswith(".index.json"):
        return open_all(path, [name])
    index = path / name
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFileError(index, "it has no weight_map")
    for tensor, file in weight_map.items():
        if not isinstance(file, str) or not FILE_NAME.fullmatch(file):
            raise ModelFileError(
                index, f"it says that tensor {tensor!r:.80} is in {file!r:.80}, which is not a file beside it"
            )
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_SHARDS:
        raise ModelFileError(index, f"it names {len(names)} files, more than {MAX_SHARDS}")
    shards = open_all(path, names)
    try:
        for tensor, file in weight_map.items():
            found = shards.tensors.get(tensor)
            if found is None or names[found.part] != file:
                raise ModelFileError(path / file, f"it lacks tensor {tensor!r}, which {name} says is there")
    except BaseException:
        shards.close()
        raise
    return shards


def open_all(path: Path, names: Sequence[str]) -> Shards:
    """These files of a directory. Raises ModelFileError for the first that cannot be used."""
    with ExitStack() as opened:
        files: list[Shard] = []
        for name in names:
            file: Shard = SafetensorsFile(path / name) if name.endswith(".safetensors") else TorchFile(path / name)
            opened.callback(file.close)
            files.append(file)
        shards = Shards(path, files)
        opened.pop_all()
    return shards


def listing(path: Path, pattern: str = "*") -> str:
    """What a directory holds, for a message."""
    names = sorted(file.name for file in path.glob(pattern))
    shown = ", ".join(name[:60] for name in names[:SHOWN]) or "nothing"
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown
