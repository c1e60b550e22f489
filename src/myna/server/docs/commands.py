"""Routes as commands for a shell."""

from __future__ import annotations

import json
import re

from myna.server.auth import COOKIE
from myna.server.docs.reference import Operation
from myna.server.docs.words import form_value


def curl(operation: Operation, base: str) -> str:
    """A command that asks for an operation, with every value that it cannot do without."""
    path = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), operation.path)
    options = _credentials(operation)
    sends = False
    if operation.media == "multipart/form-data":
        forms = [
            f"-F {each.name}={form_value(each.name)}"
            for each in operation.body
            if each.required and "." not in each.name
        ]
        options += forms
        sends = bool(forms)
    elif operation.method != "GET":
        options.append('-H "Content-Type: application/json"')
        if operation.example is not None:
            options.append(f"-d {_quoted(json.dumps(operation.example, ensure_ascii=False, indent=2))}")
            sends = True
    # Curl asks with GET, or with POST where it has something to send.
    method = "" if operation.method == ("POST" if sends else "GET") else f"-X {operation.method} "
    return " \\\n  ".join([f"curl {method}{base}{path}", *options])


def _credentials(operation: Operation) -> list[str]:
    if operation.need == "open":
        return []
    if operation.need in ("account", "users", "owners"):
        return [f'-b "{COOKIE}=$SESSION"']
    return ['-H "Authorization: Bearer $MYNA_API_KEY"']


def _quoted(text: str) -> str:
    """In single quotes for a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
