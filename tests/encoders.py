"""A tiny encoder with random weights, as a sentence-transformers directory. For fast tests only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("the", "quick", "brown", "fox", "a", "myna", "is", "bird", "that", "talk", "##s", ".", "[", "]", "sep")
WIDTH, CONTEXT = 32, 48


def write_encoder(directory: Path, *, layers: int = 2, heads: int = 4, mlp_width: int = 64, seed: int = 0) -> Path:
    """Write a BERT that pools by the mean and brings its vectors to length 1."""
    random = np.random.default_rng(seed)
    vocabulary = SPECIAL + WORDS
    config = {
        "model_type": "bert",
        "hidden_size": WIDTH,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "intermediate_size": mlp_width,
        "max_position_embeddings": CONTEXT,
        "vocab_size": len(vocabulary),
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "pad_token_id": 0,
    }
    matrices = {
        "embeddings.word_embeddings": (len(vocabulary), WIDTH),
        "embeddings.position_embeddings": (CONTEXT, WIDTH),
        "embeddings.token_type_embeddings": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(layers):
        name = f"encoder.layer.{layer}"
        linears = {f"{name}.attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linears |= {
            f"{name}.attention.output.dense": (WIDTH, WIDTH),
            f"{name}.intermediate.dense": (mlp_width, WIDTH),
            f"{name}.output.dense": (WIDTH, mlp_width),
        }
        matrices |= linears
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    tensors = {}
    for name, (rows, columns) in matrices.items():
        tensors[f"{name}.weight"] = random.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)
        if not name.startswith("embeddings."):
            tensors[f"{name}.bias"] = 0.1 * random.standard_normal(rows, np.float32)
    for name in norms:
        tensors[f"{name}.weight"] = 1 + 0.1 * random.standard_normal(WIDTH, np.float32)
        tensors[f"{name}.bias"] = 0.1 * random.standard_normal(WIDTH, np.float32)
    directory.mkdir()
    save_file(tensors, directory / "model.safetensors")
    (directory / "config.json").write_text(json.dumps(config))
    kinds = ("Transformer", "Pooling", "Normalize")
    modules = [{"path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"} for i, kind in enumerate(kinds)]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    _tokenizer(vocabulary).save(str(directory / "tokenizer.json"))
    return directory


def _tokenizer(vocabulary: tuple[str, ...]) -> Tokenizer:
    ids = {piece: id_ for id_, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return tokenizer
