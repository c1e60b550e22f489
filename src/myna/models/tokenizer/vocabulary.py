"""A vocabulary and the rules that cut text into it, whatever file they come from."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

import tokenizers
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers

from myna.errors import ModelFileError

SPACE = "\u2581"
"""What SentencePiece vocabularies write for a space."""

MAX_PIECE = 256
"""Characters of a piece; of some vocabularies every way to cut it in two is looked at."""

MAX_TOKENS = 2**21

MAX_CONTROL_TOKENS = 2**14

BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")

END_TOKENS = frozenset(
    ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "</s>")
)
"""Control tokens that end an answer in one model or another; files name at most some of theirs."""

HARMONY_ENDS = frozenset(("<|return|>", "<|call|>"))
"""Where a vocabulary has these (gpt-oss), ``<|end|>`` ends only one of the messages that make an answer."""

Model = models.BPE | models.Unigram | models.WordPiece

Spelling = Literal["bytes", "spaces", "words"]
"""How pieces are written: in GPT-2's letters for bytes, with `SPACE` for spaces, or as words and ``##`` parts."""


class Kind(IntEnum):
    """What a token is, as GGUF's ``token_type`` and SentencePiece count."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


_UNSPELLABLE = f"\U0010ffff{secrets.token_hex(16)}"

SILENT = frozenset((Kind.UNKNOWN, Kind.CONTROL, Kind.UNUSED))


@dataclass(frozen=True, slots=True)
class Rules:
    """What is done to text before it is merged into pieces."""

    normalizers: tuple[normalizers.Normalizer, ...] = ()
    pre_tokenizer: pre_tokenizers.PreTokenizer | None = None


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces by id, their kinds, and the two ways to encode text.

    ``beginning`` encodes text at the beginning of a prompt, ``continuing`` text that goes on from other text: they
    differ where a vocabulary puts a space before text. ``prefix_after_control``: text after a control token begins
    anew. ``before`` and ``after`` stand around a document that is to be embedded, ``between`` between two that are
    compared; None where the files do not say. ``strips`` says of control tokens
    whether they swallow the spaces on their left and right.
    """

    pieces: list[str]
    kinds: list[int]
    spelling: Spelling
    beginning: tokenizers.Tokenizer
    continuing: tokenizers.Tokenizer
    prefix_after_control: bool = True
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    between: tuple[int, ...] | None = None
    strips: Mapping[int, tuple[bool, bool]] = field(default_factory=dict)


@contextmanager
def guarded(path: Path, doing: str) -> Iterator[None]:
    """The library's failures as ModelFileError, and its panics, which are no Exception. A wrong type passes."""
    try:
        yield
    except TypeError:
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise ModelFileError(path, f"its {doing} ({' '.join(str(error).split())[:200]})") from error
        raise


def assemble(model: Model, rules: Rules, matched: Sequence[AddedToken]) -> tokenizers.Tokenizer:
    """The library's tokenizer of a model, which several may share; ``matched`` are found in text before all else."""
    core = tokenizers.Tokenizer(model)
    if rules.normalizers:
        core.normalizer = normalizers.Sequence(list(rules.normalizers))
    if rules.pre_tokenizer is not None:
        core.pre_tokenizer = rules.pre_tokenizer
    core.add_tokens(list(matched))
    return core


def of_kind(kinds: Sequence[int], *wanted: Kind) -> list[int]:
    """Token ids of these kinds, in order."""
    numbers = frozenset(map(int, wanted))
    return [id_ for id_, kind in enumerate(kinds) if kind in numbers]


def mergeable(pieces: Sequence[str], kinds: Sequence[int]) -> dict[str, int]:
    """What text may become; of equal pieces the first. Control tokens are left out, so that no text becomes one."""
    ids = dict(zip(reversed(pieces), reversed(range(len(pieces))), strict=True))
    for id_ in of_kind(kinds, Kind.CONTROL, Kind.UNUSED):
        ids.pop(pieces[id_], None)
    return ids


