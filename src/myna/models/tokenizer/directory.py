"""The tokenizer of a model's directory, from whichever vocabulary files lie in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from myna.errors import ModelFileError
from myna.formats.jsonfile import read_object
from myna.models.pretokenizers import BYTE_LEVEL
from myna.models.tokenizer.files import read_bytes, read_text
from myna.models.tokenizer.infill import find_infill, mark_control
from myna.models.tokenizer.json_file import MAX_BYTES, read_tokenizer_json
from myna.models.tokenizer.ranks import is_tiktoken, read_tekken, read_tiktoken
from myna.models.tokenizer.sentencepiece import UNIGRAM, read_model
from myna.models.tokenizer.settings import TokenizerSettings, checked_id, read_settings
from myna.models.tokenizer.tokenizer import Tokenizer
from myna.models.tokenizer.vocabulary import (
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

MAX_TEXT = 2**26
"""Bytes of a vocabulary file that is plain text."""

PRE_TOKENIZERS = {
    "GPT2Tokenizer": "gpt-2",
    "GPT2TokenizerFast": "gpt-2",
    "CodeGenTokenizer": "gpt-2",
    "GPTNeoXTokenizer": "olmo",
    "GPTNeoXTokenizerFast": "olmo",
    "Qwen2Tokenizer": "qwen2",
    "Qwen2TokenizerFast": "qwen2",
}
"""How text is cut before merging, by ``tokenizer_class``: vocab.json and merges.txt alone do not say so."""

BEGINS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>")
ENDS = ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>")
"""Control tokens that begin and end text, where no file beside the vocabulary names them."""


def load_directory_tokenizer(directory: Path) -> Tokenizer:
    """Build the tokenizer from the best vocabulary file in a directory.

    Raises:
        ModelFileError: there is none, or it is broken or not supported.
    """
    settings = read_settings(directory)
    for name, read in _READERS.items():
        path = directory / name
        if path.is_file():
            return _finished(directory, path, read(path, settings), settings)
    raise ModelFileError(directory, f"it has no vocabulary; looked for {', '.join(_READERS)}")


def _finished(directory: Path, path: Path, vocabulary: Vocabulary, settings: TokenizerSettings) -> Tokenizer:
    named = {vocabulary.pieces[id_]: id_ for id_ in of_kind(vocabulary.kinds, Kind.CONTROL)}
    bos = _special(named, settings.special.get("bos_token"), BEGINS, has_config=bool(settings.options))
    eos = _special(named, settings.special.get("eos_token"), ENDS, has_config=bool(settings.options))
    adds_bos = settings.flag("add_bos_token", bos is not None and bos in vocabulary.before)
    declared = {eos, *(id_ for id_ in settings.end_ids if id_ < len(vocabulary.pieces))}
    return Tokenizer(
        directory,
        vocabulary,
        bos_id=bos,
        eos_id=eos,
        adds_bos=adds_bos and bos is not None,
        stop_token_ids=end_token_ids(vocabulary.pieces, vocabulary.kinds, declared),
        fingerprint=_fingerprint(path, vocabulary),
        infill=find_infill(vocabulary.pieces, vocabulary.kinds),
    )


def _special(named: dict[str, int], name: str | None, usual: tuple[str, ...], *, has_config: bool) -> int | None:
    if name is not None or has_config:
        return named.get(name or "")
    return next((named[each] for each in usual if each in named), None)


def _sentencepiece(path: Path, settings: TokenizerSettings) -> Vocabulary:
    if is_tiktoken(path):
        return read_tiktoken(path)
    model = read_model(path)
    pieces, kinds = _with_added(model.pieces, model.kinds, settings)
    scores = [*model.scores, *[0.0] * (len(pieces) - len(model.scores))]
    check_kinds(path, pieces, kinds)
    core = (unigram_model if model.algorithm == UNIGRAM else scored_bpe_model)(path, pieces, kinds, scores)
    matched = matched_in_text(pieces, kinds, settings.chat_template)
    space_prefix = settings.flag("add_prefix_space", model.space_prefix)
    beginning, continuing = (
        assemble(
            core, spaced_rules(prefix=prefix, charsmap=model.charsmap, one_space=model.one_space, path=path), matched
        )
        for prefix in (space_prefix, False)
    )
    bos = settings.flag("add_bos_token", True) and model.bos_id >= 0
    return Vocabulary(
        pieces,
        kinds,
        "spaces",
        beginning,
        continuing,
        # Transformers' "legacy" tokenizers, and SentencePiece itself, begin anew after every control token.
        prefix_after_control=settings.flag("legacy", True),
        before=(model.bos_id,) if bos else (),
        after=(model.eos_id,) if settings.flag("add_eos_token", False) and model.eos_id >= 0 else (),
        strips=_strips(settings, kinds),
    )


def _vocabulary_and_merges(merges_name: str) -> Callable[[Path, TokenizerSettings], Vocabulary]:
    def read(path: Path, settings: TokenizerSettings) -> Vocabulary:
        name = settings.options.get("tokenizer_class", "GPT2Tokenizer")
        if name not in PRE_TOKENIZERS:
            raise ModelFileError(path, f"how {name!r:.60} cuts text is not known; a tokenizer.json beside it would say")
        rules = BYTE_LEVEL[PRE_TOKENIZERS[name]]
        ids = read_object(path, MAX_TEXT)
        size = 1 + max((checked_id(path, id_) for id_ in ids.values()), default=-1)
        pieces, kinds = [""] * size, [int(Kind.UNUSED)] * size
        special = {*settings.special.values(), "<|endoftext|>"}
        for piece, id_ in ids.items():
            pieces[id_], kinds[id_] = piece, Kind.CONTROL if piece in special else Kind.NORMAL
        pieces, kinds = _with_added(pieces, kinds, settings)
        check_kinds(path, pieces, kinds)
        lines = read_text(path.with_name(merges_name), MAX_TEXT).split("\n")
        merges = [
            (left, right)
            for left, _, right in (line.partition(" ") for line in lines if line and not line.startswith("#version"))
        ]
        model = bpe_model(path, mergeable(pieces, kinds), merges, ignore_merges=rules.ignore_merges)
        own = Rules((rules.normalizer(),) if rules.normalizer else (), rules.pre_tokenizer())
        core = assemble(model, own, matched_in_text(pieces, kinds, settings.chat_template))
        return Vocabulary(pieces, kinds, "bytes", core, core, strips=_strips(settings, kinds))

    return read


def _words(path: Path, settings: TokenizerSettings) -> Vocabulary:
    pieces = [line.rstrip("\r") for line in read_text(path, MAX_TEXT).split("\n")]
    while pieces and not pieces[-1]:
        pieces.pop()
    special = {"[CLS]", "[SEP]", "[MASK]", "[PAD]", *settings.special.values()}
    kinds = [int(Kind.CONTROL) if piece in special else int(Kind.NORMAL) for piece in pieces]
    unknown = settings.special.get("unk_token", "[UNK]")
    kinds = [int(Kind.UNKNOWN) if piece == unknown else kind for piece, kind in zip(pieces, kinds, strict=True)]
    pieces, kinds = _with_added(pieces, kinds, settings)
    check_kinds(path, pieces, kinds)
    accents = settings.options.get("strip_accents")
    rules = bert_rules(
        lowercase=settings.flag("do_lower_case", True),
        strip_accents=accents if isinstance(accents, bool) else None,
        split_chinese=settings.flag("tokenize_chinese_chars", True),
    )
    core = assemble(wordpiece_model(path, mergeable(pieces, kinds), unknown), rules, [])
    named = {pieces[id_]: id_ for id_ in of_kind(kinds, Kind.CONTROL)}
    around = [named.get(settings.special.get(part, usual)) for part, usual in _BERT.items()]
    before, after = ((id_,) if id_ is not None else () for id_ in around)
    return Vocabulary(pieces, kinds, "words", core, core, before=before, after=after, between=after or None)


def _with_added(pieces: list[str], kinds: list[int], settings: TokenizerSettings) -> tuple[list[str], list[int]]:
    """The vocabulary with the tokens that the files beside it add, and with those that they call special."""
    size = max(len(pieces), *(id_ + 1 for id_ in settings.added), 0)
    pieces = [*pieces, *[""] * (size - len(pieces))]
    kinds = [*kinds, *[int(Kind.UNUSED)] * (size - len(kinds))]
    for id_, token in settings.added.items():
        if kinds[id_] != Kind.UNKNOWN:
            pieces[id_], kinds[id_] = token.content, Kind.CONTROL if token.special else Kind.USER_DEFINED
    control = {name for part, name in settings.special.items() if part not in ("unk_token", "pad_token")}
    control |= settings.control
    for id_, piece in enumerate(pieces):
        if piece in control and kinds[id_] in (Kind.NORMAL, Kind.USER_DEFINED):
            kinds[id_] = Kind.CONTROL
    mark_control(pieces, kinds)
    return pieces, kinds


def _strips(settings: TokenizerSettings, kinds: list[int]) -> dict[int, tuple[bool, bool]]:
    return {
        id_: (token.lstrip, token.rstrip)
        for id_, token in settings.added.items()
        if kinds[id_] == Kind.CONTROL and (token.lstrip or token.rstrip)
    }


def _fingerprint(path: Path, vocabulary: Vocabulary) -> str:
    digest = hashlib.sha256(read_bytes(path, MAX_BYTES))
    for id_ in of_kind(vocabulary.kinds, Kind.CONTROL, Kind.USER_DEFINED):
        digest.update(f"{id_}\0{vocabulary.kinds[id_]}\0{vocabulary.pieces[id_]}\0".encode())
    return digest.hexdigest()[:32]


_BERT = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
_READERS: dict[str, Callable[[Path, TokenizerSettings], Vocabulary]] = {
    "tokenizer.json": read_tokenizer_json,
    "tokenizer.model": _sentencepiece,
    "sentencepiece.bpe.model": _sentencepiece,
    "spiece.model": _sentencepiece,
    "tekken.json": lambda path, settings: read_tekken(path),
    "vocab.json": _vocabulary_and_merges("merges.txt"),
    "encoder.json": _vocabulary_and_merges("vocab.bpe"),
    "vocab.txt": _words,
}
