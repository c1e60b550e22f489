from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from myna.errors import ModelFileError
from myna.formats import open_model

WIDTH, HEADS, KV_HEADS, MLP, VOCAB = 16, 4, 2, 24, 10
PARAMS = {"dim": WIDTH, "n_heads": HEADS, "n_kv_heads": KV_HEADS, "n_layers": 1, "norm_eps": 1e-5, "vocab_size": -1}
COLUMNS = ("wo", "w2")
SHAPES = {
    "tok_embeddings": (VOCAB, WIDTH), "norm": (WIDTH,), "output": (VOCAB, WIDTH),
    "layers.0.attention_norm": (WIDTH,), "layers.0.ffn_norm": (WIDTH,),
    "layers.0.attention.wq": (WIDTH, WIDTH), "layers.0.attention.wk": (8, WIDTH), "layers.0.attention.wv": (8, WIDTH),
    "layers.0.attention.wo": (WIDTH, WIDTH), "layers.0.feed_forward.w1": (MLP, WIDTH),
    "layers.0.feed_forward.w2": (WIDTH, MLP), "layers.0.feed_forward.w3": (MLP, WIDTH),
}  # fmt: skip


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {f"{name}.weight": torch.randn(shape) for name, shape in SHAPES.items()}


def write(path: Path, slices: int, embedding_axis: int = 1, **params: Any) -> dict[str, torch.Tensor]:
    """A release in that many files, and its weights."""
    path.mkdir(exist_ok=True)
    (path / "params.json").write_text(json.dumps(PARAMS | params))
    whole = weights()
    for number in range(slices):
        part: dict[str, Any] = {"rope.freqs": torch.ones(2)}
        for name, value in whole.items():
            axis = embedding_axis if "tok" in name else 1 if name.split(".")[-2] in COLUMNS else 0
            part[name] = value if value.ndim == 1 else value.chunk(slices, axis)[number].clone()
        torch.save(part, path / f"consolidated.{number:02}.pth")
    return whole


def read(path: Path) -> dict[str, np.ndarray]:
    found = {}
    with closing(open_model(path)) as file:
        for name, tensor in file.tensors.items():
            with file.read(tensor) as data:
                found[name] = np.frombuffer(bytes(data), "<f4").reshape(tensor.shape)
    return found


def rotated_halves(value: torch.Tensor, heads: int) -> np.ndarray:
    """How the conversion script of `transformers` orders the rows of q and k."""
    rows, columns = value.shape
    return value.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns).numpy()


@pytest.mark.parametrize(("slices", "embedding_axis"), [(1, 1), (2, 1), (2, 0)])
def test_slices_become_one_hugging_face_checkpoint(tmp_path: Path, slices: int, embedding_axis: int) -> None:
    whole = write(tmp_path, slices, embedding_axis)
    found = read(tmp_path)
    layer, meta = "model.layers.0", "layers.0"
    expected = {
        "model.embed_tokens": whole["tok_embeddings.weight"],
        "model.norm": whole["norm.weight"],
        "lm_head": whole["output.weight"],
        f"{layer}.input_layernorm": whole[f"{meta}.attention_norm.weight"],
        f"{layer}.post_attention_layernorm": whole[f"{meta}.ffn_norm.weight"],
        f"{layer}.self_attn.q_proj": rotated_halves(whole[f"{meta}.attention.wq.weight"], HEADS),
        f"{layer}.self_attn.k_proj": rotated_halves(whole[f"{meta}.attention.wk.weight"], KV_HEADS),
        f"{layer}.self_attn.v_proj": whole[f"{meta}.attention.wv.weight"],
        f"{layer}.self_attn.o_proj": whole[f"{meta}.attention.wo.weight"],
        f"{layer}.mlp.gate_proj": whole[f"{meta}.feed_forward.w1.weight"],
        f"{layer}.mlp.down_proj": whole[f"{meta}.feed_forward.w2.weight"],
        f"{layer}.mlp.up_proj": whole[f"{meta}.feed_forward.w3.weight"],
    }
    assert found.keys() == {f"{name}.weight" for name in expected}
    for name, value in expected.items():
        np.testing.assert_array_equal(found[f"{name}.weight"], value, name)


@pytest.mark.parametrize(
    ("params", "context", "scaling"),
    [
        ({"norm_eps": 1e-6}, 2048, None),
        ({}, 4096, None),
        ({"rope_theta": 500000.0}, 8192, None),
        ({"rope_theta": 500000.0, "use_scaled_rope": True}, 131072, 32.0),
        ({"max_seq_len": 77}, 77, None),
    ],
)
def test_what_params_json_leaves_out_is_told_by_the_release(
    tmp_path: Path, params: dict[str, Any], context: int, scaling: float | None
) -> None:
    write(tmp_path, 1, **params)
    with closing(open_model(tmp_path)) as file:
        read = file.metadata
        assert read.integer("max_position_embeddings") == context
        assert read.get("rope_scaling.factor") == scaling
        sizes = [read.integer(key) for key in ("hidden_size", "intermediate_size", "vocab_size", "num_key_value_heads")]
        assert sizes == [WIDTH, MLP, VOCAB, KV_HEADS]
        assert file.directories == (tmp_path, tmp_path.parent)


def test_slices_of_different_releases_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 2)
    torch.save({"norm.weight": torch.ones(WIDTH)}, tmp_path / "consolidated.01.pth")
    with pytest.raises(ModelFileError, match=r"tensor 'tok_embeddings\.weight' is not in all of its files alike"):
        open_model(tmp_path)


def test_tensors_of_other_models_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 1)
    torch.save(weights() | {"layers.0.feed_forward.gate.weight": torch.ones(2, 2)}, tmp_path / "consolidated.00.pth")
    with pytest.raises(ModelFileError, match="is not part of a LLaMA in Meta's layout"):
        open_model(tmp_path)


def test_params_without_weights_say_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    with pytest.raises(ModelFileError, match=r"it has no consolidated\.\*\.pth beside params\.json; it holds params"):
        open_model(tmp_path)


def test_a_vector_in_place_of_a_matrix_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 1)
    torch.save(weights() | {"layers.0.attention.wq.weight": torch.ones(WIDTH)}, tmp_path / "consolidated.00.pth")
    with pytest.raises(ModelFileError, match=r"tensor 'layers\.0\.attention\.wq\.weight' has the shape"):
        open_model(tmp_path)
