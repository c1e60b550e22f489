"""Tiny random encoders as Transformers builds them, as directories and as GGUF files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from tests.parity.models import randomise
from tests.synthetic import write_value

VOCABULARY = 120
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
    "intermediate_size": 160, "max_position_embeddings": 80, "type_vocab_size": 2, "pad_token_id": 0,
}  # fmt: skip
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("BertConfig", SHAPE),
    "bert-tanh": ("BertConfig", SHAPE | {"hidden_act": "gelu_new", "hidden_size": 40, "num_attention_heads": 5}),
    "roberta": ("RobertaConfig", SHAPE | {"type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5}),
    "xlm-roberta": ("XLMRobertaConfig", SHAPE | {"type_vocab_size": 1, "pad_token_id": 1, "num_hidden_layers": 2}),
}

GGUF_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
    "classifier.dense": "cls",
    "classifier.out_proj": "cls.output",
}


def build(name: str) -> PreTrainedModel:
    """An encoder with random weights, the same at every call."""
    torch.set_num_threads(1)  # on few cores more of them only wait for each other
    class_name, arguments = CONFIGS[name]
    config = getattr(transformers, class_name)(**arguments)
    with no_init_weights():
        model = transformers.AutoModel.from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(sum(name.encode()))
    for weight_name, weight in model.named_parameters():
        randomise(weight_name, weight, generator, around=1.0)
    return model.float().eval()


def save(model: PreTrainedModel, directory: Path, *, pooling: str = "mean", normalised: bool = True) -> Path:
    """As a sentence-transformers directory."""
    model.save_pretrained(directory)
    kinds = ["Transformer", "Pooling"] + ["Normalize"] * normalised
    modules = [
        {"idx": index, "path": f"{index}_{kind}" if index else "", "type": f"sentence_transformers.models.{kind}"}
        for index, kind in enumerate(kinds)
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    modes = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}
    flags = {flag: mode == pooling for mode, flag in modes.items()} | {"word_embedding_dimension": 96}
    (directory / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    return directory


def write_gguf(model: PreTrainedModel, path: Path, metadata: Mapping[str, Any] | None = None) -> Path:
    """As a file of architecture bert, in float32."""
    config = model.config
    writer = gguf.GGUFWriter(path, "bert")
    values = {
        "bert.block_count": config.num_hidden_layers,
        "bert.context_length": config.max_position_embeddings,
        "bert.embedding_length": config.hidden_size,
        "bert.feed_forward_length": config.intermediate_size,
        "bert.attention.head_count": config.num_attention_heads,
        "bert.attention.layer_norm_epsilon": config.layer_norm_eps,
        "bert.attention.causal": False,
        "bert.pooling_type": 2,
    }
    for key, value in (values | dict(metadata or {})).items():
        write_value(writer, key, value)
    for name, weight in model.state_dict().items():
        name = name.removeprefix("roberta.")
        if name.startswith("pooler.") or name.endswith("_ids"):
            continue
        if name.startswith("embeddings.position") and model.config.model_type == "xlm-roberta":
            weight = weight[2:]  # without the rows of padding, which are no positions
        module, kind = name.rsplit(".", 1)
        layer = ""
        if module.startswith("encoder.layer."):
            _, _, number, module = module.split(".", 3)
            layer = f"blk.{number}."
        writer.add_tensor(f"{layer}{GGUF_NAMES[module]}.{kind}", weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def expected_vectors(model: PreTrainedModel, ids: Sequence[int]) -> NDArray[np.float32]:
    """[tokens, width]."""
    with torch.inference_mode():
        vectors: NDArray[np.float32] = model(torch.tensor([list(ids)])).last_hidden_state[0].numpy()
    return vectors
