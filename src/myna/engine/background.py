"""What background work may take while people wait for answers: the figures, and how its share is counted."""

from __future__ import annotations

SHARE = 8
"""Beside live work, background work gets one token for every so many of theirs: always some, never noticed much."""

STEP_TOKENS = 32
"""Most tokens of a step of background work alone. Whoever comes during a step waits for its end, so it is short; the
products are nearly as fast at this size as at any larger one."""

BESIDE_TOKENS = 8
"""Most background tokens of a step in which live answers are written: none of their steps takes much longer."""

PATIENCE = 600.0
"""Seconds after which the first background request becomes a live one, so that even a server that is never short of
live requests comes to the end of every batch. One at a time."""


class Share:
    """Counts what live work computes, and what of it background work may compute in turn."""

    def __init__(self) -> None:
        self._credit = 0

    @property
    def tokens(self) -> int:
        """How many tokens are due now."""
        return max(0, self._credit // SHARE)

    @property
    def is_full(self) -> bool:
        """Whether nothing more can be saved up."""
        return self.tokens == STEP_TOKENS

    def earn(self, tokens: int) -> None:
        """Live work computed these. What is not taken is saved up, one step's worth at most."""
        self._credit = min(self._credit + tokens, SHARE * STEP_TOKENS)

    def clear(self) -> None:
        """There is no background work that anything could be due to."""
        self._credit = 0

    def spend(self, tokens: int) -> None:
        """Background work computed these; who could not stop at what was due is in debt."""
        self._credit -= tokens * SHARE
