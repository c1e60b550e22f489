"""The tokens by which models fill in what is missing between two texts, and which families have which.

All of them are told prefix, suffix, and then to write the middle (PSM; Bavarian et al. 2022,
https://arxiv.org/abs/2207.14255). What the two texts say is never read as any of these tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from myna.models.tokenizer.vocabulary import SPACE, Kind


@dataclass(frozen=True, slots=True)
class Infill:
    """Token ids: what stands before the prefix, before the suffix and before the answer; and what ends an answer."""

    prefix: int
    suffix: int
    middle: int
    stops: frozenset[int]


@dataclass(frozen=True, slots=True)
class Marks:
    """The same by name. ``others`` are what a model may write where the gap is filled."""

    prefix: str
    suffix: str
    middle: str
    others: tuple[str, ...] = ()


FAMILIES: tuple[Marks, ...] = (
    # Qwen2.5-Coder (https://arxiv.org/abs/2409.12186) and CodeGemma (https://arxiv.org/abs/2406.11409).
    Marks(
        "<|fim_prefix|>",
        "<|fim_suffix|>",
        "<|fim_middle|>",
        ("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>", "<|endoftext|>"),
    ),
    # StarCoder 1 and 2 (https://arxiv.org/abs/2305.06161), and SantaCoder before them (https://arxiv.org/abs/2301.03988).
    Marks("<fim_prefix>", "<fim_suffix>", "<fim_middle>", ("<fim_pad>", "<file_sep>", "<|endoftext|>")),
    Marks("<fim-prefix>", "<fim-suffix>", "<fim-middle>", ("<fim-pad>", "<|endoftext|>")),
    # Code Llama (https://arxiv.org/abs/2308.12950).
    Marks(f"{SPACE}<PRE>", f"{SPACE}<SUF>", f"{SPACE}<MID>", (f"{SPACE}<EOT>",)),
    # DeepSeek-Coder (https://arxiv.org/abs/2401.14196).
    Marks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ("<｜end▁of▁sentence｜>",)),  # noqa: RUF001
)


def mark_control(pieces: Sequence[str], kinds: list[int]) -> None:
    """Make a family's tokens control where all three are there: some files call them added text."""
    ids = {piece: id_ for id_, piece in enumerate(pieces)}
    for family in FAMILIES:
        if not ids.keys() >= {family.prefix, family.suffix, family.middle}:
            continue
        for name in (family.prefix, family.suffix, family.middle, *family.others):
            if name in ids and kinds[ids[name]] in (Kind.NORMAL, Kind.USER_DEFINED):
                kinds[ids[name]] = Kind.CONTROL


def find_infill(
    pieces: Sequence[str], kinds: Sequence[int], stated: Mapping[str, int | None] | None = None
) -> Infill | None:
    """The tokens of a vocabulary, if it has any: those that its file states, else those of a family.

    Args:
        pieces: the vocabulary.
        kinds: of each of them.
        stated: what GGUF's keys say, by ``pre``, ``suf``, ``mid`` and, what only ends an answer, ``pad``, ``rep`` and
            ``sep``.
    """
    control = {piece: id_ for id_, (piece, kind) in enumerate(zip(pieces, kinds, strict=True)) if kind == Kind.CONTROL}
    given = {name: id_ for name, id_ in (stated or {}).items() if id_ is not None}
    family = next((f for f in FAMILIES if control.keys() >= {f.prefix, f.suffix, f.middle}), None)
    if given.keys() >= {"pre", "suf", "mid"}:
        prefix, suffix, middle = given["pre"], given["suf"], given["mid"]
    elif family is not None:
        prefix, suffix, middle = control[family.prefix], control[family.suffix], control[family.middle]
    else:
        return None
    others = {control[name] for name in family.others if name in control} if family is not None else set()
    return Infill(prefix, suffix, middle, frozenset({prefix, suffix, middle, *given.values()} | others))
