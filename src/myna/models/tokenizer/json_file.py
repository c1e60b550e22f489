"""``tokenizer.json``, the file of the tokenizers library: its rules are kept, its control tokens are taken out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, normalizers

from myna.errors import ModelFileError
from myna.formats.jsonfile import read_object
from myna.models.tokenizer.infill import mark_control
from myna.models.tokenizer.rules import checked_rules, without_prefix
from myna.models.tokenizer.settings import Added, TokenizerSettings, added_token, checked_id
from myna.models.tokenizer.vocabulary import (
    BYTE_PIECE,
    MAX_CONTROL_TOKENS,
    MAX_PIECE,
    Kind,
    Model,
    Rules,
    Spelling,
    Vocabulary,
    assemble,
    bpe_model,
    check_kinds,
    guarded,
    mergeable,
    unigram_model,
    wordpiece_model,
)

MAX_BYTES = 2**27

MAX_AROUND = 64
"""Tokens that a post-processor may put around a text; models have one or two."""

MAX_WORD = 1000
"""Characters of a word that WordPiece may be asked to cut up."""


def read_tokenizer_json(path: Path, settings: TokenizerSettings) -> Vocabulary:
    """Build the vocabulary that a ``tokenizer.json`` describes.

    Args:
        path: the file.
        settings: what the files beside it say; their added tokens win over the file's own.

    Raises:
        ModelFileError: the file is broken, hostile, or of a kind that is not supported.
    """
    content = read_object(path, MAX_BYTES)
    added = {**_added_tokens(path, content), **settings.added}
    if len(added) > MAX_CONTROL_TOKENS:
        raise ModelFileError(path, f"it adds {len(added)} tokens, more than {MAX_CONTROL_TOKENS}")
    written = _Written(path, content.get("model"))
    pieces, kinds = _pieces(written, added, settings)
    check_kinds(path, pieces, kinds)
    model = written.build(pieces, kinds)
    matched = [
        AddedToken(
            token.content,
            single_word=token.single_word,
            lstrip=token.lstrip,
            rstrip=token.rstrip,
            normalized=token.normalized,
        )
        for id_, token in added.items()
        if kinds[id_] == Kind.USER_DEFINED and token.content not in settings.chat_template
    ]
    own = {"normalizer": content.get("normalizer"), "pre_tokenizer": content.get("pre_tokenizer")}
    checked_rules(path, own)
    plain, after_control = without_prefix(own)
    beginning = assemble(model, _rules(path, own), matched)
    continuing = beginning if plain == own else assemble(model, _rules(path, plain), matched)
    before, after, between = _around(path, content.get("post_processor"), len(pieces))
    return Vocabulary(
        pieces,
        kinds,
        _spelling(written.type, content),
        beginning,
        continuing,
        prefix_after_control=after_control,
        before=before,
        after=after,
        between=between,
        strips={
            id_: (token.lstrip, token.rstrip)
            for id_, token in added.items()
            if kinds[id_] == Kind.CONTROL and (token.lstrip or token.rstrip)
        },
    )


_PAIR = [str, str]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of the merged vocabulary; only Unigram has scores."""

    text: str
    score: float = 0.0