def check_kinds(path: Path, pieces: Sequence[str], kinds: Sequence[int]) -> None:
    """Raise ModelFileError for what no vocabulary has."""
    if not pieces:
        raise ModelFileError(path, "its vocabulary is empty")
    if len(pieces) > MAX_TOKENS:
        raise ModelFileError(path, f"its vocabulary has {len(pieces)} tokens, more than {MAX_TOKENS}")
    try:
        "".join(pieces).encode()
    except UnicodeEncodeError as error:  # half a UTF-16 pair, which JSON can carry: the library may abort on it
        raise ModelFileError(path, f"its vocabulary has a piece that is not Unicode ({error.reason})") from None
    control = len(of_kind(kinds, Kind.CONTROL, Kind.USER_DEFINED))
    if control > MAX_CONTROL_TOKENS:
        raise ModelFileError(path, f"its vocabulary has {control} control tokens, more than {MAX_CONTROL_TOKENS}")
    for id_ in of_kind(kinds, Kind.BYTE):
        if not BYTE_PIECE.fullmatch(pieces[id_]):
            raise ModelFileError(path, f"token {id_}, {pieces[id_]!r}, does not name a byte")


def matched_in_text(pieces: Sequence[str], kinds: Sequence[int], template: str) -> list[AddedToken]:
    """User-defined tokens are found in plain text too, but for those that the chat template itself writes.

    Whitespace runs and HTML tags are such tokens in some vocabularies; ``<think>`` and ``<tool_call>`` are such tokens
    as well, and a user who types them must not speak for the model.
    """
    found = (pieces[id_] for id_ in of_kind(kinds, Kind.USER_DEFINED))
    return [AddedToken(piece, normalized=False) for piece in found if piece and piece not in template]


def end_token_ids(pieces: Sequence[str], kinds: Sequence[int], declared: Iterable[int | None]) -> frozenset[int]:
    """The tokens that end an answer: those that the files name, and control tokens known to do so."""
    control = {pieces[id_]: id_ for id_ in of_kind(kinds, Kind.CONTROL)}
    names = END_TOKENS
    if control.keys() >= HARMONY_ENDS:
        names = (END_TOKENS | HARMONY_ENDS) - {"<|end|>"}
    return frozenset({id_ for id_ in declared if id_ is not None} | {control[name] for name in names & control.keys()})


def bpe_model(path: Path, vocabulary: dict[str, int], merges: list[tuple[str, str]], **options: Any) -> models.BPE:
    """Pieces that are merged in the order of ``merges``. Raises ModelFileError for merges of what is no token."""
    # Checked here because the library panics on some of it, half-way, and may abort; as sets, because there are many.
    joint = options.get("continuing_subword_prefix") or ""
    if joint and not all(right.startswith(joint) for _, right in merges):
        raise ModelFileError(path, f"its merges join parts of words that do not begin with {joint!r:.40}")
    involved = {left + right.removeprefix(joint) for left, right in merges}.union(*zip(*merges, strict=True))
    if unknown := involved - vocabulary.keys():
        raise ModelFileError(path, f"its merges use or make {min(unknown)!r:.80}, which is not a token")
    given = {name: value for name, value in options.items() if value is not None}
    with guarded(path, "merges are broken"):
        return models.BPE(vocab=vocabulary, merges=merges, **given)


