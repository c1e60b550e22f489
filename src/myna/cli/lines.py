"""Messages from the keyboard or a pipe: history between chats, and pasted lines that stay together."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from pathlib import Path
from types import ModuleType

FENCE = '"""'
PROMPT = "> "
CONTINUATION = "… "
HISTORY_LINES = 1000


class LineReader:
    """Reads one message after the other; in a terminal with editing, and with the history of earlier chats.

    Args:
        history: file that keeps the history, readable by its owner only.
    """

    def __init__(self, history: Path) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        readline = _readline() if self.interactive else None
        if readline is None:
            return
        # A terminal that supports it marks a paste, so that its line ends do not send it piece by piece.
        readline.parse_and_bind("set enable-bracketed-paste on")
        readline.set_history_length(HISTORY_LINES)
        with contextlib.suppress(OSError):
            readline.read_history_file(history)
        atexit.register(_save_history, readline, history)

    def read(self) -> str:
        """The next message: a line, several pasted lines, or what stands between two lines of three quotes.

        Raises:
            EOFError: there is no more.
            KeyboardInterrupt: Ctrl-C.
        """
        text = self._line(PROMPT)
        if text.strip() != FENCE:
            return text
        lines: list[str] = []
        while (line := self._line(CONTINUATION)).strip() != FENCE:
            lines.append(line)
        return "\n".join(lines)

    def _line(self, prompt: str) -> str:
        return input(prompt if self.interactive else "")


def _readline() -> ModuleType | None:
    """The line editor, where the system has one."""
    try:
        import readline
    except ImportError:
        return None
    return readline


def _save_history(readline: ModuleType, history: Path) -> None:
    with contextlib.suppress(OSError):  # a history that cannot be kept is no reason to fail
        history.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(history, os.O_CREAT | os.O_WRONLY, 0o600))
        readline.write_history_file(history)
