"""safetensors files byte by byte, and directories of them, so that tests can write what no library would."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

TINY_CONFIG = {"model_type": "llama", "hidden_size": 4, "rope_scaling": {"factor": 2.0, "kinds": ["a", "b"]}}


def header(described: Any, length: int | None = None) -> bytes:
    """A header whose length may lie."""
    content = described if isinstance(described, bytes) else json.dumps(described).encode()
    return struct.pack("<Q", len(content) if length is None else length) + content


def entry(dtype: Any, shape: Any, begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors(**tensors: tuple[str, list[int], bytes]) -> bytes:
    """A well-formed file: by name the type, shape and bytes of each tensor."""
    described, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        described[name] = entry(dtype, shape, len(data), len(data) + len(content))
        data += content
    return header(described) + data


def write_directory(path: Path, files: dict[str, bytes], config: dict[str, Any] | None = None) -> Path:
    """A checkpoint's directory."""
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(TINY_CONFIG if config is None else config))
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


def index(**weight_map: Any) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
