"""A tokenizer as GGUF's keys: the way back of `myna.models.tokenizer.gguf`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.formats.gguf_writer import Value
from myna.models.pretokenizers import BYTE_LEVEL
from myna.models.tokenizer import Kind, Tokenizer, chat_template
from myna.models.tokenizer.sentencepiece import read_model
from myna.models.tokenizer.vocabulary import SPACE, Vocabulary

NAMES = ("llama-bpe", "qwen2", "smollm", "olmo", "tekken", "gpt-4o", "bloom", "gpt-2")
"""Pre-tokenizers by the name that is written, one of those that mean the same."""

PROBE = (
    "Hello, world!  It's 2026-11-23; they'll PAY $1234567.89 (don't…)\n\n\tdef f(x):\r\n    return x**2  # ok\n"
    "naïve façade, ½ cup; Grüße aus Köln, 你好\uff0c世界\uff01 こんにちは 안녕하세요 Привет, мир שלום नमस्ते 🙂🙃 "
    "e\u0301 HTTPServer camelCase snake_case !!!??? ...   trailing   "
)
"""A text that every two different ways to cut words cut differently."""


def tokenizer_keys(file: ModelFile, tokenizer: Tokenizer) -> dict[str, Value]:
    """Vocabulary, special tokens and chat template. Raises ModelFileError for what GGUF has no words for."""
    vocabulary = tokenizer.vocabulary
    core = json.loads(vocabulary.beginning.to_str())
    if vocabulary.spelling == "bytes":
        keys: dict[str, Any] = _byte_level(file, vocabulary, core)
    elif vocabulary.spelling == "words":
        keys = {"model": "bert", "tokens": _words(vocabulary)}
    elif core["model"]["type"] == "BPE":
        keys = {"model": "llama", "scores": _scores(file, vocabulary, core)}
        keys["add_space_prefix"] = tokenizer.encode("a") != tokenizer.encode("a", continues=True)
    else:
        raise ModelFileError(file.path, "its Unigram vocabulary cannot be written into a GGUF file")
    keys.setdefault("tokens", _pieces(vocabulary))
    keys["token_type"] = list(map(int, vocabulary.kinds))
    keys["add_bos_token"] = tokenizer.adds_bos
    ends = [id_ for id_ in sorted(tokenizer.stop_token_ids - {tokenizer.eos_id}) if tokenizer.is_control(id_)]
    unknown = [id_ for id_, kind in enumerate(vocabulary.kinds) if kind == Kind.UNKNOWN]
    special = {
        "bos": vocabulary.before[0] if vocabulary.spelling == "words" and vocabulary.before else tokenizer.bos_id,
        "eos": tokenizer.eos_id,
        "eot": ends[0] if ends else None,
        "unknown": unknown[0] if unknown else None,
        "cls": vocabulary.before[0] if vocabulary.spelling == "words" and vocabulary.before else None,
        "seperator": vocabulary.after[0] if vocabulary.spelling == "words" and vocabulary.after else None,
    }
    keys |= {f"{name}_token_id": id_ for name, id_ in special.items() if id_ is not None}
    written: dict[str, Value] = {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
    if template := chat_template(file):
        written["tokenizer.chat_template"] = template
    return written


def pre_tokenizer_name(core: tokenizers.Tokenizer, ignore_merges: bool) -> str | None:
    """What GGUF calls a way to cut text, found by what it does; None for one that has no name."""

    def does(rules: tokenizers.Tokenizer, text: str) -> list[str]:
        text = rules.normalizer.normalize_str(text) if rules.normalizer is not None else text
        return [word for word, _ in rules.pre_tokenizer.pre_tokenize_str(text)]

    if core.pre_tokenizer is None:
        return None
    cut = does(core, PROBE)
    for name in NAMES:
        known = tokenizers.Tokenizer(tokenizers.models.BPE())
        known.pre_tokenizer = BYTE_LEVEL[name].pre_tokenizer()
        if (normalizer := BYTE_LEVEL[name].normalizer) is not None:
            known.normalizer = normalizer()
        if does(known, PROBE) == cut and BYTE_LEVEL[name].ignore_merges == ignore_merges:
            return name
    return None


def _byte_level(file: ModelFile, vocabulary: Vocabulary, core: dict[str, Any]) -> dict[str, Any]:
    name = pre_tokenizer_name(vocabulary.beginning, bool(core["model"].get("ignore_merges")))
    if name is None:
        raise ModelFileError(file.path, "the way its tokenizer cuts text into words has no name in GGUF")
    merges = core["model"]["merges"]
    return {"model": "gpt2", "pre": name, "merges": [m if isinstance(m, str) else " ".join(m) for m in merges]}


def _pieces(vocabulary: Vocabulary) -> list[str]:
    """Ids that nothing uses get a name, since names must differ."""
    return [
        f"[PAD{id_}]" if kind == Kind.UNUSED and not piece else piece
        for id_, (piece, kind) in enumerate(zip(vocabulary.pieces, vocabulary.kinds, strict=True))
    ]


def _words(vocabulary: Vocabulary) -> list[str]:
    """Words begin with a mark here, and what continues them does not."""
    return [
        piece
        if kind == Kind.CONTROL or (piece.startswith("[") and piece.endswith("]"))
        else piece.removeprefix("##")
        if piece.startswith("##")
        else SPACE + piece
        for piece, kind in zip(vocabulary.pieces, vocabulary.kinds, strict=True)
    ]


def _scores(file: ModelFile, vocabulary: Vocabulary, core: dict[str, Any]) -> list[float]:
    """SentencePiece's own, or, of a list of merges, how late the first comes that makes a piece."""
    size = len(vocabulary.pieces)
    for path in (directory / "tokenizer.model" for directory in file.directories):
        if path.is_file():
            scores = read_model(Path(path)).scores
            return [*scores, *[0.0] * (size - len(scores))][:size]
    ranks: dict[str, int] = {}
    for merge in core["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        ranks.setdefault(left + right, len(ranks))
    return [-float(ranks.get(piece, 0)) for piece in vocabulary.pieces]
