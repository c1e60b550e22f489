"""The rules of a ``tokenizer.json``, as its JSON: bounded, and without the space that they put before text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from myna.errors import ModelFileError

MAX_STEPS = 64
MAX_PATTERN = 4096
MAX_GROWTH = 64
"""How many times longer than it was a text may become by replacements."""


def checked_rules(path: Path, rules: Mapping[str, Any]) -> None:
    """Raise ModelFileError for rules that could take for ever or fill the memory.

    The library checks the rest: it refuses kinds of rules and fields that it does not know.
    """
    growth = 1.0
    steps = list(_steps(path, list(rules.values()), 0))
    if len(steps) > MAX_STEPS:
        raise ModelFileError(path, f"it has {len(steps)} rules, more than {MAX_STEPS}")
    for step in steps:
        pattern = step.get("pattern")
        if isinstance(pattern, dict):
            regex = pattern.get("Regex")
            if isinstance(regex, str):
                check_pattern(path, regex)
        content = step.get("content", step.get("prepend"))
        if isinstance(content, str):
            literal = pattern.get("String") if isinstance(pattern, dict) else None
            growth *= max(1.0, len(content) / max(1, len(literal) if isinstance(literal, str) else 1))
    if growth > MAX_GROWTH:
        raise ModelFileError(path, f"its rules may make a text {growth:.0f} times longer")


def without_prefix(rules: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The same rules for text that goes on from other text, and whether text after a control token begins anew."""
    after_control = True
    normalizer: Any = rules.get("normalizer")
    pre_tokenizer: Any = rules.get("pre_tokenizer")
    match normalizer:
        case {"type": "Prepend"}:
            normalizer = None
        case {"type": "Sequence", "normalizers": list(steps)}:
            kept = [step for step in steps if not (isinstance(step, dict) and step.get("type") == "Prepend")]
            normalizer = {**normalizer, "normalizers": kept}
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": [first, *others]}:
            # Only the first sees text as it was; further ones see words.
            first, after_control = _unprefixed(first)
            pre_tokenizer = {**pre_tokenizer, "pretokenizers": [first, *others]}
        case dict():
            pre_tokenizer, after_control = _unprefixed(pre_tokenizer)
    return {**rules, "normalizer": normalizer, "pre_tokenizer": pre_tokenizer}, after_control


def _unprefixed(step: Any) -> tuple[Any, bool]:
    match step:
        case {"type": "Metaspace"}:
            scheme = step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
            changed = {key: value for key, value in step.items() if key != "add_prefix_space"}
            return {**changed, "prepend_scheme": "never"} if scheme != "never" else step, scheme != "first"
        case {"type": "ByteLevel", "add_prefix_space": True}:
            return {**step, "add_prefix_space": False}, True
    return step, True


def _steps(path: Path, rules: list[Any], depth: int) -> Iterator[dict[str, Any]]:
    if depth > 8:
        raise ModelFileError(path, "its rules are nested too deeply")
    for rule in rules:
        if isinstance(rule, dict):
            yield rule
            for inner in ("normalizers", "pretokenizers"):
                if isinstance(listed := rule.get(inner), list):
                    yield from _steps(path, listed, depth + 1)


def check_pattern(path: Path, pattern: str) -> None:
    """Refuse what may take exponential time: a repeated group that repeats something without limit itself."""
    if len(pattern) > MAX_PATTERN:
        raise ModelFileError(path, f"one of its patterns has {len(pattern)} characters, more than {MAX_PATTERN}")
    repeats = [False]  # of each open group: whether something in it is repeated
    brackets = at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "\\":
            at += 1
        elif character == "[":
            brackets += 1
        elif character == "]":
            brackets = max(0, brackets - 1)
        elif brackets:
            continue
        elif character == "(":
            repeats.append(False)
        elif character == ")" and len(repeats) > 1:
            inner = repeats.pop()
            repeated = pattern[at : at + 1] in ("*", "+", "{")
            if inner and repeated:
                raise ModelFileError(path, f"its pattern {pattern!r:.60} may take for ever (a repetition in another)")
            repeats[-1] |= inner or repeated
        elif character in "*+{":
            repeats[-1] = True
