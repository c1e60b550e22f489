"""Reads ``rules.toml``: classes of words, and patterns of them that tell a category."""

from __future__ import annotations

import codecs
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("rules.toml")

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""OpenAI's: https://platform.openai.com/docs/guides/moderation."""


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a pattern: the name of a class, at most so many words behind the element before it."""

    name: str
    gap: int
    optional: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """Categories that a text is of with this probability, if it has one of the patterns."""

    score: float
    categories: tuple[str, ...]
    patterns: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What makes categories less likely, by this factor: it is reported, asked for help with, or argued against."""

    factor: float
    categories: frozenset[str]
    patterns: tuple[tuple[Step, ...], ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """``classes``: entries of each, words or phrases; one that ends with ``*`` stands for all that begin so."""

    classes: dict[str, tuple[str, ...]]
    rules: tuple[Rule, ...]
    contexts: tuple[Context, ...]


def read_rules(path: Path = FILE) -> Rules:
    """The rules of a file. Raises ValueError for a pattern that makes no sense: it is part of the program."""
    content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    classes = {name: tuple(_entries(text)) for name, text in content["words"].items()}
    for name, text in content["hidden"].items():
        classes[name] = (*classes.get(name, ()), *_entries(codecs.decode(text, "rot13")))
    rules = tuple(
        Rule(each["score"], _known(each["categories"]), _patterns(each["patterns"], classes))
        for each in content["rules"]
    )
    contexts = tuple(
        Context(each["factor"], frozenset(_known(each["categories"])), _patterns(each["patterns"], classes))
        for each in content["contexts"]
    )
    return Rules(classes, rules, contexts)


def _entries(text: str) -> Iterator[str]:
    """Words, and phrases whose words are joined by ``_``."""
    return (entry.replace("_", " ") for entry in text.split())


def _known(categories: list[str]) -> tuple[str, ...]:
    unknown = set(categories) - set(CATEGORIES)
    if unknown:
        raise ValueError(f"unknown categories: {', '.join(sorted(unknown))}")
    return tuple(categories)


def _patterns(lines: list[str], classes: dict[str, tuple[str, ...]]) -> tuple[tuple[Step, ...], ...]:
    """Patterns; words that stand in them become classes of their own."""
    return tuple(tuple(_steps(line, classes)) for line in lines)


def _steps(line: str, classes: dict[str, tuple[str, ...]]) -> Iterator[Step]:
    gap = 0
    for element in line.split():
        if element.isdigit():
            gap = int(element)
            continue
        name, optional = element.removesuffix("?"), element.endswith("?")
        if name.startswith("$") and name[1:] in classes:
            yield Step(name[1:], gap, optional)
            gap = 0
            continue
        entries: list[str] = []
        for part in name.split("|"):
            if not part.startswith("$"):
                entries.append(part.replace("_", " "))
            elif part[1:] in classes:
                entries += classes[part[1:]]
            else:
                raise ValueError(f"there is no class {part} for the pattern {line!r}")
        name = f"={name}"  # so that a word in a pattern is not taken for the class of that name
        classes[name] = tuple(entries)
        yield Step(name, gap, optional)
        gap = 0
