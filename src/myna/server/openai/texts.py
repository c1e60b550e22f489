"""Texts and token ids as requests give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from pydantic import Field

from myna.errors import InvalidParameter
from myna.server.errors import excerpt
from myna.server.limits import MAX_STOP_LENGTH, MAX_STOP_STRINGS

TokenId = Annotated[int, Field(ge=0, lt=1 << 31)]


def texts_or_tokens(value: Any, param: str, most: int) -> Sequence[str | tuple[int, ...]]:
    """One or several texts, or one or several lists of token ids; all of one kind.

    Raises:
        InvalidParameter: anything else, or more of them than ``most``.
    """
    items = value if isinstance(value, list) else [value]
    if items and all(_is_token(token) for token in items) and isinstance(value, list):
        items = [items]
    if not 1 <= len(items) <= most:
        raise InvalidParameter(f"'{param}' must hold 1 to {most} {param}s; got {len(items)}.", param=param)
    if all(isinstance(text, str) for text in items):
        return [check_text(text, param) for text in items]
    if all(isinstance(ids, list) and ids and all(_is_token(token) for token in ids) for ids in items):
        return [tuple(ids) for ids in items]
    raise InvalidParameter(
        f"'{param}' must be a text, an array of token ids (0 and above), or an array of either; got {excerpt(value)}.",
        param=param,
    )


def stop_strings(value: Any, param: str) -> tuple[str, ...]:
    """The texts at which an answer ends: one, several or, of null, none.

    Raises:
        InvalidParameter: anything else; too many; one that is empty, too long or holds half a character.
    """
    strings = [value] if isinstance(value, str) else [] if value is None else value
    fine = isinstance(strings, list) and len(strings) <= MAX_STOP_STRINGS
    if not fine or not all(isinstance(text, str) and 1 <= len(text) <= MAX_STOP_LENGTH for text in strings):
        raise InvalidParameter(
            f"'{param}' must be a text or an array of up to {MAX_STOP_STRINGS} texts of 1 to {MAX_STOP_LENGTH} "
            f"characters; got {excerpt(value)}.",
            param=param,
        )
    return tuple(check_text(text, param) for text in strings)


def check_text(text: str, param: str) -> str:
    """A text that can be encoded: JSON's escapes can spell half a character, which no tokenizer knows.

    Raises:
        InvalidParameter: it holds an unpaired surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameter(
            f"'{param}' holds half a character (an unpaired surrogate) at position {error.start}.", param=param
        ) from None
    return text


def check_texts(value: Any) -> None:
    """Plain data all of whose texts can be encoded; see `check_text`.

    Raises:
        InvalidParameter: one of them holds an unpaired surrogate.
    """
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise InvalidParameter("The request holds half a character (an unpaired surrogate).") from None


def _is_token(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31
