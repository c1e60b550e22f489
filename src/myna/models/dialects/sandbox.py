"""Chat templates, rendered in an immutable sandbox with the few names that the templates of real models use."""

from __future__ import annotations

import datetime
import json
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_OUTPUT = 2**24
"""Characters that a template may write."""


class TemplateRefusal(TemplateError):
    """The template itself called ``raise_exception``: this conversation is not what the model was made for."""


class TemplateFailure(Exception):
    """The template is broken, or did what the sandbox forbids."""


def render(source: str, variables: dict[str, Any]) -> str:
    """Render a chat template.

    Raises:
        TemplateRefusal: the template refuses the conversation, in its own words.
        TemplateFailure: it cannot be compiled, fails, breaks out of the sandbox or writes too much.
    """
    try:
        written: list[str] = []
        size = 0
        for chunk in _compiled(source).generate(variables):
            size += len(chunk)
            if size > MAX_OUTPUT:
                raise TemplateFailure(f"it writes more than {MAX_OUTPUT} characters")
            written.append(chunk)
        return "".join(written)
    except (TemplateRefusal, TemplateFailure):
        raise
    except Exception as error:  # a template may raise whatever Python's own operations raise
        reason = " ".join(str(error).split())[:200]
        raise TemplateFailure(f"{type(error).__name__}: {reason}" if reason else type(error).__name__) from error


@lru_cache(maxsize=8)
def _compiled(source: str) -> Template:
    return _environment().from_string(source)


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _GenerationBlocks]
    )
    environment.filters["tojson"] = _to_json
    environment.globals = {
        "range": environment.globals["range"],
        "dict": lambda **items: items,
        "namespace": _PlainNamespace,
        "raise_exception": _refuse,
        "strftime_now": lambda layout: datetime.datetime.now().astimezone().strftime(layout),
    }
    return environment


class _GenerationBlocks(Extension):
    """``{% generation %}`` marks what a model is trained on; for a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _PlainNamespace(Namespace):
    """``namespace()`` without names that begin with an underscore, through which Python's own objects are reached."""

    def __init__(*args: Any, **names: Any) -> None:
        self, *mappings = args
        Namespace.__init__(self)
        for name, value in dict(*mappings, **names).items():
            self[name] = value

    def __setitem__(self, name: str, value: Any) -> None:
        if str(name).startswith("_"):
            raise SecurityError(f"namespace attribute {name!r} is not allowed")
        super().__setitem__(name, value)


def _refuse(reason: object) -> None:
    raise TemplateRefusal(" ".join(str(reason).split())[:500])


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False
) -> str:
    # jinja2's own filter escapes HTML, which no model has seen.
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