class _Written:
    """The ``model`` of the file, checked as far as its own kind goes."""

    def __init__(self, path: Path, model: Any) -> None:
        if not isinstance(model, dict):
            raise ModelFileError(path, "it has no model")
        self.path = path
        self.options: dict[str, Any] = model
        # The oldest files leave the type out.
        self.type = model.get("type") or ("WordPiece" if "max_input_chars_per_word" in model else "BPE")
        if self.type not in ("BPE", "Unigram", "WordPiece"):
            raise ModelFileError(path, f"its vocabulary is of the kind {self.type!r:.40}; supported are BPE, Unigram "
                                       "and WordPiece")  # fmt: skip
        self.vocabulary = dict(self._unigram() if self.type == "Unigram" else self._numbered())

    @property
    def unknown(self) -> str | None:
        """The piece for what cannot be spelt."""
        if self.type == "Unigram":
            id_ = self.options.get("unk_id")
            piece = None if id_ is None else self.vocabulary.get(checked_id(self.path, id_))
            return None if piece is None else piece.text
        name = self.options.get("unk_token")
        return name if isinstance(name, str) else None

    @property
    def has_bytes(self) -> bool:
        """Whether characters without a piece are spelt in bytes."""
        return self.options.get("byte_fallback") is True

    def build(self, pieces: list[str], kinds: list[int]) -> Model:
        """The library's model."""
        if self.type == "Unigram":
            scores = [self.vocabulary[id_].score if id_ in self.vocabulary else 0.0 for id_ in range(len(pieces))]
            return unigram_model(self.path, pieces, kinds, scores)
        ids = mergeable(pieces, kinds)
        if self.type == "WordPiece":
            longest = self.options.get("max_input_chars_per_word", 100)
            if not isinstance(longest, int) or not 0 < longest <= MAX_WORD:
                raise ModelFileError(
                    self.path, f"max_input_chars_per_word is {longest!r:.40}, expected 1 to {MAX_WORD}"
                )
            return wordpiece_model(
                self.path,
                ids,
                self.unknown or "[UNK]",
                max_input_chars_per_word=longest,
                continuing_subword_prefix=self._text("continuing_subword_prefix") or "##",
            )
        unknown = self.unknown if self.unknown in ids else None
        return bpe_model(
            self.path,
            ids,
            self._merges(),
            byte_fallback=self.has_bytes,
            unk_token=unknown,
            fuse_unk=self.options.get("fuse_unk") is True,
            ignore_merges=self.options.get("ignore_merges") is True,
            continuing_subword_prefix=self._text("continuing_subword_prefix"),
            end_of_word_suffix=self._text("end_of_word_suffix"),
        )

    def _numbered(self) -> Iterator[tuple[int, _Piece]]:
        vocabulary = self.options.get("vocab")
        if not isinstance(vocabulary, dict):
            raise ModelFileError(self.path, "its model has no vocabulary")
        for text, id_ in vocabulary.items():
            yield checked_id(self.path, id_), _Piece(text)

    def _unigram(self) -> Iterator[tuple[int, _Piece]]:
        vocabulary = self.options.get("vocab")
        if not isinstance(vocabulary, list):
            raise ModelFileError(self.path, "its model has no vocabulary")
        for id_, entry in enumerate(vocabulary):
            match entry:
                case [str(text), int() | float() as score] if not isinstance(score, bool):
                    yield checked_id(self.path, id_), _Piece(text, float(score))
                case _:
                    raise ModelFileError(self.path, f"entry {id_} of its vocabulary is {entry!r:.60}")

    def _merges(self) -> list[tuple[str, str]]:
        """Pairs, as they are or written with a space between; hundreds of thousands, so the good case is quick."""
        merges = self.options.get("merges")
        if not isinstance(merges, list):
            raise ModelFileError(self.path, "its model has no merges")
        pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
        for merge, pair in zip(merges, pairs, strict=True):
            if not isinstance(pair, list) or list(map(type, pair)) != _PAIR:
                raise ModelFileError(self.path, f"one of its merges is {merge!r:.60}")
        return [(left, right) for left, right in pairs]

    def _text(self, name: str) -> str | None:
        value = self.options.get(name)
        if not isinstance(value, str) or not value:
            return None
        if len(value) > MAX_PIECE or not value.isprintable():  # half a UTF-16 pair is not, either
            raise ModelFileError(self.path, f"{name} is {value!r:.40}")
        return value


def _pieces(written: _Written, added: Mapping[int, Added], settings: TokenizerSettings) -> tuple[list[str], list[int]]:
    """Every id's piece and kind; ids that nothing uses are unused."""
    size = 1 + max((*written.vocabulary, *added), default=-1)
    pieces, kinds = [""] * size, [int(Kind.UNUSED)] * size
    for id_, piece in written.vocabulary.items():
        pieces[id_] = piece.text
        is_byte = written.has_bytes and BYTE_PIECE.fullmatch(piece.text)
        kinds[id_] = Kind.BYTE if is_byte else Kind.NORMAL
    control = {name for part, name in settings.special.items() if part not in ("unk_token", "pad_token")}
    control |= settings.control
    for id_, token in added.items():
        if len(token.content) > MAX_PIECE:
            raise ModelFileError(written.path, f"added token {id_} has more than {MAX_PIECE} characters")
        pieces[id_] = token.content
        kinds[id_] = Kind.CONTROL if token.special else Kind.USER_DEFINED
    unknown = written.unknown
    for id_, text in enumerate(pieces):
        if text == unknown and text not in control:
            kinds[id_] = Kind.UNKNOWN
        elif text in control and kinds[id_] != Kind.UNUSED:
            kinds[id_] = Kind.CONTROL
    mark_control(pieces, kinds)
    return pieces, kinds


