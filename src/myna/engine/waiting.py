"""Sequences of one priority that do not run: in which order they do."""

from __future__ import annotations

from collections import OrderedDict, deque

from myna.engine.sequence import Sequence


class Queue:
    """Those that made room come first, oldest first; then the others: owners take turns, each in order of arrival."""

    def __init__(self) -> None:
        self.num_new = 0  # sequences that were never put back
        self._returned: deque[Sequence] = deque()
        self._new: OrderedDict[str, deque[Sequence]] = OrderedDict()  # by owner; the first is next

    def __len__(self) -> int:
        return self.num_new + len(self._returned)

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for its owner's turn."""
        self._new.setdefault(sequence.owner, deque()).append(sequence)
        self.num_new += 1

    def put_back(self, sequence: Sequence) -> None:
        """Let a sequence wait in front of all others."""
        self._returned.appendleft(sequence)

    def first(self) -> Sequence | None:
        """The next one."""
        if self._returned:
            return self._returned[0]
        return next(iter(self._new.values()))[0] if self._new else None

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it waits; its owner's next turn comes after all other owners'."""
        if sequence in self._returned:
            self._returned.remove(sequence)
            return
        own = self._new[sequence.owner]
        own.remove(sequence)
        self.num_new -= 1
        if own:
            self._new.move_to_end(sequence.owner)
        else:
            del self._new[sequence.owner]
