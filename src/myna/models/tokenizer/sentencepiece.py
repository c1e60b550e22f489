"""SentencePiece's ``tokenizer.model``: a protocol buffer, read here because the library would trust it.

Fields by their numbers are those of ``sentencepiece_model.proto`` (https://github.com/google/sentencepiece).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from myna.errors import ModelFileError
from myna.models.tokenizer.files import read_bytes
from myna.models.tokenizer.vocabulary import MAX_TOKENS, SPACE, Kind

MAX_BYTES = 2**25

UNIGRAM, BPE = 1, 2

_PIECES, _TRAINER, _NORMALIZER = 1, 2, 3


@dataclass(frozen=True, slots=True)
class SentencePieceModel:
    """What the file says. Ids are -1 where there is no such token; ``charsmap`` is empty where text stays as it is."""

    pieces: list[str]
    kinds: list[int]
    scores: list[float]
    algorithm: int
    bos_id: int
    eos_id: int
    space_prefix: bool
    one_space: bool
    charsmap: bytes


def read_model(path: Path) -> SentencePieceModel:
    """Read a ``tokenizer.model``.

    Raises:
        ModelFileError: it is truncated, too long, not a SentencePiece model, or of a kind that is not supported.
    """
    try:
        model = _model(read_bytes(path, MAX_BYTES))
    except (_Broken, UnicodeDecodeError) as error:
        raise ModelFileError(path, f"it is not a whole SentencePiece model ({error!s:.100})") from error
    if model.algorithm not in (UNIGRAM, BPE):
        raise ModelFileError(path, f"its algorithm is number {model.algorithm}; supported are 1 (Unigram) and 2 (BPE)")
    return model


class _Broken(ValueError):
    """The bytes are no protocol buffer of this kind."""


def _model(content: bytes) -> SentencePieceModel:
    pieces: list[str] = []
    kinds: list[int] = []
    scores: list[float] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(content):
        if number == _PIECES:
            if len(pieces) == MAX_TOKENS:
                raise _Broken(f"more than {MAX_TOKENS} pieces")
            piece = dict(_fields(_bytes(value)))
            kind = _whole(piece.get(3, Kind.NORMAL))
            if kind not in list(Kind):
                raise _Broken(f"piece {len(pieces)} is of kind {kind}")
            text = _bytes(piece.get(1, b"")).decode()
            # User-defined pieces are looked for in text as people write it.
            pieces.append(text.replace(SPACE, " ") if kind == Kind.USER_DEFINED else text)
            kinds.append(kind)
            scores.append(_number(piece.get(2, bytes(4))))
        elif number == _TRAINER:
            trainer = dict(_fields(_bytes(value)))
        elif number == _NORMALIZER:
            normalizer = dict(_fields(_bytes(value)))
    if not pieces:
        raise _Broken("it has no pieces")
    if _whole(trainer.get(24, 0)):
        raise _Broken("spaces at the end of words (treat_whitespace_as_suffix) are not supported")
    if not _whole(normalizer.get(5, 1)):
        raise _Broken("spaces that are not marked (escape_whitespaces) are not supported")
    return SentencePieceModel(
        pieces,
        kinds,
        scores,
        algorithm=_whole(trainer.get(3, UNIGRAM)),
        bos_id=_id(trainer.get(41, 1), len(pieces)),
        eos_id=_id(trainer.get(42, 2), len(pieces)),
        space_prefix=bool(_whole(normalizer.get(3, 1))),
        one_space=bool(_whole(normalizer.get(4, 1))),
        charsmap=_bytes(normalizer.get(2, b"")),
    )


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values of a message: whole numbers, or bytes of any other kind."""
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(content, at)
            yield number, value
            continue
        if wire == 2:
            size, at = _varint(content, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Broken(f"a field of wire type {wire}")
        if size > len(content) - at:
            raise _Broken("it ends in the middle of a field")
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise _Broken("it ends in the middle of a number")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & (2**64 - 1), at
    raise _Broken("a number of more than ten bytes")


def _whole(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise _Broken("a field that should be a whole number is not")
    return value


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise _Broken("a field that should be bytes is a number")
    return value


def _number(value: int | bytes) -> float:
    data = _bytes(value)
    if len(data) != 4:
        raise _Broken("a score that is not a number")
    (score,) = struct.unpack("<f", data)
    if not -1e12 < score < 1e12:  # also false for NaN
        raise _Broken(f"a score is {score}")
    return float(score)


def _id(value: int | bytes, size: int) -> int:
    """A token id; -1, as a protocol buffer writes it, says that there is none."""
    number = _whole(value)
    return number if number < size else -1
