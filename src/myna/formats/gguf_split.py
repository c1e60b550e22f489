"""A model that lies in several GGUF files, ``name-00001-of-00003.gguf`` and so on, as llama.cpp splits them."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.base import Kind, Metadata, Shard, Shards, Tensor
from myna.formats.gguf import GGUFFile

NAME = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf")
MAX_FILES = 4096


def open_gguf(path: Path) -> GGUFFile | SplitGGUF:
    """A GGUF file, with the others of its set if it is one of several.

    Raises:
        ModelFileError: a file is missing, truncated, corrupt, hostile or not of the set.
    """
    file = GGUFFile(path)
    if file.metadata.get("split.count", 1) in (0, 1):
        return file
    file.close()
    return SplitGGUF(path)


class SplitGGUF:
    """A set of GGUF files; any of them stands for all. Metadata is the first one's.

    Raises:
        ModelFileError: a file is missing, truncated, corrupt, hostile or not of the set.
    """

    kind: Kind = "gguf"
    directories: tuple[Path, ...] = ()

    def __init__(self, path: Path) -> None:
        match = NAME.fullmatch(path.name)
        if match is None:
            raise ModelFileError(path, "it is one of several files, but is not named name-00001-of-00002.gguf")
        count = int(match["count"])
        if not 1 <= count <= MAX_FILES:
            raise ModelFileError(path, f"it is one of {count} files, expected 1 to {MAX_FILES}")
        paths = [path.with_name(f"{match['stem']}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)]
        with ExitStack() as opened:
            files = [opened.enter_context(GGUFFile(part)) for part in paths]
            for number, file in enumerate(files):
                if file.metadata.integer("split.no") != number or file.metadata.integer("split.count") != count:
                    raise ModelFileError(file.path, f"it does not say that it is file {number + 1} of {count}")
            self.path = paths[0]
            self.metadata: Metadata = files[0].metadata
            self._shards = Shards(self.path, list[Shard](files))
            stated = self.metadata.integer("split.tensors.count", len(self.tensors))
            if stated != len(self.tensors):
                raise ModelFileError(
                    self.path, f"it says that there are {stated} tensors, its {count} files have {len(self.tensors)}"
                )
            opened.pop_all()

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self._shards.tensors

    def read(self, tensor: Tensor) -> AbstractContextManager[memoryview]:
        """Lend the tensor's bytes."""
        return self._shards.read(tensor)

    def close(self) -> None:
        """Unmap all files."""
        self._shards.close()
