"""Vocabularies that only rank byte strings: tiktoken files (Meta's Llama 3) and Mistral's ``tekken.json``.

Such a vocabulary has no list of merges: two neighbours join when their union is a token, the lowest rank first. So a
merge is any way to cut a token into two tokens, in the order of the token's rank.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Regex, pre_tokenizers

from myna.errors import ModelFileError
from myna.formats.jsonfile import read_object
from myna.models.pretokenizers import BYTE_LEVEL, ByteLevelRules
from myna.models.tokenizer.files import read_bytes
from myna.models.tokenizer.rules import check_pattern
from myna.models.tokenizer.tokenizer import BYTE_OF
from myna.models.tokenizer.vocabulary import (
    MAX_PIECE,
    MAX_TOKENS,
    Kind,
    Rules,
    Vocabulary,
    assemble,
    bpe_model,
    guarded,
    of_kind,
)

MAX_BYTES = 2**26

_LETTERS = {data[0]: letter for letter, data in BYTE_OF.items()}

LLAMA3_CONTROL = (
    *("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>"),
    *("<|finetune_right_pad_id|>", "<|step_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|eom_id|>"),
    *("<|eot_id|>", "<|python_tag|>"),
    *(f"<|reserved_special_token_{number}|>" for number in range(2, 247)),
)
"""The tokens behind the ranked ones of Llama 3.1; 3.0 has reserved ones in the places of a few."""

BEGINS = frozenset(("<s>", "<|begin_of_text|>"))

TEKKEN_CONTROL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)
"""The tokens before the ranked ones where a tekken.json does not list its own."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """Byte strings in the order of their rank, and the control tokens before or after them."""

    tokens: list[bytes]
    control: list[str]
    control_first: bool
    rules: ByteLevelRules


def read_tiktoken(path: Path) -> Vocabulary:
    """Meta's ``tokenizer.model`` of Llama 3: a line a token, in base 64, and its rank. Raises ModelFileError."""
    tokens = []
    for number, line in enumerate(read_bytes(path, MAX_BYTES).splitlines()):
        encoded, _, rank = line.partition(b" ")
        if rank.strip() != str(number).encode():
            raise ModelFileError(path, f"line {number + 1} is not that of rank {number}")
        tokens.append(_decoded(path, encoded))
    return _vocabulary(path, Ranked(tokens, list(LLAMA3_CONTROL), False, BYTE_LEVEL["llama3"]))


def read_tekken(path: Path) -> Vocabulary:
    """Mistral's ``tekken.json``. Raises ModelFileError."""
    content = read_object(path, MAX_BYTES)
    config, listed = content.get("config"), content.get("vocab")
    if not isinstance(config, dict) or not isinstance(listed, list):
        raise ModelFileError(path, "it has no config and vocab")
    size, reserved = config.get("default_vocab_size"), config.get("default_num_special_tokens")
    if not isinstance(size, int) or not isinstance(reserved, int) or not 0 <= reserved < size <= MAX_TOKENS:
        raise ModelFileError(path, f"its vocabulary has {size!r:.40} tokens, {reserved!r:.40} of them special")
    if len(listed) < size - reserved:
        raise ModelFileError(path, f"it lists {len(listed)} tokens, expected {size - reserved}")
    tokens = [_decoded(path, _field(path, entry, "token_bytes").encode()) for entry in listed[: size - reserved]]
    special = content.get("special_tokens") or []
    if not isinstance(special, list):
        raise ModelFileError(path, "its special tokens are not a list")
    control = [_field(path, entry, "token_str") for entry in special] if special else list(TEKKEN_CONTROL)
    control += [f"<SPECIAL_{number}>" for number in range(len(control), reserved)]
    pattern = config.get("pattern")
    if not isinstance(pattern, str):
        raise ModelFileError(path, "it has no pattern")
    check_pattern(path, pattern)
    return _vocabulary(path, Ranked(tokens, control[:reserved], True, ByteLevelRules(lambda: _split(path, pattern))))


def is_tiktoken(path: Path) -> bool:
    """Whether a ``tokenizer.model`` is text in base 64 rather than SentencePiece's protocol buffer."""
    encoded, separator, _ = read_bytes(path, MAX_BYTES)[:64].partition(b" ")
    return bool(separator) and encoded.endswith(b"=")


def merges_of(tokens: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Every way to cut a token into two, by rank; of one token's ways those of lower ranks first."""
    ranks = {token: rank for rank, token in enumerate(tokens)}
    merges: list[tuple[bytes, bytes]] = []
    for token in tokens:
        cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
        known = [(left, right) for left, right in cuts if left in ranks and right in ranks]
        merges += sorted(known, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return merges


def _vocabulary(path: Path, ranked: Ranked) -> Vocabulary:
    if len(set(ranked.tokens)) != len(ranked.tokens) or not ranked.tokens:
        raise ModelFileError(path, "its vocabulary is empty, or has a token twice")
    written = [_spelt(token) for token in ranked.tokens]
    kinds = [int(Kind.NORMAL)] * len(written)
    control_kinds = [int(Kind.CONTROL)] * len(ranked.control)
    first = len(ranked.control) if ranked.control_first else 0
    ids = {piece: first + rank for rank, piece in enumerate(written)}
    merges = [(_spelt(left), _spelt(right)) for left, right in merges_of(ranked.tokens)]
    core = assemble(bpe_model(path, ids, merges, ignore_merges=True), Rules((), ranked.rules.pre_tokenizer()), [])
    pieces, all_kinds = [*written, *ranked.control], [*kinds, *control_kinds]
    if ranked.control_first:
        pieces, all_kinds = [*ranked.control, *written], [*control_kinds, *kinds]
    begin = next((id_ for id_ in of_kind(all_kinds, Kind.CONTROL) if pieces[id_] in BEGINS), None)
    return Vocabulary(pieces, all_kinds, "bytes", core, core, before=() if begin is None else (begin,))


def _spelt(token: bytes) -> str:
    return "".join(map(_LETTERS.__getitem__, token))


def _split(path: Path, pattern: str) -> pre_tokenizers.PreTokenizer:
    with guarded(path, "pattern is broken"):
        regex = Regex(pattern)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(regex, behavior="isolated"), byte_level])


def _decoded(path: Path, encoded: bytes) -> bytes:
    try:
        token = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ModelFileError(path, f"{encoded[:40]!r} is not base 64") from None
    if not 0 < len(token) <= MAX_PIECE:
        raise ModelFileError(path, f"it has a token of {len(token)} bytes, expected 1 to {MAX_PIECE}")
    return token


def _field(path: Path, entry: Any, name: str) -> str:
    value = entry.get(name) if isinstance(entry, Mapping) else None
    if not isinstance(value, str):
        raise ModelFileError(path, f"one of its tokens is {json.dumps(entry)[:60]}")
    return value
