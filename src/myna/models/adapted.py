"""A checkpoint with a LoRA adapter added to its weights, for writing both as one model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from myna.errors import ModelFileError, UnsupportedParameter
from myna.formats import Kind, Metadata, ModelFile, Tensor
from myna.formats.floats import as_bytes, to_float32
from myna.formats.jsonfile import read_object
from myna.formats.safetensors import SafetensorsFile
from myna.models.adapters import FLOATS, LowRank, check_settings, read_modules


class AdaptedModel:
    """W + scale * B @ A wherever the adapter has a module, as float32; everything else as it is.

    Raises:
        ModelFileError: a file of the adapter is missing or corrupt, or does not fit the model.
        UnsupportedParameter: the adapter does what is not supported, or the model is a GGUF file.
    """

    kind: Kind = "huggingface"

    def __init__(self, model: ModelFile, adapter: Path) -> None:
        if model.kind != "huggingface":
            raise UnsupportedParameter(
                "An adapter can be merged into a checkpoint directory only, not into a GGUF file.", param="adapter"
            )
        settings = read_object(adapter / "adapter_config.json")
        check_settings(adapter, settings)
        with closing(SafetensorsFile(adapter / "adapter_model.safetensors")) as file:
            modules = read_modules(file, settings)
        self.path = model.path
        self.directories = model.directories
        self.metadata: Metadata = model.metadata
        self._model = model
        self._turned = settings.get("fan_in_fan_out") is True
        self._added = {self._tensor(adapter, module, low): low for module, low in modules.items()}
        self.tensors = {
            name: replace(tensor, type="F32", bytes=tensor.elements * 4) if name in self._added else tensor
            for name, tensor in model.tensors.items()
        }

    def _tensor(self, adapter: Path, module: str, low: LowRank) -> str:
        """The tensor that a module changes; some checkpoints leave out the first part of names."""
        names = (f"{module}.weight", f"{module}.weight".partition(".")[2])
        name = next((name for name in names if name in self._model.tensors), None)
        if name is None:
            raise ModelFileError(adapter, f"module {module!r} is none of this model's")
        tensor = self._model.tensors[name]
        rows, columns = low.b.shape[0], low.a.shape[1]
        if tensor.shape != ((columns, rows) if self._turned else (rows, columns)) or tensor.type not in FLOATS:
            raise ModelFileError(
                adapter,
                f"module {module!r} changes {rows} x {columns} weights, but {name!r} is {tensor.type} "
                f"of shape {list(tensor.shape)}",
            )
        return name

    @contextmanager
    def read(self, tensor: Tensor) -> Iterator[memoryview]:
        """Lend the tensor's bytes, with what the adapter adds."""
        stored = self._model.tensors[tensor.name]
        with self._model.read(stored) as data:
            low = self._added.get(tensor.name)
            if low is None:
                yield data
                return
            whole = to_float32(data, stored.type).reshape(stored.shape)
            change = low.b @ (low.a * low.scale)
            yield as_bytes(whole + (change.T if self._turned else change))

    def close(self) -> None:
        """Close the model."""
        self._model.close()
