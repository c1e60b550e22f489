from __future__ import annotations

import pytest

from myna.models.pretokenizers import BYTE_LEVEL

TEXT = "I'LL pay 12345 now!!\n\n  ok"


def words(name: str) -> list[str]:
    return [
        word.replace("Ġ", "_").replace("Ċ", "/") for word, _ in BYTE_LEVEL[name].pre_tokenizer().pre_tokenize_str(TEXT)
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gpt-2", ["I", "'", "LL", "_pay", "_12345", "_now", "!!", "//_", "_ok"]),
        ("smollm", ["I", "'", "LL", "_pay", "_", "1", "2", "3", "4", "5", "_now", "!!", "//_", "_ok"]),
        ("llama-bpe", ["I", "'LL", "_pay", "_", "123", "45", "_now", "!!//", "_", "_ok"]),
        ("tekken", ["I", "'LL", "_pay", "_", "1", "2", "3", "4", "5", "_now", "!!//", "_", "_ok"]),
        ("gpt-4o", ["I'LL", "_pay", "_", "123", "45", "_now", "!!//", "_", "_ok"]),
        ("bloom", ["I'LL", "_pay", "_12345", "_now", "!!//_", "_ok"]),
        ("olmo", ["I", "'", "LL", "_pay", "_12345", "_now", "!!", "//_", "_ok"]),
        ("qwen2", ["I", "'LL", "_pay", "_", "1", "2", "3", "4", "5", "_now", "!!//", "_", "_ok"]),
    ],
)
def test_words_are_cut_as_the_vocabulary_was_trained(name: str, expected: list[str]) -> None:
    assert words(name) == expected


def test_qwen_composes_accents_first() -> None:
    normalizer = BYTE_LEVEL["qwen2"].normalizer
    assert normalizer is not None
    assert normalizer().normalize_str("e\u0301") == "\u00e9"
