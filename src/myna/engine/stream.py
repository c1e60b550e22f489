"""Tokens become text as they come: whole characters only, and nothing that may yet be part of a stop string."""

from __future__ import annotations

import codecs
from bisect import bisect_right
from typing import NamedTuple

from myna.engine.request import TokenLogprob

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Piece(NamedTuple):
    """Text that is final, and the tokens that end within it. Either may be empty."""

    text: str
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] | None


class TextStream:
    """One sequence's text.

    Half a character is kept until the rest comes; bytes that can no longer become a character turn into U+FFFD.
    A stop string ends the text before it, whatever tokens its characters come in. Of several, the one that is
    complete first counts (the longest, if two end together), so the outcome does not depend on the tokens.
    """

    __slots__ = ("_decoder", "_ends", "_held", "_logprobs", "_stop_strings", "_token_ids", "stopped_by")

    def __init__(self, stop_strings: tuple[str, ...] = (), *, with_logprobs: bool = False) -> None:
        self.stopped_by: str | None = None
        self._stop_strings = stop_strings
        self._decoder = _new_decoder("replace")
        self._held = ""  # decoded, not released
        self._token_ids: list[int] = []  # not released
        self._ends: list[int] = []  # where in _held each token's text ends
        self._logprobs: list[TokenLogprob] | None = [] if with_logprobs else None

    def begin(self, data: bytes) -> None:
        """Go on behind these bytes, whose text is known; half a character at their end is completed by what comes."""
        self._decoder.decode(data)

    def push(self, token_id: int, data: bytes, logprob: TokenLogprob | None = None) -> Piece | None:
        """Add a token and its bytes; what can be shown because of it, if anything.

        Once `stopped_by` is set the text is complete, and the tokens inside the stop string are never released.
        """
        self._held += self._decoder.decode(data)
        half_character = self._decoder.getstate()[0]
        self._token_ids.append(token_id)
        self._ends.append(len(self._held) + bool(half_character))
        if self._logprobs is not None and logprob is not None:
            self._logprobs.append(logprob)
        return self._release(self._settled())

    def finish(self) -> Piece | None:
        """The rest, when no more tokens come. A character that stayed incomplete becomes U+FFFD."""
        if self.stopped_by is not None:
            return None
        self._held += self._decoder.decode(b"", final=True)
        end = self._settled()
        return self._release(end if self.stopped_by is not None else len(self._held))

    def _settled(self) -> int:
        """How many characters of the held text are final; sets `stopped_by` if a stop string is in it."""
        held = self._held
        if not self._stop_strings:
            return len(held)
        found = [(start + len(stop), start, stop) for stop in self._stop_strings if (start := held.find(stop)) >= 0]
        if found:
            _, start, self.stopped_by = min(found)
            return start
        longest = 0
        for stop in self._stop_strings:
            for length in range(min(len(stop) - 1, len(held)), longest, -1):
                if held.endswith(stop[:length]):
                    longest = length
                    break
        return len(held) - longest

    def _release(self, end: int) -> Piece | None:
        """Cut the first ``end`` characters off the held text, together with the tokens that end there."""
        count = bisect_right(self._ends, end)
        if not end and not count:
            return None
        text, self._held = self._held[:end], self._held[end:]
        token_ids, self._token_ids = tuple(self._token_ids[:count]), self._token_ids[count:]
        self._ends = [e - end for e in self._ends[count:]]
        logprobs = None
        if self._logprobs is not None:
            logprobs, self._logprobs = tuple(self._logprobs[:count]), self._logprobs[count:]
        return Piece(text, token_ids, logprobs)
