"""A chat as Markdown, for people to read anywhere: the branch that is shown, with what was thought folded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

ENDED = {
    "waiting": "Waiting to be sent when this was exported.",
    "running": "Still being written when this was exported.",
    "stopped": "Stopped before its end.",
    "interrupted": "Interrupted before its end.",
    "failed": "Failed before its end.",
}
"""What is said below a message, by its status."""

_SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$]")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)


def heading(chat: dict[str, Any], others: int) -> str:
    """What stands above the messages: title, dates, model, instructions.

    Args:
        chat: its row, by the names of columns.
        others: its messages that are not of the branch that follows.
    """
    facts = [f"- Begun: {moment(chat['created_at'])}", f"- Last changed: {moment(chat['updated_at'])}"]
    if chat["model"]:
        facts.append(f"- Model: {inline(chat['model'])}")
    facts.append(f"- Chat: `{chat['id']}`")
    if others:
        they = "1 message of another branch is" if others == 1 else f"{others} messages of other branches are"
        facts.append(f"- {they} not shown here; the chat's JSON has everything")
    lines = [f"# {inline(chat['title'] or '') or 'Untitled chat'}", "\n".join(facts)]
    if chat["system_prompt"]:
        lines.append(f"## Instructions\n\n{_quoted(chat['system_prompt'])}")
    return "\n\n".join(lines) + "\n"


def message(row: dict[str, Any], parts: Iterable[dict[str, str]], versions: int) -> str:
    """One message with a rule above it.

    Args:
        row: the message's, by the names of columns.
        parts: what it says, each with "type" and "text".
        versions: of it, itself counted: messages that follow the same one.
    """
    speaker = str(row["role"]).capitalize()
    if row["model"]:
        speaker += f" · {inline(row['model'])}"
    blocks = ["---", f"## {speaker}", f"*{moment(row['created_at'])}{', edited' if row['edited_at'] else ''}*"]
    if versions > 1:
        blocks.append("*1 other version*" if versions == 2 else f"*{versions - 1} other versions*")
    for part in parts:
        if not part["text"].strip():
            continue
        if part["type"] == "reasoning":
            # Quoted as well: whatever it says, or leaves open, ends with it, also where nothing can be folded.
            blocks.append(f"<details>\n<summary>Reasoning</summary>\n\n{_quoted(part['text'])}\n\n</details>")
        else:
            blocks.append(_closed(part["text"]))
    if row["status"] in ENDED:
        blocks.append(f"*{ENDED[row['status']]}*")
    if row["error"]:
        blocks.append(_quoted(str(row["error"].get("message", ""))))
    return "\n" + "\n\n".join(blocks) + "\n"


def inline(text: str) -> str:
    """A text as one line that means nothing but itself."""
    shown = "".join(each for each in text if each.isprintable() or each.isspace())
    return _SPECIAL.sub(r"\\\g<0>", " ".join(shown.split()))


def moment(milliseconds: int) -> str:
    """A time to the minute."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip("\n").splitlines())


def _closed(text: str) -> str:
    """A text with its last code block ended, so that what follows it is not code."""
    fence = ""
    for found in _FENCE.finditer(text):
        mark, rest = found.groups()
        if not fence:
            if mark[0] == "~" or "`" not in rest:
                fence = mark
        elif mark[0] == fence[0] and len(mark) >= len(fence) and not rest.strip():
            fence = ""
    text = text.strip("\n")
    return f"{text}\n{fence}" if fence else text
