"""Tiny checkpoints of families that Myna has no declaration of: random weights and a real tokenizer, for PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.synthetic import CHAT_TEMPLATE, CONTROL_TOKENS, vocabulary

VOCABULARY = 384
SIZES: dict[str, dict[str, Any]] = {
    "opt": {"hidden_size": 48, "ffn_dim": 96, "num_attention_heads": 4, "word_embed_proj_dim": 48},
    "falcon": {"hidden_size": 48, "num_attention_heads": 4, "new_decoder_architecture": False, "multi_query": True},
    "stablelm": {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2},
    "mamba": {"hidden_size": 48, "state_size": 8},
    "openai-gpt": {"n_embd": 48, "n_head": 4, "n_layer": 2, "n_positions": 256},
}
"""By model_type, what is smaller than usual: keys and values, multi-query, a recurrent state, and no cache at all."""


def write_checkpoint(directory: Path, family: str) -> Path:
    """Write config.json, model.safetensors and a tokenizer of ``family``, which `SIZES` has."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {"vocab_size": VOCABULARY + 8, "num_hidden_layers": 2} | SIZES[family]
    if family not in ("mamba", "openai-gpt"):
        shape["max_position_embeddings"] = 256
    config = AutoConfig.for_model(family, **shape, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    pieces, merges = vocabulary(VOCABULARY)
    added = [
        {"id": index, "content": piece, "special": True, "single_word": False, "lstrip": False, "rstrip": False}
        | {"normalized": False}
        for index, piece in enumerate(CONTROL_TOKENS)
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": list(merges)},
    }
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = {"bos_token": CONTROL_TOKENS[1], "eos_token": CONTROL_TOKENS[2], "chat_template": CHAT_TEMPLATE}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    return directory
