"""Guesses at what a sequence says next, from what it has said before: pure bookkeeping, no tensor in sight.

Prompt lookup, Saxena 2023 (https://github.com/apoorvumang/prompt-lookup-decoding).
A step that verifies a few guesses costs little more than one that computes a single token, so each right one is almost
a token for free: much, where an answer repeats its prompt (a text with one change, code), and nothing where it does
not. So guessing stops while it does not pay.
"""

from __future__ import annotations

from array import array

NGRAM = 3
"""Tokens that have to be the same for what followed them to be a guess."""

MOST = 8
"""Guesses at a time, at most."""

REACH = 8192
"""Tokens of a prompt, from its end, that are looked through at once: a step must not wait long for it."""

COST = 0.15
"""What verifying a guess takes, as a part of a step without any; measured with the default model."""

MEMORY = 0.25
"""Share of the latest step in what guessing is taken to gain."""

FIRST_PAUSE = 16
LONGEST_PAUSE = 512
"""Tokens for which a sequence makes no guesses once they cost more than they gain: doubled until one is right again."""


class Drafter:
    """One sequence's guesses. It learns from every token that has become certain."""

    __slots__ = ("_follows", "_gain", "_length", "_pause", "_resume_at", "_seen")

    def __init__(self) -> None:
        self._follows: dict[tuple[int, ...], int] = {}  # where what followed an n-gram begins, the last time
        self._seen = NGRAM - 1  # tokens of which all n-grams that end in them are known
        self._length = 2  # of the next guess
        self._gain = 0.3  # tokens a step beyond what they cost; a little credit to begin with
        self._pause = FIRST_PAUSE
        self._resume_at = 0

    def propose(self, tokens: array[int], most: int) -> list[int]:
        """What may come after ``tokens``: at most ``most`` tokens, none while guessing does not pay."""
        end = len(tokens)
        if end < self._resume_at or end <= NGRAM:
            return []
        follows = self._follows
        for index in range(max(self._seen, end - 1 - REACH), end - 1):
            follows[tuple(tokens[index - NGRAM + 1 : index + 1])] = index + 1
        self._seen = max(self._seen, end - 1)
        start = follows.get(tuple(tokens[end - NGRAM :]))
        if start is None:
            return []
        most = min(most, self._length)
        guess = tokens[start : start + most]
        while len(guess) < most:  # the match overlaps the end: what repeats goes on repeating
            guess.extend(tokens[start : start + most - len(guess)])
        return guess.tolist()

    def judge(self, proposed: int, accepted: int, length: int) -> None:
        """Learn that so many guesses were right, after which the sequence has ``length`` tokens."""
        self._length = min(2 * proposed, MOST) if accepted == proposed else max(2, accepted)
        self._gain += MEMORY * (accepted - COST * proposed - self._gain)
        if self._gain < 0:
            self._gain = 0.0
            self._resume_at = length + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        elif accepted:
            self._pause = FIRST_PAUSE
