"""Text -> plain lower-case words, with the tricks undone by which words are hidden: in time linear in its length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from itertools import product

END = "."
"""Stands for the end of a sentence."""

MAX_WORD = 40
"""Characters of a word that are looked at; no word of the rules is as long."""

_LOOKALIKES = str.maketrans(dict(zip("авеѕіјкмнорстухєαβεικνορτυχ", "abesijkmhopctyxeabeikvoptux", strict=True)))
_LEET = str.maketrans("013457@$!|+€", "oieastasilte")
_TOKEN = re.compile(r"[^\W_](?:['’*@$!|+]*[^\W_])*\**|[.?!;\n…]|[^\s\w]")  # noqa: RUF001
_ENDS = frozenset(".?!;\n…")
_PRONOUNS = frozenset(("he", "she", "it", "that", "there", "what", "who", "here", "somebody", "everyone", "nobody"))
_SUFFIXES = {"m": ("am",), "re": ("are",), "ll": ("will",), "ve": ("have",), "d": ("would",)}
_SHORT = {
    "u": ("you",),
    "ur": ("your",),
    "r": ("are",),
    "im": ("i", "am"),
    "youre": ("you", "are"),
    "dont": ("do", "not"),
    "cant": ("can", "not"),
    "cannot": ("can", "not"),
    "wont": ("will", "not"),
    "gonna": ("going", "to"),
    "wanna": ("want", "to"),
    "gotta": ("have", "to"),
    "ppl": ("people",),
    "anymore": ("any", "more"),
}
_TO = frozenset(("want", "going", "need", "have", "how", "like", "time", "able", "easy", "ready"))


class Normaliser:
    """Words of texts. ``known`` are the words that a hidden one may turn out to be."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = frozenset(known)
        self._by_shape: dict[tuple[str, int], list[str]] = {}
        for word in sorted(self._known):
            self._by_shape.setdefault((word[0], len(word)), []).append(word)
        self._longest = max(map(len, self._known), default=0)

    def words(self, text: str) -> list[str]:
        """The words in order, and `END` where a sentence ends."""
        text = unicodedata.normalize("NFKC", text).casefold()
        if not text.isascii():
            plain = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) not in ("Mn", "Cf"))
            text = "".join(plain).translate(_LOOKALIKES)
        found: list[str] = []
        letters: list[str] = []
        for match in _TOKEN.finditer(text):
            word = match[0][:MAX_WORD]
            if len(word) == 1 and word.isalpha():
                letters.append(word)
                continue
            if word == "." and letters and text[match.end() : match.end() + 1].isalpha():
                continue  # between letters that spell a word
            if letters and (word[0].isalnum() or word in _ENDS):
                found += self._spelt(letters)
                letters = []
            if word in _ENDS:
                if found and found[-1] != END:
                    found.append(END)
            elif word[0].isalnum():
                found += self._word(word, found[-1] if found else "")
        return [*found, *self._spelt(letters)]

    def _knows(self, word: str) -> bool:
        return word in self._known or (word.endswith("s") and word[:-1] in self._known)

    def _word(self, word: str, before: str) -> Iterator[str]:
        head, _, tail = word.replace("’", "'").partition("'")  # noqa: RUF001
        if tail:
            if tail == "t" and head.endswith("n"):
                yield from (
                    ("can", "not") if head == "can" else ("will", "not") if head == "won" else (head[:-1], "not")
                )
            elif tail == "s":
                yield from (("let", "us") if head == "let" else (head, "is") if head in _PRONOUNS else (head,))
            else:
                yield from (head, *_SUFFIXES.get(tail, ()))
        elif word in _SHORT:
            yield from _SHORT[word]
        elif word == "2" and before in _TO:
            yield "to"
        elif word in self._known or word.isalpha():
            yield self._unstretched(word)
        else:
            yield self._unmasked(word)

    def _unmasked(self, word: str) -> str:
        """A known word behind digits and signs, or behind asterisks; the word itself if there is none."""
        plain = word.translate(_LEET)
        for guess in (plain, plain.rstrip("i*")):
            if self._knows(guess) and not word.isdigit():
                return guess
        if "*" in word and word[0].isalpha() and len(word) >= 3:
            for known in self._by_shape.get((word[0], len(word)), ()):
                if all(a in (b, "*") for a, b in zip(plain, known, strict=True)):
                    return known
        return word

    def _unstretched(self, word: str) -> str:
        """Without letters that are repeated three times or more, where that makes a known word."""
        if self._knows(word):
            return word
        runs = list(re.finditer(r"(.)\1{2,}", word))
        if not 1 <= len(runs) <= 3:
            return word
        pieces: list[tuple[str, ...]] = []
        at = 0
        for run in runs:
            pieces += [(word[at : run.start()],), (run[1], run[1] * 2)]
            at = run.end()
        guesses = ("".join(parts) for parts in product(*pieces, (word[at:],)))
        return next((guess for guess in guesses if self._knows(guess)), word)

    def _spelt(self, letters: list[str]) -> list[str]:
        """Letters with something between them: the known words that they spell, if they do; else as they are."""
        if len(letters) < 3:
            return [word for letter in letters for word in _SHORT.get(letter, (letter,))]
        if len(letters) > MAX_WORD:
            return letters
        joined = "".join(letters)
        best: list[list[str] | None] = [[], *([None] * len(joined))]
        for end in range(1, len(joined) + 1):
            for start in range(max(0, end - self._longest - 1), end):
                head, word = best[start], joined[start:end]
                if head is None or not (self._knows(word) or word in ("a", "i")):
                    continue
                current = best[end]
                if current is None or len(head) + 1 < len(current):
                    best[end] = [*head, word]
        return best[-1] or letters
