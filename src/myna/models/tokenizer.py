"""Text <-> tokens, built from a model file's own vocabulary.

Plain text and control tokens never mix: `Tokenizer.encode` treats everything as text, also what is spelled like a
control token, because control tokens are not in the vocabulary that it merges into. Only `Tokenizer.split_control`
finds them, and only a chat template's own words go there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum

import tokenizers
from tokenizers import AddedToken, models, normalizers

from myna.errors import ModelFileError
from myna.formats import ModelFile
from myna.models.pretokenizers import BYTE_LEVEL, ByteLevelRules

SPACE = "\u2581"
"""What SentencePiece vocabularies write for a space."""

END_TOKENS = frozenset(
    ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "</s>")
)
"""Control tokens that end an answer in one model or another; files name at most some of theirs."""


MAX_TEMPLATE = 2**20
"""Characters of a chat template; the longest of real models have 20,000."""

MAX_SENTENCEPIECE = 256
"""Characters of a piece; every way to cut it in two is looked at."""

MAX_CONTROL_TOKENS = 2**14


class Kind(IntEnum):
    """What a token is, as GGUF's ``token_type`` counts."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Tokenizer:
    """A vocabulary with its rules. Immutable; may be used by many threads at once.

    ``fingerprint`` identifies the vocabulary: token ids mean the same wherever it is equal. ``adds_bos`` says whether
    a prompt of plain text begins with ``bos_id``. Any of ``stop_token_ids`` ends an answer.
    """

    def __init__(
        self,
        core: tokenizers.Tokenizer,
        pieces: Sequence[str],
        kinds: Sequence[int],
        *,
        byte_level: bool,
        space_prefix: bool,
        bos_id: int | None,
        eos_id: int | None,
        adds_bos: bool,
        stop_token_ids: frozenset[int],
        fingerprint: str,
    ) -> None:
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.adds_bos = adds_bos
        self.stop_token_ids = stop_token_ids
        self.fingerprint = fingerprint
        self._core = core
        self._pieces = pieces
        self._kinds = kinds
        self._byte_level = byte_level
        self._space_prefix = space_prefix
        self._bytes: list[bytes | None] = [None] * len(pieces)
        self._control = {pieces[id_]: id_ for id_ in _of_kind(kinds, Kind.CONTROL, Kind.USER_DEFINED) if pieces[id_]}
        longest_first = sorted(self._control, key=len, reverse=True)
        self._control_pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @property
    def vocab_size(self) -> int:
        """Number of tokens, control tokens included."""
        return len(self._pieces)

    def encode(self, text: str, *, continues: bool = False) -> list[int]:
        """Token ids of plain text; what looks like a control token is text too.

        ``continues``: the text goes on from tokens of text before it, so that a vocabulary that marks the beginning of
        text with a space does not do so here.
        """
        if self._space_prefix and text and not continues:
            text = " " + text
        try:
            return self._encode(text)
        except TypeError:  # half a UTF-16 pair, which JSON can carry and UTF-8 cannot: it becomes U+FFFD
            return self._encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a text that a model is to carry on, with the begin-of-text token if the model wants one."""
        ids = self.encode(text)
        return [self.bos_id, *ids] if self.adds_bos and self.bos_id is not None else ids

    def split_control(self, text: str) -> list[str | int]:
        """The text between control tokens, and their ids, in order; the longest token wins. For trusted text only."""
        found: list[str | int] = []
        position = 0
        for match in self._control_pattern.finditer(text):
            if match.start() > position:
                found.append(text[position : match.start()])
            found.append(self._control[match.group()])
            position = match.end()
        if position < len(text):
            found.append(text[position:])
        return found

    def token_bytes(self, token_id: int) -> bytes:
        """What a token adds to the text, maybe part of a character; nothing for control tokens.

        Raises IndexError for an id outside of the vocabulary.
        """
        known = self._bytes[token_id]
        if known is None:
            known = self._bytes[token_id] = self._spell(token_id)
        return known

    def token_name(self, token_id: int) -> str:
        """The vocabulary's own spelling, also of control tokens."""
        return self._pieces[token_id]

    def is_control(self, token_id: int) -> bool:
        """True for tokens that steer the model and are never text."""
        return self._kinds[token_id] in _SILENT

    def decode(self, token_ids: Iterable[int]) -> str:
        """The text of the tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, token_ids)).decode(errors="replace")

    def _encode(self, text: str) -> list[int]:
        # A batch of one, because that releases Python's lock; the plain call holds it for the whole text.
        [encoding] = self._core.encode_batch_fast([text], add_special_tokens=False)
        return encoding.ids

    def _spell(self, token_id: int) -> bytes:
        piece, kind = self._pieces[token_id], self._kinds[token_id]
        if kind in _SILENT:
            return b""
        if kind == Kind.BYTE:
            return bytes([int(piece[3:5], 16)])
        if kind == Kind.USER_DEFINED:
            return piece.encode()
        if self._byte_level:
            return b"".join(_BYTE_OF.get(character) or character.encode() for character in piece)
        return piece.replace(SPACE, " ").encode()


def load_tokenizer(file: ModelFile) -> Tokenizer:
    """Build the tokenizer that a model file describes.

    Raises:
        ModelFileError: keys are missing or contradict each other, or the vocabulary is of a kind that is not supported.
    """
    metadata = file.metadata
    model = metadata.string("tokenizer.ggml.model")
    pieces = metadata.strings("tokenizer.ggml.tokens")
    special = {name: _special_id(file, len(pieces), name) for name in ("bos", "eos", "eot", "eom")}
    kinds = _kinds(file, pieces, special.values())
    if model == "gpt2":
        pre = metadata.string("tokenizer.ggml.pre", "default")
        if pre not in BYTE_LEVEL:
            raise ModelFileError(
                file.path, f"its pre-tokenizer {pre!r} is not known; known: {', '.join(sorted(BYTE_LEVEL))}"
            )
        rules = BYTE_LEVEL[pre]
        core = _byte_level(file, pieces, kinds, rules)
        adds_bos, space_prefix = rules.adds_bos, False
    elif model == "llama":
        core = _sentencepiece(file, pieces, kinds)
        adds_bos, space_prefix = True, True
    else:
        raise ModelFileError(file.path, f"its vocabulary is of the kind {model!r}; supported are gpt2 and llama")
    core.add_tokens([AddedToken(piece, normalized=False) for piece in _matched_in_text(file, pieces, kinds)])
    ends = {id_ for name, id_ in special.items() if name != "bos" and id_ is not None}
    ends |= {id_ for id_ in _of_kind(kinds, Kind.CONTROL) if pieces[id_] in END_TOKENS}
    return Tokenizer(
        core,
        pieces,
        kinds,
        byte_level=model == "gpt2",
        space_prefix=metadata.boolean("tokenizer.ggml.add_space_prefix", space_prefix),
        bos_id=special["bos"],
        eos_id=special["eos"],
        adds_bos=metadata.boolean("tokenizer.ggml.add_bos_token", adds_bos),
        stop_token_ids=frozenset(ends),
        fingerprint=_fingerprint(file),
    )


def _special_id(file: ModelFile, size: int, name: str) -> int | None:
    key = f"tokenizer.ggml.{name}_token_id"
    return file.metadata.integer(key, maximum=size - 1) if key in file.metadata else None


def _kinds(file: ModelFile, pieces: list[str], special: Iterable[int | None]) -> list[int]:
    if not pieces:
        raise ModelFileError(file.path, "its vocabulary is empty")
    key = "tokenizer.ggml.token_type"
    kinds: list[int] = file.metadata.integers(key) if key in file.metadata else [Kind.NORMAL] * len(pieces)
    if len(kinds) != len(pieces):
        raise ModelFileError(file.path, f"{key} has {len(kinds)} entries for {len(pieces)} tokens")
    for id_ in special:
        if id_ is not None:
            kinds[id_] = Kind.CONTROL
    control = len(_of_kind(kinds, Kind.CONTROL, Kind.USER_DEFINED))
    if control > MAX_CONTROL_TOKENS:
        raise ModelFileError(file.path, f"its vocabulary has {control} control tokens, more than {MAX_CONTROL_TOKENS}")
    for id_ in _of_kind(kinds, Kind.BYTE):
        if not _BYTE_PIECE.fullmatch(pieces[id_]):
            raise ModelFileError(file.path, f"token {id_}, {pieces[id_]!r}, does not name a byte")
    return kinds


def _matched_in_text(file: ModelFile, pieces: list[str], kinds: list[int]) -> list[str]:
    """User-defined tokens are found in plain text too, but for those that the chat template itself writes.

    Whitespace runs and HTML tags are such tokens in some vocabularies; ``<think>`` and ``<tool_call>`` are such tokens
    as well, and a user who types them must not speak for the model.
    """
    template = file.metadata.string("tokenizer.chat_template", "", maximum=MAX_TEMPLATE)
    found = (pieces[id_] for id_ in _of_kind(kinds, Kind.USER_DEFINED))
    return [piece for piece in found if piece and piece not in template]


def _of_kind(kinds: Sequence[int], *wanted: Kind) -> list[int]:
    """Token ids of these kinds, in order."""
    numbers = frozenset(map(int, wanted))
    return [id_ for id_, kind in enumerate(kinds) if kind in numbers]


def _byte_level(file: ModelFile, pieces: list[str], kinds: list[int], rules: ByteLevelRules) -> tokenizers.Tokenizer:
    vocabulary = _mergeable(pieces, kinds)
    written = file.metadata.strings("tokenizer.ggml.merges")
    merges = [(left, right) for left, _, right in [merge.partition(" ") for merge in written]]
    # Checked here because the library would panic instead of raising; as sets, because there are many.
    involved = {merge.replace(" ", "", 1) for merge in written}.union(*zip(*merges, strict=True))
    if unknown := involved - vocabulary.keys():
        raise ModelFileError(file.path, f"its merges use or make {min(unknown)!r:.80}, which is not a token")
    core = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=rules.ignore_merges))
    core.pre_tokenizer = rules.pre_tokenizer()
    if rules.normalizer is not None:
        core.normalizer = rules.normalizer()
    return core


def _sentencepiece(file: ModelFile, pieces: list[str], kinds: list[int]) -> tokenizers.Tokenizer:
    """SentencePiece joins the two neighbours whose union scores best: as merges, every split of a piece, by score."""
    scores = file.metadata.numbers("tokenizer.ggml.scores")
    if len(scores) != len(pieces):
        raise ModelFileError(file.path, f"tokenizer.ggml.scores has {len(scores)} entries for {len(pieces)} tokens")
    ids = {pieces[id_]: id_ for id_ in _of_kind(kinds, Kind.NORMAL)}
    ranked = []
    for piece, id_ in ids.items():
        if len(piece) > MAX_SENTENCEPIECE:
            raise ModelFileError(file.path, f"token {id_} has {len(piece)} characters, more than {MAX_SENTENCEPIECE}")
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in ids and right in ids:
                ranked.append((-scores[id_], ids[left], ids[right], left, right))
    ranked.sort()
    unknown = next((pieces[id_] for id_ in _of_kind(kinds, Kind.UNKNOWN)), None)
    core = tokenizers.Tokenizer(
        models.BPE(
            vocab=_mergeable(pieces, kinds),
            merges=[(left, right) for *_, left, right in ranked],
            byte_fallback=Kind.BYTE in kinds,
            unk_token=unknown,
            fuse_unk=True,
        )
    )
    core.normalizer = normalizers.Replace(" ", SPACE)
    return core


def _mergeable(pieces: list[str], kinds: list[int]) -> dict[str, int]:
    """What text may become; of equal pieces the first. Control tokens are left out, so that no text becomes one."""
    ids = dict(zip(reversed(pieces), reversed(range(len(pieces))), strict=True))
    for id_ in _of_kind(kinds, Kind.CONTROL, Kind.UNUSED):
        ids.pop(pieces[id_], None)
    return ids


def _fingerprint(file: ModelFile) -> str:
    digest = hashlib.sha256()
    for key in sorted(key for key in file.metadata if key.startswith("tokenizer.ggml.")):
        value = file.metadata[key]
        content = repr(value).encode() if isinstance(value, bool | int | float | str) else value.raw()
        digest.update(f"{key}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:32]


def _byte_alphabet() -> dict[str, bytes]:
    """The printable characters by which byte-level vocabularies write bytes (GPT-2's ``bytes_to_unicode``)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    alphabet = {chr(byte): bytes([byte]) for byte in printable}
    for byte in range(256):
        if byte not in printable:
            alphabet[chr(256 + len(alphabet) - len(printable))] = bytes([byte])
    return alphabet


_BYTE_OF = _byte_alphabet()
_BYTE_PIECE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_SILENT = frozenset((Kind.UNKNOWN, Kind.CONTROL, Kind.UNUSED))