def _added_tokens(path: Path, content: Mapping[str, Any]) -> dict[int, Added]:
    listed = content.get("added_tokens") or []
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise ModelFileError(path, "its added tokens are not a list")
    return {checked_id(path, each.get("id")): added_token(path, each) for each in listed}


def _rules(path: Path, own: Mapping[str, Any]) -> Rules:
    """The library's own objects for rules, which it makes only as parts of a whole tokenizer."""
    whole = {"version": "1.0", "added_tokens": [], **own, "model": {"type": "BPE", "vocab": {}, "merges": []}}
    with guarded(path, "rules are broken"):
        made = tokenizers.Tokenizer.from_str(json.dumps(whole))
    normalizer: normalizers.Normalizer | None = made.normalizer
    return Rules(() if normalizer is None else (normalizer,), made.pre_tokenizer)


def _around(path: Path, processor: Any, size: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]:
    """What the post-processor puts before and after one text, and between two if it says so."""
    between: list[Any] | None = None
    before: list[int] = []
    after: list[int] = []
    for step in _steps(processor, 0):
        match step:
            case {"type": "TemplateProcessing", "single": list(single), "special_tokens": dict(special)}:
                inner_before, inner_after = _template(single, special)
                between = _middle(step.get("pair"), special, inner_before, inner_after)
            case {"type": "BertProcessing" | "RobertaProcessing" as kind, "cls": [_, cls], "sep": [_, sep]}:
                inner_before, inner_after = [cls], [sep]
                between = [sep, sep] if kind == "RobertaProcessing" else [sep]
            case {"type": "ByteLevel"}:
                continue
            case _:
                raise ModelFileError(path, f"its post-processor is {step!r:.80}")
        before, after = inner_before + before, after + inner_after
        if len(before) + len(after) > MAX_AROUND:
            raise ModelFileError(path, f"its post-processor adds more than {MAX_AROUND} tokens")
    for id_ in (*before, *after, *(between or ())):
        if checked_id(path, id_) >= size:
            raise ModelFileError(path, f"its post-processor adds token {id_} of a vocabulary of {size}")
    return tuple(before), tuple(after), None if between is None else tuple(between)


def _steps(processor: Any, depth: int) -> Iterator[Any]:
    if processor is None:
        return
    if isinstance(processor, dict) and processor.get("type") == "Sequence" and depth < 4:
        listed = processor.get("processors")
        for each in listed if isinstance(listed, list) else ():
            yield from _steps(each, depth + 1)
    else:
        yield processor


def _template(single: list[Any], special: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    sides: tuple[list[Any], list[Any]] = ([], [])
    side = 0
    for part in single:
        match part:
            case {"Sequence": _}:
                side = 1
            case {"SpecialToken": {"id": str(name)}} if isinstance(special.get(name), dict):
                ids = special[name].get("ids")
                sides[side].extend(ids if isinstance(ids, list) else [ids])
            case _:
                sides[side].append(None)  # which is no token id, and is refused as that
    return sides


_A_AND_B = [[{"id": "A", "type_id": 0}, {"id": "B", "type_id": kind}] for kind in range(2)]


def _middle(pair: Any, special: dict[str, Any], before: list[Any], after: list[Any]) -> list[Any] | None:
    """What stands between two texts, where the template for them has both in order and around them what one has."""
    parts = pair if isinstance(pair, list) else []
    at = [index for index, part in enumerate(parts) if isinstance(part, dict) and "Sequence" in part]
    if [parts[index]["Sequence"] for index in at] not in _A_AND_B:
        return None
    first, second = at
    left, middle, right = (
        _template(some, special)[0] for some in (parts[:first], parts[first + 1 : second], parts[second + 1 :])
    )
    return middle if (left, right) == (before, after) else None


def _spelling(model: str, content: Mapping[str, Any]) -> Spelling:
    if model == "WordPiece":
        return "words"
    rules = json.dumps([content.get("pre_tokenizer"), content.get("decoder"), content.get("normalizer")])
    return "bytes" if '"ByteLevel"' in rules else "spaces"
