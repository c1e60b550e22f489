"""What BERT's files say, how their vectors are pooled, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from myna.errors import ModelFileError
from myna.formats.base import Tensor
from myna.formats.jsonfile import flatten
from myna.models.families import bert
from myna.models.families.pooling import read_pooling

CONFIG = {
    "model_type": "bert", "hidden_size": 384, "num_attention_heads": 12, "num_hidden_layers": 6,
    "intermediate_size": 1536, "max_position_embeddings": 512, "vocab_size": 30522, "layer_norm_eps": 1e-12,
    "hidden_act": "gelu", "pad_token_id": 0,
}  # fmt: skip
GGUF = {
    "bert.embedding_length": 384, "bert.attention.head_count": 12, "bert.block_count": 6,
    "bert.feed_forward_length": 1536, "bert.context_length": 512, "bert.attention.layer_norm_epsilon": 1e-12,
}  # fmt: skip


def directory(path: Path, **changes: Any) -> Any:
    values = {key: value for key, value in (CONFIG | changes).items() if value is not None}
    return SimpleNamespace(path=path, metadata=flatten(path, values), tensors={})


def gguf_file(**changes: Any) -> Any:
    tensors = {"token_embd.weight": (30522, 384), "position_embd.weight": (512, 384)}
    return SimpleNamespace(
        path=Path("bert.gguf"),
        metadata=flatten(Path("bert.gguf"), GGUF | changes),
        tensors={name: Tensor(name, "F32", shape, 0, 0) for name, shape in tensors.items()},
    )


def write_modules(path: Path, modules: Any, pooling: Any = None) -> Path:
    (path / "modules.json").write_text(json.dumps(modules))
    if pooling is not None:
        (path / "1_Pooling").mkdir()
        (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return path


def module(kind: str, path: str = "1_Pooling") -> dict[str, str]:
    return {"type": f"sentence_transformers.models.{kind}", "path": path}


def test_a_directory_without_modules_pools_by_the_mean(tmp_path: Path) -> None:
    config = bert.configure_bert(directory(tmp_path))
    assert (config.layers, config.width, config.heads, config.context) == (6, 384, 12, 512)
    assert (config.pooling, config.normalised) == ("mean", True)


def test_robertas_positions_begin_behind_the_padding(tmp_path: Path) -> None:
    file = directory(tmp_path, model_type="xlm-roberta", max_position_embeddings=514, pad_token_id=1)
    assert bert.configure_roberta(file).context == 512
    with pytest.raises(ModelFileError, match="pad_token_id is 0"):
        bert.configure_roberta(directory(tmp_path))


@pytest.mark.parametrize(
    ("kinds", "pooling", "expected"),
    [
        (["Transformer", "Pooling", "Normalize"], {"pooling_mode_mean_tokens": True}, ("mean", True)),
        (["Transformer", "Pooling"], {"pooling_mode_mean_tokens": True}, ("mean", False)),
        (
            ["Transformer", "Pooling", "Normalize"],
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": False},
            ("first", True),
        ),
        (["Transformer", "Pooling"], {"pooling_mode_lasttoken": True}, ("last", False)),
        (["Transformer", "Pooling"], {"pooling_mode": "cls"}, ("first", False)),
    ],
)
def test_modules_say_how_vectors_are_pooled(
    tmp_path: Path, kinds: list[str], pooling: dict[str, Any], expected: tuple[str, bool]
) -> None:
    assert read_pooling(write_modules(tmp_path, [module(kind) for kind in kinds], pooling)) == expected


@pytest.mark.parametrize(
    ("modules", "pooling", "said"),
    [
        ("no list", None, "list of modules"),
        ([["no object"]], None, "list of modules"),
        ([module("Dense")], None, "'Dense' is not supported"),
        ([module("Pooling", "../elsewhere")], None, "elsewhere"),
        ([module("Pooling", "")], None, "name of a folder"),
        ([module("Pooling")], None, "cannot be opened"),
        ([module("Pooling")], [], "JSON object"),
        ([module("Pooling")], {"pooling_mode_max_tokens": True}, "pooling_mode_max_tokens"),
        ([module("Pooling")], {"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True}, "and cls"),
        ([module("Pooling")], {}, "nothing"),
    ],
)
def test_poolings_that_are_not_ours_are_refused(tmp_path: Path, modules: Any, pooling: Any, said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        read_pooling(write_modules(tmp_path, modules, pooling))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"position_embedding_type": "relative_key"}, "relative_key"),
        ({"is_decoder": True}, "is_decoder"),
        ({"hidden_act": "relu"}, "relu"),
        ({"num_attention_heads": 7}, "7 attention heads"),
        ({"hidden_size": None}, "hidden_size"),
        ({"max_position_embeddings": 0}, "max_position_embeddings"),
    ],
)
def test_directories_that_cannot_be_run_are_refused_by_name(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        bert.configure_bert(directory(tmp_path, **change))


def test_gguf_files_say_it_in_their_own_words() -> None:
    config = bert.configure_gguf(gguf_file(**{"bert.pooling_type": 2, "bert.context_length": 256}))
    assert (config.layers, config.width, config.mlp_width, config.vocab_size) == (6, 384, 1536, 30522)
    assert (config.context, config.pooling, config.normalised) == (256, "first", True)
    assert bert.configure_gguf(gguf_file(**{"bert.context_length": 600})).context == 512, "as many as it has rows"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bert.pooling_type": 4}, "pooling_type 4"),
        ({"bert.attention.causal": True}, "causal"),
        ({"bert.attention.head_count": 7}, "7 attention heads"),
        ({"bert.context_length": 0}, "context_length"),
    ],
)
def test_gguf_files_that_cannot_be_run_are_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        bert.configure_gguf(gguf_file(**change))
