"""Parts of a prompt -> tokens, with the joins that the model's tokenizer makes, and text never read as control."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from myna.chat import Message, TextPart, ToolResultPart
from myna.models.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Written:
    """What the template itself wrote: control tokens in it are control tokens."""

    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a person or a model said: nothing in it is control."""

    text: str


@dataclass(frozen=True, slots=True)
class Generated:
    """The very tokens that this model generated, fed back as they were."""

    token_ids: tuple[int, ...]


Segment = Written | Said | Generated

WHITE_SPACE = (
    "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space, which is not quite what Python strips."""


def encode_segments(tokenizer: Tokenizer, segments: Iterable[Segment], *, own_spaces: bool = False) -> list[int]:
    """Token ids of a prompt.

    Neighbouring text is encoded in one piece from one control token to the next, whoever it comes from, because that
    is what the model saw in training: "assistant" + newline + an answer that begins with a newline joins into a token
    of two newlines. Spaces that a control token swallows are left out.

    ``own_spaces``: the segments have every space in them, also those that a vocabulary puts before text by itself.
    """
    ids: list[int] = []
    run: list[str] = []
    continues = own_spaces
    swallows = False

    def close_run(before: int | None = None) -> None:
        nonlocal continues
        text = "".join(run)
        run.clear()
        if swallows:
            text = text.lstrip(WHITE_SPACE)
        if before is not None and tokenizer.strips(before)[0]:
            text = text.rstrip(WHITE_SPACE)
        if text:
            ids.extend(tokenizer.encode(text, continues=continues))
            continues = True

    for segment in segments:
        match segment:
            case Said(text):
                run.append(text)
            case Generated(token_ids):
                close_run()
                ids.extend(token_ids)
                continues, swallows = True, False
            case Written(text):
                for part in tokenizer.split_control(text):
                    if isinstance(part, str):
                        run.append(part)
                    else:
                        close_run(before=part)
                        ids.append(part)
                        continues = own_spaces or not tokenizer.prefix_after_control
                        swallows = tokenizer.strips(part)[1]
    close_run()
    return ids


def message_segments(tokenizer: Tokenizer, message: Message) -> list[Segment]:
    """What a message says; tokens instead of text where this model generated it and they still say the same.

    An end token at the end is left out, because the template writes its own. Tokens of another vocabulary, control
    tokens in the middle, or tokens that spell something else than the text, are ignored, and the text counts.
    """
    segments: list[Segment] = []
    for part in message.parts:
        if isinstance(part, ToolResultPart) and part.text:
            segments.append(Said(part.text))
        if not isinstance(part, TextPart):
            continue
        token_ids = part.token_ids or ()
        if token_ids and token_ids[-1] in tokenizer.stop_token_ids:
            token_ids = token_ids[:-1]
        if token_ids and part.tokenizer == tokenizer.fingerprint and _spells(tokenizer, token_ids, part.text):
            segments.append(Generated(token_ids))
        elif part.text:
            segments.append(Said(part.text))
    return segments


def _spells(tokenizer: Tokenizer, token_ids: tuple[int, ...], text: str) -> bool:
    if not all(0 <= token_id < tokenizer.vocab_size for token_id in token_ids):
        return False
    return tokenizer.decode(token_ids) == text and not any(map(tokenizer.is_control, token_ids))
