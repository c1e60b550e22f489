"""A tokenizer as tokenizer.json and tokenizer_config.json: the way back of `myna.models.tokenizer.json_file`."""

from __future__ import annotations

import json
from typing import Any

from myna.formats import ModelFile
from myna.models.tokenizer import Kind, Tokenizer, chat_template

SPACED = [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
]
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def tokenizer_files(file: ModelFile, tokenizer: Tokenizer) -> dict[str, str]:
    """Both files by name, as text."""
    vocabulary = tokenizer.vocabulary
    core: dict[str, Any] = json.loads(vocabulary.beginning.to_str())
    added = [
        (id_, piece, kind)
        for id_, (piece, kind) in enumerate(zip(vocabulary.pieces, vocabulary.kinds, strict=True))
        if kind in (Kind.CONTROL, Kind.USER_DEFINED, Kind.UNKNOWN) and piece
    ]
    if isinstance(core["model"]["vocab"], dict):
        # The vocabulary leaves out what text must not become; here its place is told by being an added token.
        core["model"]["vocab"] |= {piece: id_ for id_, piece, _ in added}
    core["added_tokens"] = [
        {
            "id": id_,
            "content": piece,
            "special": kind != Kind.USER_DEFINED,
            **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
        }
        for id_, piece, kind in added
    ]
    core["decoder"] = BYTES if vocabulary.spelling == "bytes" else {"type": "Sequence", "decoders": SPACED}
    settings: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    for name, id_ in (("bos_token", tokenizer.bos_id), ("eos_token", tokenizer.eos_id)):
        if id_ is not None:
            settings[name] = vocabulary.pieces[id_]
    if tokenizer.adds_bos and tokenizer.bos_id is not None:
        begin = vocabulary.pieces[tokenizer.bos_id]
        first, text = {"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
        core["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {begin: {"id": begin, "ids": [tokenizer.bos_id], "tokens": [begin]}},
        }
    if template := chat_template(file):
        settings["chat_template"] = template
    return {
        "tokenizer.json": json.dumps(core, ensure_ascii=False),
        "tokenizer_config.json": json.dumps(settings, ensure_ascii=False, indent=2),
    }
