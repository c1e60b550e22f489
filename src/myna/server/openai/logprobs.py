"""Log-probabilities in OpenAI's two shapes: chat's list of objects, and completions' parallel arrays."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any

from myna.engine.request import TokenLogprob


def chat_logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """The ``logprobs`` object of a chat completion's choice."""
    return {
        "content": [
            _chat_token(entry.token, entry.logprob)
            | {"top_logprobs": [_chat_token(token, logprob) for _, token, logprob in entry.top]}
            for entry in tokens
        ],
        "refusal": None,
    }


def token_text(token: bytes) -> str:
    r"""A token for people; one that is no whole character is spelt as OpenAI does, ``bytes:\xe2\x80``."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token)


class CompletionLogprobs:
    """The ``logprobs`` object of a completion, in pieces, with offsets that run on from piece to piece.

    ``text_offset`` counts characters from the start of the choice's text, the echoed prompt included.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = 0

    def prompt(self, text: str, tokens: Sequence[TokenLogprob | None]) -> dict[str, Any]:
        """The piece of the echoed prompt. The first token has no probability; its text is what the others leave."""
        rest = [token for token in tokens[1:] if token is not None]
        encoded = text.encode()
        first = encoded[: len(encoded) - sum(len(token.token) for token in rest)]
        piece = self.generated(rest, after=first)
        piece["tokens"].insert(0, token_text(first))
        piece["token_logprobs"].insert(0, None)
        piece["top_logprobs"].insert(0, None)
        piece["text_offset"].insert(0, 0)
        return piece

    def generated(self, tokens: Sequence[TokenLogprob], after: bytes = b"") -> dict[str, list[Any]]:
        """The piece of some generated tokens; ``after``: bytes of the text that come before them and are no token."""
        self._offset += len(self._decoder.decode(after))
        offsets = []
        for entry in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(entry.token))
        return {
            "tokens": [token_text(entry.token) for entry in tokens],
            "token_logprobs": [entry.logprob for entry in tokens],
            "top_logprobs": [
                {token_text(token): logprob for _, token, logprob in entry.top}
                | {token_text(entry.token): entry.logprob}
                for entry in tokens
            ],
            "text_offset": offsets,
        }


def joined(pieces: Sequence[dict[str, list[Any]]]) -> dict[str, list[Any]]:
    """Pieces of `CompletionLogprobs` as one."""
    return {
        name: [value for piece in pieces for value in piece[name]]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    }


def _chat_token(token: bytes, logprob: float) -> dict[str, Any]:
    return {"token": token_text(token), "logprob": logprob, "bytes": list(token)}
