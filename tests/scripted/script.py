"""What a scripted model says: read from the last thing that a user wrote.

Text alone is echoed. Directives in it choose something else; they may stand anywhere, ``#say`` ends them:

- ``#say TEXT``: the answer is the rest of the message.
- ``#lines=N``: a code block of N numbered lines; ``#paragraphs=N``: as many paragraphs of Markdown. Whole, whatever the
  request's ``max_tokens`` is.
- ``#think=WORD``: the answer begins with a thought of this word.
- ``#rate=N``: tokens a second; without it everything comes as fast as it is read. ``#fast=N``: so many tokens come at
  once first. ``#delay=S``: seconds before.
- ``#fail=LEAF``: after the answer an error of `myna.errors`; ``#refuse=LEAF``: in place of it.
- ``#stall=N``: so many tokens come at once, and the rest when the answer is carried on.
- ``#hang``: the answer never ends; ``#crash``: the engine does; ``#cut``: it ends as if it were too long.

An answer that is carried on goes on where it was and then ends well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from myna.chat import Message

_DIRECTIVE = re.compile(
    r"\s*#(?:(?P<flag>hang|crash|cut)\b"
    r"|(?P<name>lines|paragraphs|think|rate|fast|stall|delay|fail|refuse)=(?P<value>[\w.]+)"
    r"|say (?P<say>.*))",
    re.DOTALL,
)
_PIECE = re.compile(r"[\0-\x7f]{1,3}|[^\0-\x7f]", re.DOTALL)
_WORD = re.compile(r"\s*\S+\s*?(?=\s|\Z)|\s+")
_LETTER = 1 << 24
PARAGRAPH = (
    "Paragraph {} says a little about **birds**: they `sing`, they fly, and they are *many*.\n\n"
    "- they have wings\n- they have songs\n\n"
)


@dataclass(frozen=True)
class Script:
    """One answer. Times in seconds, ``rate`` in tokens a second, 0 for no limit."""

    text: str
    rate: float = 0
    fast: int = 0
    stall: int = 0
    delay: float = 0
    fail: str = ""
    refuse: str = ""
    hang: bool = False
    crash: bool = False
    cut: bool = False
    whole: bool = False
    thinks: bool = False


def tokens_of(text: str) -> list[int]:
    """The scripted vocabulary: up to three ASCII characters of a word are a token, any other character is one."""
    return [_id(piece) for word in _WORD.findall(text) for piece in _PIECE.findall(word)]


def text_of(token_id: int) -> str:
    """Inverse of `tokens_of`, a token at a time."""
    if token_id >= _LETTER:
        return chr(token_id - _LETTER)
    return token_id.to_bytes(3, "little").rstrip(b"\0").decode("ascii", "replace")


def script_for(messages: tuple[Message, ...], begun: str = "") -> Script:
    """What is said to a conversation whose answer has begun so."""
    asked = next((message.text for message in reversed(messages) if message.role == "user"), "")
    script = parse(asked)
    if messages and messages[-1].role == "assistant":
        begun = messages[-1].text
    if not begun:
        return script
    rest = script.text.removeprefix(begun) if script.text.startswith(begun) else " and so it goes on."
    return Script(rest, rate=script.rate, whole=script.whole, thinks=script.thinks)


def parse(asked: str) -> Script:
    """The script that a user's message asks for."""
    values: dict[str, str] = {}
    flags: set[str] = set()
    for match in _DIRECTIVE.finditer(asked):
        if match["flag"]:
            flags.add(match["flag"])
        elif match["name"]:
            values[match["name"]] = match["value"]
        else:
            values["say"] = match["say"]
    text = values.get("say", f"You said: {_DIRECTIVE.sub('', asked).strip()}")
    if "lines" in values:
        numbered = "\n".join(
            f"line_{number} = {number} * 2  # of a long answer" for number in range(int(values["lines"]))
        )
        text = f"```python\n{numbered}\n```"
    elif "paragraphs" in values:
        text = "".join(PARAGRAPH.format(number) for number in range(int(values["paragraphs"])))
    if "think" in values:
        text = f"<think>\n{values['think']}\n</think>\n\n{text}"
    return Script(
        text,
        rate=float(values.get("rate", 0)),
        fast=int(values.get("fast", 0)),
        stall=int(values.get("stall", 0)),
        delay=float(values.get("delay", 0)),
        fail=values.get("fail", ""),
        refuse=values.get("refuse", ""),
        hang="hang" in flags,
        crash="crash" in flags,
        cut="cut" in flags,
        whole="lines" in values or "paragraphs" in values,
        thinks="think" in values,
    )


def _id(piece: str) -> int:
    return int.from_bytes(piece.encode(), "little") if piece.isascii() else _LETTER + ord(piece)
