"""What a caller asks of an encoder, and what comes back: plain data that crosses the process boundary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddingRequest:
    """Texts to make vectors of, one each.

    Exactly one of ``texts`` (tokenised with the tokens that the model wants around a text) and ``token_ids`` (taken as
    they are) is set. ``dimensions``: keep so many of each vector's numbers, from the first on, and bring it back to
    length 1; None keeps all. ``query``: not vectors are wanted, but how well each of ``texts`` answers it.
    ``background``: nobody waits for it; it gives way to all requests that are not.
    """

    id: str
    texts: tuple[str, ...] | None = None
    token_ids: tuple[tuple[int, ...], ...] | None = None
    dimensions: int | None = None
    query: str | None = None
    background: bool = False


@dataclass(frozen=True, slots=True)
class Embedded:
    """The only event of an `EmbeddingRequest` that did not fail.

    ``vectors`` are float32, little endian, of all texts one after the other; ``tokens`` counts each text's. To a query
    they have one number each: the text's score, 0 to 1 of a reranker, else the cosine of both vectors, -1 to 1. A query
    that was a text of its own is counted with the first text.
    """

    request_id: str
    tokens: tuple[int, ...]
    vectors: bytes

    @property
    def width(self) -> int:
        """Numbers in each vector."""
        return len(self.vectors) // 4 // len(self.tokens)
