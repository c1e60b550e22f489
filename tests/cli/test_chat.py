"""``myna chat`` at a terminal: a real one, through a pseudo-terminal, and a pipe."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.encoders import write_encoder
from tests.patience import WAIT_SECONDS
from tests.processes import MYNA, myna

PROMPT = "> "


class Terminal:
    """A ``myna chat`` and the keyboard and screen in front of it."""

    def __init__(self, env: dict[str, str], *arguments: str) -> None:
        self.keyboard, inner = pty.openpty()
        termios.tcsetwinsize(inner, (50, 200))
        self.process = subprocess.Popen(
            [*MYNA, "chat", *arguments],
            env=env | {"TERM": "xterm", "INPUTRC": "/dev/null"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # makes it the controlling terminal
        )
        os.close(inner)
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def wait_for(self, text: str) -> str:
        """Everything shown until the text has come, which is then forgotten."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.screen:
            assert self.is_shown_something(deadline - time.monotonic()), self.screen
            try:
                self.screen += os.read(self.keyboard, 65536).decode("utf-8", "replace")
            except OSError:
                raise AssertionError(f"the chat ended: {self.screen}") from None
        shown, _, self.screen = self.screen.partition(text)
        return shown

    def is_shown_something(self, seconds: float) -> bool:
        return bool(select.select([self.keyboard], [], [], max(0, seconds))[0])

    def interrupt_prompt(self) -> None:
        """Ctrl-C at a prompt that reads, as its echo shows.

        Python loses one that comes in the instant between the echo and its next look at the keyboard, until the next
        key: a person presses again, and so does this.
        """
        self.type("x")
        self.wait_for("x")
        self.type("\x03")
        while not self.is_shown_something(30):
            self.type("\x03")

    def end(self) -> int:
        return self.process.wait(WAIT_SECONDS)


@pytest.fixture
def terminal(env: dict[str, str]) -> Iterator[Terminal]:
    chat = Terminal(env, "--seed", "1")
    chat.wait_for("/help lists the commands")
    chat.wait_for(PROMPT)
    yield chat
    if chat.process.poll() is None:
        chat.process.send_signal(signal.SIGKILL)
        chat.process.wait()
    os.close(chat.keyboard)


def test_a_conversation_and_its_commands(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("/temperature 0\r")
    terminal.wait_for("Temperature 0")
    terminal.wait_for(PROMPT)
    terminal.type("Name the capital city of France.\r")
    terminal.wait_for("Paris")
    terminal.wait_for(PROMPT)
    terminal.type("/nonsense\r")
    terminal.wait_for("There is no command /nonsense")
    terminal.wait_for(PROMPT)
    terminal.type("/seed many\r")
    terminal.wait_for("'many' is not a number")
    terminal.wait_for(PROMPT)
    terminal.type("/model smolm2:135m\r")
    terminal.wait_for("Did you mean smollm2:135m?")
    terminal.wait_for(PROMPT)
    saved = tmp_path / "chat.md"
    terminal.type(f"/save {saved}\r")
    terminal.wait_for("Saved as")
    terminal.wait_for(PROMPT)
    text = saved.read_text()
    assert "## user\n\nName the capital city of France.\n" in text
    assert "Paris" in text.split("## assistant")[1]
    terminal.type(f"/save {saved}\r")
    terminal.wait_for("cannot be written")
    terminal.wait_for(PROMPT)
    terminal.type("/exit\r")
    assert terminal.end() == 0


def test_ctrl_c_stops_an_answer_and_twice_leaves(terminal: Terminal) -> None:
    terminal.type("Write a very long story about a bird.\r")
    terminal.wait_for("\n")
    terminal.wait_for(" ")
    terminal.type("\x03")
    terminal.wait_for("(stopped)")
    terminal.wait_for(PROMPT)
    terminal.interrupt_prompt()
    terminal.wait_for("Ctrl-C again")
    terminal.wait_for(PROMPT)
    terminal.interrupt_prompt()
    assert terminal.end() == 0


def test_ctrl_d_leaves(terminal: Terminal) -> None:
    terminal.type("\x04")
    assert terminal.end() == 0


def test_pasted_lines_are_one_message(terminal: Terminal, tmp_path: Path) -> None:
    saved = tmp_path / "chat.md"
    terminal.type("\x1b[200~First line.\nSecond line.\x1b[201~\r")
    terminal.wait_for("Second line.")
    terminal.wait_for(PROMPT)
    terminal.type(f"/save {saved}\r")
    terminal.wait_for("Saved as")
    assert "First line.\nSecond line.\n" in saved.read_text()
    assert saved.read_text().count("## user") == 1


def test_the_history_is_kept_for_its_owner_only(terminal: Terminal, env: dict[str, str]) -> None:
    terminal.type("/seed 5\r")
    terminal.wait_for("Seed 5")
    terminal.wait_for(PROMPT)
    terminal.type("\x04")
    assert terminal.end() == 0
    history = Path(env["MYNA_DATA_DIR"]) / "chat_history"
    assert "/seed 5" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_a_pipe_is_a_chat_too(env: dict[str, str]) -> None:
    lines = '/temperature 0\nName the capital city of France.\n/new\n/retry\n"""\n/seed\n5\n"""\n'
    result = myna("chat", env=env, stdin=lines)
    assert result.returncode == 0, result.stderr
    assert "Paris" in result.stdout
    assert PROMPT not in result.stdout
    assert "no answer to try again" in result.stderr


def test_a_model_that_writes_no_text_is_refused_before_the_first_message(env: dict[str, str], tmp_path: Path) -> None:
    encoder = write_encoder(tmp_path / "encoder")
    result = myna("chat", "--model", str(encoder), env=env, stdin="")
    assert (result.returncode, result.stdout) == (1, "")
    assert "encoder makes embeddings and writes no text" in result.stderr
    result = myna("chat", env=env, stdin=f"/model {encoder}\n/model\n")
    assert "choose another model to chat" in result.stderr
    assert "smollm2:135m" in result.stdout  # the model before it stays
