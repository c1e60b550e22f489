"""How each known vocabulary cuts text into words before merging, by the name that GGUF files give it.

A wrong cut gives tokens that the model has never seen in such places, and nothing fails visibly: so a name that is
not listed here is refused. The patterns are those of the vocabularies' own ``tokenizer.json`` files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tokenizers import Regex, normalizers, pre_tokenizers

_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_GPT4O_WORDS = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ENDING"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*ENDING"
)
_GPT4O_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O_PATTERN = _GPT4O_WORDS.replace("ENDING", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?") + r"|\p{N}{1,3}|" + _GPT4O_REST
TEKKEN_PATTERN = _GPT4O_WORDS.replace("ENDING", "") + r"|\p{N}|" + _GPT4O_REST
_BLOOM_PATTERN = r" ?[^(\s|[.,!?…。，、।۔،])]+"  # noqa: RUF001 (the punctuation of many scripts)
_QWEN2_PATTERN = _LLAMA3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")


@dataclass(frozen=True, slots=True)
class ByteLevelRules:
    """What surrounds the merges of a byte-level vocabulary.

    ``ignore_merges``: a word that is a token is taken whole. ``adds_bos``: prompts begin with the begin-of-text token
    unless the file says otherwise.
    """

    pre_tokenizer: Callable[[], pre_tokenizers.PreTokenizer]
    normalizer: Callable[[], normalizers.Normalizer] | None = None
    ignore_merges: bool = False
    adds_bos: bool = False


def _gpt2() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _single_digits() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()])


def _split(pattern: str) -> Callable[[], pre_tokenizers.PreTokenizer]:
    return lambda: pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


_GPT2 = ByteLevelRules(_gpt2)
_SINGLE_DIGITS = ByteLevelRules(_single_digits)
_NEOX = ByteLevelRules(_gpt2, normalizer=normalizers.NFC)
_LLAMA3 = ByteLevelRules(_split(_LLAMA3_PATTERN), ignore_merges=True, adds_bos=True)
_QWEN2 = ByteLevelRules(_split(_QWEN2_PATTERN), normalizer=normalizers.NFC)
_GPT4O = ByteLevelRules(_split(GPT4O_PATTERN), ignore_merges=True)
_TEKKEN = ByteLevelRules(_split(TEKKEN_PATTERN), ignore_merges=True, adds_bos=True)
_BLOOM = ByteLevelRules(_split(_BLOOM_PATTERN))

BYTE_LEVEL: dict[str, ByteLevelRules] = {
    "default": _GPT2,
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "olmo": _NEOX,
    "smollm": _SINGLE_DIGITS,
    "starcoder": _SINGLE_DIGITS,
    "refact": _SINGLE_DIGITS,
    "bloom": _BLOOM,
    "gpt-4o": _GPT4O,
    "tekken": _TEKKEN,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
    "smaug-bpe": _LLAMA3,
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
}
