"""LLaMA as Meta released it: params.json and consolidated.NN.pth, presented as a Hugging Face checkpoint.

The files are slices for model parallelism: each has some rows (or columns) of every matrix. Rows of q and k pair
rotary dimensions as neighbours, while Hugging Face's layout pairs i with i + head_dim/2; they are put in that order.
Mistral's own releases (consolidated.safetensors) have the same names and order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from myna.errors import ModelFileError
from myna.formats.base import Kind, Metadata, Shards, Tensor
from myna.formats.huggingface import listing, open_all
from myna.formats.jsonfile import flatten, read_object
from myna.formats.types import BLOCK_TYPES

PARAMS = "params.json"

NAMES = {
    "tok_embeddings.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
    "layers.{}.attention_norm.weight": "model.layers.{}.input_layernorm.weight",
    "layers.{}.attention.wq.weight": "model.layers.{}.self_attn.q_proj.weight",
    "layers.{}.attention.wk.weight": "model.layers.{}.self_attn.k_proj.weight",
    "layers.{}.attention.wv.weight": "model.layers.{}.self_attn.v_proj.weight",
    "layers.{}.attention.wo.weight": "model.layers.{}.self_attn.o_proj.weight",
    "layers.{}.ffn_norm.weight": "model.layers.{}.post_attention_layernorm.weight",
    "layers.{}.feed_forward.w1.weight": "model.layers.{}.mlp.gate_proj.weight",
    "layers.{}.feed_forward.w2.weight": "model.layers.{}.mlp.down_proj.weight",
    "layers.{}.feed_forward.w3.weight": "model.layers.{}.mlp.up_proj.weight",
}
"""Meta's names and Hugging Face's."""

BY_COLUMNS = ("attention.wo.weight", "feed_forward.w2.weight")
"""Matrices whose columns are spread over the files; all others are cut by rows, and norms are in each."""

PAIRED = (".wq.weight", ".wk.weight")
"""Matrices whose rows pair rotary dimensions."""

_LAYER = re.compile(r"layers\.(\d{1,4})\.")


class MetaDirectory:
    """An open directory of Meta's layout.

    Raises:
        ModelFileError: a file is missing, truncated, corrupt or hostile, or the files do not fit together.
    """

    kind: Kind = "huggingface"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directories = (path, path.parent)  # LLaMA 1 and 2 came with one tokenizer for all sizes
        params = flatten(path / PARAMS, read_object(path / PARAMS, 2**20))
        self._heads = params.integer("n_heads", minimum=1, maximum=1024)
        self._kv_heads = params.integer("n_kv_heads", self._heads, minimum=1, maximum=self._heads)
        self._width = params.integer("dim", minimum=1, maximum=2**20)
        self._files: list[Shards] = [open_all(path, [name]) for name in weight_files(path)]
        try:
            self._sources: dict[str, str] = {}
            self.tensors: dict[str, Tensor] = {}
            for index, name in enumerate(self._files[0].tensors):
                self._add(name, index)
            self.metadata: Metadata = flatten(path / PARAMS, self._configuration(params))
        except BaseException:
            self.close()
            raise

    def _add(self, name: str, index: int) -> None:
        if name == "rope.freqs":  # follows from the configuration
            return
        layer = match[1] if (match := _LAYER.match(name)) else ""
        known = NAMES.get(name.replace(f"layers.{layer}.", "layers.{}.", 1) if match else name)
        if known is None:
            raise ModelFileError(self.path, f"tensor {name!r} is not part of a LLaMA in Meta's layout")
        pieces = self._pieces(name)
        shape = list(pieces[0].shape)
        if len(shape) == 2:
            axis = self._axis(name, pieces)
            shape[axis] = sum(piece.shape[axis] for piece in pieces)
        block, elements = BLOCK_TYPES[pieces[0].type], 1
        for dimension in shape:
            elements *= dimension
        if name.endswith(PAIRED) and shape[0] % (2 * self._head_count(name)):
            raise ModelFileError(self.path, f"tensor {name!r} has {shape[0]} rows for {self._head_count(name)} heads")
        target = known.format(layer)
        self._sources[target] = name
        self.tensors[target] = Tensor(target, pieces[0].type, tuple(shape), index, elements * block.bytes)

    def _pieces(self, name: str) -> list[Tensor]:
        found = [file.tensors.get(name) for file in self._files]
        pieces = [piece for piece in found if piece is not None]
        first = pieces[0]
        if len(pieces) < len(found) or any(p.shape != first.shape or p.type != first.type for p in pieces):
            raise ModelFileError(self.path, f"tensor {name!r} is not in all of its files alike")
        if len(first.shape) != 2 and (len(first.shape) != 1 or name.endswith(PAIRED)):
            raise ModelFileError(self.path, f"tensor {name!r} has the shape {list(first.shape)}")
        return pieces

    def _axis(self, name: str, pieces: list[Tensor]) -> int:
        if name == "tok_embeddings.weight":  # LLaMA 3 cuts it by rows, its predecessors by columns
            return 0 if pieces[0].shape[1] == self._width else 1
        return 1 if name.endswith(BY_COLUMNS) else 0

    def _head_count(self, name: str) -> int:
        return self._heads if name.endswith(".wq.weight") else self._kv_heads

    def _configuration(self, params: Metadata) -> dict[str, Any]:
        """What Hugging Face's config.json would say."""
        names = ("model.embed_tokens.weight", "model.layers.0.mlp.gate_proj.weight")
        if missing := [name for name in names if name not in self.tensors]:
            raise ModelFileError(self.path, f"tensor {missing[0]!r} is missing")
        theta = params.number("rope_theta", 10_000.0, minimum=1.0, maximum=1e12)
        scaled = params.boolean("use_scaled_rope", False)
        epsilon = params.number("norm_eps", 1e-5, minimum=1e-12, maximum=1.0)
        configuration: dict[str, Any] = {
            "model_type": "llama",
            "architectures": ["LlamaForCausalLM"],
            "hidden_act": "silu",
            "hidden_size": self._width,
            "intermediate_size": self.tensors[names[1]].shape[0],
            "num_hidden_layers": params.integer("n_layers", minimum=1, maximum=1024),
            "num_attention_heads": self._heads,
            "num_key_value_heads": self._kv_heads,
            "head_dim": params.integer("head_dim", self._width // self._heads, minimum=1, maximum=1024),
            "vocab_size": self.tensors[names[0]].shape[0],
            "max_position_embeddings": params.integer("max_seq_len", _context(theta, epsilon, scaled), minimum=1),
            "rms_norm_eps": epsilon,
            "rope_theta": theta,
            "tie_word_embeddings": "lm_head.weight" not in self.tensors,
        }
        if scaled:
            # Llama 3.1 (4096 wide and more) stretches eightfold; 3.2's small models do by 32. params.json does not say.
            factor = params.number("rope_scaling_factor", 8.0 if self._width >= 4096 else 32.0, minimum=1, maximum=1e6)
            configuration["rope_scaling"] = {
                "rope_type": "llama3",
                "factor": factor,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            }
        return configuration

    @contextmanager
    def read(self, tensor: Tensor) -> Iterator[memoryview]:
        """Lend the tensor's bytes, put together from all files."""
        name = self._sources[tensor.name]
        pieces = self._pieces(name)
        element = np.dtype(f"V{BLOCK_TYPES[tensor.type].bytes}")
        with ExitStack() as lent:
            parts = [
                np.frombuffer(lent.enter_context(file.read(piece)), element).reshape(piece.shape)
                for file, piece in zip(self._files, pieces, strict=True)
            ]
            whole = parts[0]
            if len(parts) > 1 and whole.ndim == 2:
                whole = np.concatenate(parts, self._axis(name, pieces))
            if name.endswith(PAIRED):
                # [heads, pairs, 2, columns] -> [heads, 2, pairs, columns]
                paired = whole.reshape(self._head_count(name), -1, 2, whole.shape[1])
                whole = paired.swapaxes(1, 2)
            yield memoryview(whole.tobytes())

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()


def weight_files(path: Path) -> list[str]:
    """Names of the slices, in order. Raises ModelFileError when there is none."""
    names = sorted(file.name for file in path.glob("consolidated.*.pth"))
    if not names and (path / "consolidated.safetensors").is_file():
        names = ["consolidated.safetensors"]
    if not names:
        raise ModelFileError(path, f"it has no consolidated.*.pth beside {PARAMS}; it holds {listing(path)}")
    return names


def _context(theta: float, epsilon: float, scaled: bool) -> int:
    """Tokens that a release was made for, which params.json leaves out: by what sets the releases apart."""
    if scaled:
        return 131_072  # Llama 3.1 and later
    if theta > 10_000:
        return 16_384 if theta == 1e6 else 8192  # Code Llama; Llama 3
    return 2048 if epsilon < 5e-6 else 4096  # LLaMA 1; Llama 2
