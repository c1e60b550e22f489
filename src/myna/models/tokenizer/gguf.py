"""The tokenizer inside of a GGUF file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.pretokenizers import BYTE_LEVEL
from myna.models.tokenizer.infill import find_infill, mark_control
from myna.models.tokenizer.settings import MAX_TEMPLATE
from myna.models.tokenizer.tokenizer import Tokenizer
from myna.models.tokenizer.vocabulary import (
    SPACE,
    Kind,
    Rules,
    Vocabulary,
    assemble,
    bert_rules,
    bpe_model,
    check_kinds,
    end_token_ids,
    matched_in_text,
    mergeable,
    of_kind,
    scored_bpe_model,
    spaced_rules,
    unigram_model,
    wordpiece_model,
)

UNKNOWN = "[UNK]"
"""BERT's token for what it cannot spell."""

SPECIAL = ("bos", "eos", "eot", "eom", "cls", "seperator", "mask")
"""Tokens that have a key of their own; llama.cpp spells the separator so."""

INFILL = ("pre", "suf", "mid", "pad", "rep", "sep")
"""Tokens for filling gaps, whose keys begin with ``fim_``."""

SWALLOWING = frozenset(("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"))
"""Phi-3's control tokens swallow the spaces on their right; GGUF files do not say so."""


def load_gguf_tokenizer(file: ModelFile) -> Tokenizer:
    """Build the tokenizer that a GGUF file describes.

    Raises:
        ModelFileError: keys are missing or contradict each other, or the vocabulary is of a kind that is not supported.
    """
    metadata = file.metadata
    model = metadata.string("tokenizer.ggml.model")
    if model not in _KINDS:
        raise ModelFileError(
            file.path, f"its vocabulary is of the kind {model!r}; supported are {', '.join(sorted(_KINDS))}"
        )
    pieces = metadata.strings("tokenizer.ggml.tokens")
    special = {name: _special_id(file, len(pieces), name) for name in SPECIAL}
    infill = {name: _special_id(file, len(pieces), f"fim_{name}") for name in INFILL}
    kinds = _kinds(file, pieces, (*special.values(), *infill.values()))
    vocabulary, adds_bos = _KINDS[model](file, pieces, kinds, special)
    return Tokenizer(
        Path(file.path),
        vocabulary,
        bos_id=special["bos"],
        eos_id=special["eos"],
        adds_bos=metadata.boolean("tokenizer.ggml.add_bos_token", adds_bos),
        stop_token_ids=end_token_ids(
            vocabulary.pieces, kinds, (id_ for name, id_ in special.items() if name in ("eos", "eot", "eom"))
        ),
        fingerprint=_fingerprint(file),
        infill=find_infill(vocabulary.pieces, kinds, infill),
    )


def _special_id(file: ModelFile, size: int, name: str) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    return file.metadata.integer(key, maximum=size - 1) if key in file.metadata else None


def _kinds(file: ModelFile, pieces: list[str], special: Iterable[int | None]) -> list[int]:
    key = "tokenizer.ggml.token_type"
    kinds: list[int] = file.metadata.integers(key) if key in file.metadata else [Kind.NORMAL] * len(pieces)
    if len(kinds) != len(pieces):
        raise ModelFileError(file.path, f"{key} has {len(kinds)} entries for {len(pieces)} tokens")
    for id_ in special:
        if id_ is not None:
            kinds[id_] = Kind.CONTROL
    mark_control(pieces, kinds)
    check_kinds(Path(file.path), pieces, kinds)
    return kinds


Special = dict[str, int | None]


def _byte_level(file: ModelFile, pieces: list[str], kinds: list[int], special: Special) -> tuple[Vocabulary, bool]:
    pre = file.metadata.string("tokenizer.ggml.pre", "default")
    if pre not in BYTE_LEVEL:
        raise ModelFileError(
            file.path, f"its pre-tokenizer {pre!r} is not known; known: {', '.join(sorted(BYTE_LEVEL))}"
        )
    byte_level = BYTE_LEVEL[pre]
    merges = []
    for merge in file.metadata.strings("tokenizer.ggml.merges"):
        left, _, right = merge.partition(" ")
        merges.append((left, right))
    model = bpe_model(Path(file.path), mergeable(pieces, kinds), merges, ignore_merges=byte_level.ignore_merges)
    rules = Rules((byte_level.normalizer(),) if byte_level.normalizer else (), byte_level.pre_tokenizer())
    core = assemble(model, rules, matched_in_text(pieces, kinds, _template(file)))
    before, after = _around(file, special, byte_level.adds_bos)
    return Vocabulary(pieces, kinds, "bytes", core, core, before=before, after=after), byte_level.adds_bos