def scored_bpe_model(path: Path, pieces: Sequence[str], kinds: Sequence[int], scores: Sequence[float]) -> models.BPE:
    """SentencePiece joins the two neighbours whose union scores best: as merges, every split of a piece, by score.

    Of several splits of one piece SentencePiece takes what stands leftmost. A list of merges cannot say so, but longer
    left parts first come to the same where it shows, in long runs of one character.
    """
    ids = {pieces[id_]: id_ for id_ in of_kind(kinds, Kind.NORMAL)}
    ranked = []
    for piece, id_ in ids.items():
        if len(piece) > MAX_PIECE:
            raise ModelFileError(path, f"token {id_} has {len(piece)} characters, more than {MAX_PIECE}")
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                ranked.append((-scores[id_], -len(left), ids[left], left, right))
    ranked.sort()
    unknown = next((pieces[id_] for id_ in of_kind(kinds, Kind.UNKNOWN)), None)
    return models.BPE(
        vocab=mergeable(pieces, kinds),
        merges=[(left, right) for *_, left, right in ranked],
        byte_fallback=Kind.BYTE in kinds,
        unk_token=unknown,
        fuse_unk=True,
    )


def unigram_model(path: Path, pieces: Sequence[str], kinds: Sequence[int], scores: Sequence[float]) -> models.Unigram:
    """The most probable cut of a text into pieces.

    The library numbers the pieces by their place in a list, and would find any of them in text. So what text must not
    become gets a name that it cannot spell.
    """
    unknown = of_kind(kinds, Kind.UNKNOWN)
    if len(unknown) != 1:
        raise ModelFileError(path, f"its vocabulary has {len(unknown)} unknown tokens, expected 1")
    if (longest := max(map(len, pieces))) > MAX_PIECE:
        raise ModelFileError(path, f"it has a token of {longest} characters, more than {MAX_PIECE}")
    if not all(-1e12 < score < 1e12 for score in scores):  # also false for NaN
        raise ModelFileError(path, "its vocabulary has scores that are not finite")
    allowed = mergeable(pieces, kinds)
    spelt = {Kind.NORMAL, Kind.USER_DEFINED, Kind.BYTE}
    names = [
        piece if kind in spelt and piece and allowed.get(piece) == id_ else f"{_UNSPELLABLE}{id_}"
        for id_, (piece, kind) in enumerate(zip(pieces, kinds, strict=True))
    ]
    with guarded(path, "vocabulary is broken"):
        return models.Unigram(list(zip(names, scores, strict=True)), unknown[0], byte_fallback=Kind.BYTE in kinds)


def wordpiece_model(path: Path, vocabulary: dict[str, int], unknown: str, **options: Any) -> models.WordPiece:
    """Whole words where there are such, else the longest parts from the left."""
    if unknown not in vocabulary:
        raise ModelFileError(path, f"its vocabulary lacks {unknown!r}, the token for what it cannot spell")
    with guarded(path, "vocabulary is broken"):
        return models.WordPiece(vocabulary, unk_token=unknown, **options)


def spaced_rules(*, prefix: bool, charsmap: bytes = b"", one_space: bool = False, path: Path = Path()) -> Rules:
    """SentencePiece's: characters are replaced as ``charsmap`` says, spaces made one, a space put before, all marked.

    Raises:
        ModelFileError: the map is not one.
    """
    steps: list[normalizers.Normalizer] = []
    if charsmap:
        with guarded(path, "map of characters (precompiled_charsmap) is broken"):
            steps.append(normalizers.Precompiled(charsmap))
    if one_space:
        steps += [normalizers.Replace(Regex(r"\A +| +\z"), ""), normalizers.Replace(Regex(" {2,}"), " ")]
    if prefix:
        steps.append(normalizers.Prepend(SPACE))
    # The library would take text that is spelt like a byte's piece, <0x41>, for that byte.
    whole_bytes = pre_tokenizers.Split(Regex("<0(?=x[0-9A-Fa-f]{2}>)"), "isolated")
    return Rules((*steps, normalizers.Replace(" ", SPACE)), whole_bytes)


def bert_rules(*, lowercase: bool, strip_accents: bool | None = None, split_chinese: bool = True) -> Rules:
    """BERT's: control characters dropped, Chinese characters words of their own, accents and case maybe dropped."""
    normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=split_chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    return Rules((normalizer,), pre_tokenizers.BertPreTokenizer())
