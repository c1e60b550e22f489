"""Text <-> tokens.

Plain text and control tokens never mix: `Tokenizer.encode` treats everything as text, also what is spelled like a
control token, because control tokens are not in the vocabulary that it merges into. Only `Tokenizer.split_control`
finds them, and only a chat template's own words go there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import tokenizers

from myna.models.tokenizer.infill import Infill
from myna.models.tokenizer.vocabulary import SILENT, SPACE, Kind, Vocabulary, guarded, of_kind


class Tokenizer:
    """A vocabulary with its rules. Immutable; may be used by many threads at once.

    ``fingerprint`` identifies the vocabulary: token ids mean the same wherever it is equal. ``adds_bos`` says whether
    a prompt of plain text begins with ``bos_id``. Any of ``stop_token_ids`` ends an answer. ``prefix_after_control``
    says whether text after a control token begins anew, so that it gets the space that the vocabulary puts before text.
    ``infill`` are the tokens for filling gaps, None where the vocabulary has none.
    """

    def __init__(
        self,
        path: Path,
        vocabulary: Vocabulary,
        *,
        bos_id: int | None,
        eos_id: int | None,
        adds_bos: bool,
        stop_token_ids: frozenset[int],
        fingerprint: str,
        infill: Infill | None = None,
    ) -> None:
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.adds_bos = adds_bos
        self.stop_token_ids = stop_token_ids
        self.fingerprint = fingerprint
        self.infill = infill
        self.vocabulary = vocabulary
        self.prefix_after_control = vocabulary.prefix_after_control
        self._path = path
        self._pieces = pieces = vocabulary.pieces
        self._kinds = kinds = vocabulary.kinds
        self._spelling = vocabulary.spelling
        self._beginning, self._continuing = vocabulary.beginning, vocabulary.continuing
        self._before, self._after, self._between = vocabulary.before, vocabulary.after, vocabulary.between
        self._strips = vocabulary.strips
        self._bytes: list[bytes | None] = [None] * len(pieces)
        self._control = {pieces[id_]: id_ for id_ in of_kind(kinds, Kind.CONTROL, Kind.USER_DEFINED) if pieces[id_]}
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

        Raises:
            ModelFileError: the vocabulary's own rules fail on this text.
        """
        try:
            return self._encode(text, continues)
        except TypeError:  # half a UTF-16 pair, which JSON can carry and UTF-8 cannot: it becomes U+FFFD
            return self._encode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), continues)

    def encode_prompt(self, text: str) -> list[int]:
        """Token ids of a text that a model is to carry on, with the begin-of-text token if the model wants one."""
        ids = self.encode(text)
        return [self.bos_id, *ids] if self.adds_bos and self.bos_id is not None else ids

    def encode_infill(self, prefix: str, suffix: str) -> list[int]:
        """Token ids of a prompt that asks for what stands between two texts; `infill` is not None."""
        marks = self.infill
        assert marks is not None
        begin = [self.bos_id] if self.adds_bos and self.bos_id is not None else []
        before, after = self.encode(prefix), self.encode(suffix, continues=True)
        return [*begin, marks.prefix, *before, marks.suffix, *after, marks.middle]

    def encode_document(self, text: str) -> list[int]:
        """Token ids of a whole text with the tokens that the model expects around it: ``[CLS]`` and ``[SEP]``."""
        return [*self._before, *self.encode(text), *self._after]

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode_document` of several texts at once, on several processors."""
        try:
            encodings = self._run(self._beginning, texts)
        except TypeError:
            return [self.encode_document(text) for text in texts]
        return [[*self._before, *ids, *self._after] for ids in encodings]

    def encode_pairs(self, first: str, seconds: Sequence[str]) -> tuple[list[list[int]], int] | None:
        """Each of several texts behind ``first``, with the tokens that the model expects around and between them.

        Also where the second text begins. None where the vocabulary does not say how two texts are put together.
        """
        if self._between is None:
            return None
        opening = [*self._before, *self.encode(first), *self._between]
        encoded = self.encode_many(seconds)
        return [[*opening, *ids[len(self._before) :]] for ids in encoded], len(opening)

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

    def strips(self, token_id: int) -> tuple[bool, bool]:
        """Whether a control token swallows the spaces on its left and on its right."""
        return self._strips.get(token_id, (False, False))

    def token_id(self, name: str) -> int | None:
        """The control or user-defined token of that name."""
        return self._control.get(name)

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
        return self._kinds[token_id] in SILENT

    def decode(self, token_ids: Iterable[int]) -> str:
        """The text of the tokens; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, token_ids)).decode(errors="replace")

    def _encode(self, text: str, continues: bool) -> list[int]:
        # A batch of one, because that releases Python's lock; the plain call holds it for the whole text.
        [ids] = self._run(self._continuing if continues else self._beginning, [text])
        return ids

    def _run(self, core: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
        """Raises TypeError for half a UTF-16 pair, and ModelFileError where the library fails or panics."""
        with guarded(self._path, "tokenizer failed on a text"):
            return [encoding.ids for encoding in core.encode_batch_fast(list(texts), add_special_tokens=False)]

    def _spell(self, token_id: int) -> bytes:
        piece, kind = self._pieces[token_id], self._kinds[token_id]
        if kind in SILENT:
            return b""
        if kind == Kind.BYTE:
            return bytes([int(piece[3:5], 16)])
        if self._spelling == "words":
            return piece.removeprefix("##").encode() if piece.startswith("##") else f" {piece}".encode()
        if self._spelling == "bytes" and kind != Kind.USER_DEFINED:
            return b"".join(BYTE_OF.get(character) or character.encode() for character in piece)
        return piece.replace(SPACE, " ").encode() if self._spelling == "spaces" else piece.encode()


def _byte_alphabet() -> dict[str, bytes]:
    """The printable characters by which byte-level vocabularies write bytes (GPT-2's ``bytes_to_unicode``)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    alphabet = {chr(byte): bytes([byte]) for byte in printable}
    for byte in range(256):
        if byte not in printable:
            alphabet[chr(256 + len(alphabet) - len(printable))] = bytes([byte])
    return alphabet


BYTE_OF = _byte_alphabet()