def _sentencepiece(file: ModelFile, pieces: list[str], kinds: list[int], special: Special) -> tuple[Vocabulary, bool]:
    scores = _scores(file, pieces)
    space_prefix = file.metadata.boolean("tokenizer.ggml.add_space_prefix", True)
    matched = matched_in_text(pieces, kinds, _template(file))
    model = scored_bpe_model(Path(file.path), pieces, kinds, scores)
    beginning, continuing = (assemble(model, spaced_rules(prefix=prefix), matched) for prefix in (space_prefix, False))
    named = {pieces[id_]: id_ for id_ in of_kind(kinds, Kind.CONTROL)}
    strips = {named[name]: (False, True) for name in SWALLOWING} if named.keys() >= SWALLOWING else {}
    before, after = _around(file, special, True)
    vocabulary = Vocabulary(pieces, kinds, "spaces", beginning, continuing, before=before, after=after, strips=strips)
    return vocabulary, True


def _unigram(file: ModelFile, pieces: list[str], kinds: list[int], special: Special) -> tuple[Vocabulary, bool]:
    model = unigram_model(Path(file.path), pieces, kinds, _scores(file, pieces))
    metadata = file.metadata
    charsmap = metadata.array("tokenizer.ggml.precompiled_charsmap").raw() if _CHARSMAP in metadata else b""
    space_prefix = metadata.boolean("tokenizer.ggml.add_space_prefix", True)
    one_space = metadata.boolean("tokenizer.ggml.remove_extra_whitespaces", False)
    matched = matched_in_text(pieces, kinds, _template(file))
    beginning, continuing = (
        assemble(
            model, spaced_rules(prefix=prefix, charsmap=charsmap, one_space=one_space, path=Path(file.path)), matched
        )
        for prefix in (space_prefix, False)
    )
    before, after = _around(file, special, True, adds_eos=True)
    between = after * 2 or None  # as XLM-R has it
    return Vocabulary(pieces, kinds, "spaces", beginning, continuing, before=before, after=after, between=between), True


def _wordpiece(file: ModelFile, pieces: list[str], kinds: list[int], special: Special) -> tuple[Vocabulary, bool]:
    """GGUF writes words with `SPACE` before them and the other parts without ``##``."""
    written = [
        piece
        if kind == Kind.CONTROL or (piece.startswith("[") and piece.endswith("]"))
        else piece.removeprefix(SPACE)
        if piece.startswith(SPACE)
        else f"##{piece}"
        for piece, kind in zip(pieces, kinds, strict=True)
    ]
    words = mergeable(written, kinds)
    if UNKNOWN in written:
        # Converters call it a control token. No text is cut into it all the same: its brackets are words of their own.
        words[UNKNOWN] = written.index(UNKNOWN)
    model = wordpiece_model(Path(file.path), words, UNKNOWN)
    core = assemble(model, bert_rules(lowercase=True), [])
    start = special["cls"] if special["cls"] is not None else special["bos"]
    end = special["seperator"] if special["seperator"] is not None else special["eos"]
    vocabulary = Vocabulary(
        written,
        kinds,
        "words",
        core,
        core,
        before=() if start is None else (start,),
        after=() if end is None else (end,),
        between=None if end is None else (end,),
    )
    return vocabulary, False


def _around(
    file: ModelFile, special: Special, adds_bos: bool, *, adds_eos: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What stands around a document: the tokens that the file, or vocabularies of its kind, add."""
    read, bos, eos = file.metadata, special["bos"], special["eos"]
    before = (bos,) if bos is not None and read.boolean("tokenizer.ggml.add_bos_token", adds_bos) else ()
    after = (eos,) if eos is not None and read.boolean("tokenizer.ggml.add_eos_token", adds_eos) else ()
    return before, after


def _scores(file: ModelFile, pieces: list[str]) -> list[float]:
    scores = file.metadata.numbers("tokenizer.ggml.scores")
    if len(scores) != len(pieces):
        raise ModelFileError(file.path, f"tokenizer.ggml.scores has {len(scores)} entries for {len(pieces)} tokens")
    return scores


def _template(file: ModelFile) -> str:
    return file.metadata.string("tokenizer.chat_template", "", maximum=MAX_TEMPLATE)


def _fingerprint(file: ModelFile) -> str:
    digest = hashlib.sha256()
    for key in sorted(key for key in file.metadata if key.startswith("tokenizer.ggml.")):
        value = file.metadata[key]
        content = repr(value).encode() if isinstance(value, bool | int | float | str) else value.raw()
        digest.update(f"{key}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


_CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
_KINDS = {"gpt2": _byte_level, "llama": _sentencepiece, "t5": _unigram, "bert": _wordpiece}
