from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from myna.errors import ModelFileError
from myna.formats import GGUFFile
from myna.models.tokenizer import Tokenizer, load_tokenizer
from tests.synthetic import write_model, write_value

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = ["▁", *"helowrd", "▁h", "he", "ll", "lo", "llo", "hello", "▁hello", "▁w", "or", "▁wor", "ld"]
SENTENCEPIECE: dict[str, Any] = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *BYTES, *WORDS],
    "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * len(WORDS)],
    # Of two pieces the later one in WORDS scores better, so that longer words win.
    "tokenizer.ggml.scores": [0.0, 0.0, 0.0, *[0.0] * 256, *[float(rank) for rank in range(len(WORDS))]],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
}

Load = Callable[..., Tokenizer]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Build a tokenizer from metadata alone; None leaves a usual key out."""

    def build(**keys: Any) -> Tokenizer:
        path = tmp_path / "vocabulary.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for key, value in keys.items():
            if value is not None:
                write_value(writer, key, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return load_tokenizer(GGUFFile(path))

    return build


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Tokenizer:
    return load_tokenizer(GGUFFile(tiny_model))


@settings(max_examples=200)
@given(st.text())
def test_byte_level_text_comes_back(tiny: Tokenizer, text: str) -> None:
    ids = tiny.encode(text)
    assert tiny.decode(ids) == text
    assert b"".join(map(tiny.token_bytes, ids)) == text.encode()
    assert not any(map(tiny.is_control, ids))


def test_half_a_surrogate_pair_becomes_a_replacement_character(tiny: Tokenizer) -> None:
    assert tiny.decode(tiny.encode("a\ud800b\ud83d\ude42")) == "a\ufffdb🙂"


def test_digits_are_cut_one_by_one(tiny: Tokenizer) -> None:
    assert [tiny.token_name(token_id) for token_id in tiny.encode("123")] == ["1", "2", "3"]


def test_control_tokens_are_found_only_on_request(tiny: Tokenizer) -> None:
    text = "a<|im_start|><|im_end|>b<|im_end"
    assert not any(map(tiny.is_control, tiny.encode(text)))
    assert tiny.split_control(text) == ["a", 1, 2, "b<|im_end"]
    assert tiny.decode([1, 2]) == ""
    assert tiny.token_name(2) == "<|im_end|>"
    assert tiny.is_control(2)


def test_the_longest_control_token_wins(load: Load) -> None:
    keys = SENTENCEPIECE | {"tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * len(WORDS)]}
    keys["tokenizer.ggml.tokens"] = ["<unk>", "<s>", "<s>x", *BYTES, *WORDS]
    assert load(**keys).split_control("<s>x<s>") == [2, 1]


def test_an_answer_ends_at_every_token_that_ends_one(tiny: Tokenizer, load: Load) -> None:
    assert tiny.stop_token_ids == {0, 2}  # <|endoftext|> and <|im_end|>
    keys = SENTENCEPIECE | {"tokenizer.ggml.eot_token_id": 0}
    assert load(**keys).stop_token_ids == {0, 2}


def test_a_prompt_begins_with_the_begin_token_where_the_model_wants_one(tiny: Tokenizer, load: Load) -> None:
    assert tiny.encode_prompt("fox") == tiny.encode("fox")
    wants = load(**SENTENCEPIECE)
    assert wants.encode_prompt("hello") == [1, *wants.encode("hello")]
    does_not = load(**SENTENCEPIECE, **{"tokenizer.ggml.add_bos_token": False})
    assert does_not.encode_prompt("hello") == does_not.encode("hello")


def test_token_ids_outside_of_the_vocabulary_are_an_index_error(tiny: Tokenizer) -> None:
    with pytest.raises(IndexError):
        tiny.token_bytes(tiny.vocab_size)


def test_the_fingerprint_follows_the_vocabulary_and_nothing_else(tmp_path: Path, tiny: Tokenizer) -> None:
    same = write_model(tmp_path / "same.gguf", seed=9, layers=1)
    assert load_tokenizer(GGUFFile(same)).fingerprint == tiny.fingerprint
    other = write_model(tmp_path / "other.gguf", layers=1, metadata={"tokenizer.ggml.pre": "gpt-2"})
    assert load_tokenizer(GGUFFile(other)).fingerprint != tiny.fingerprint


def sentencepiece(text: str) -> list[str]:
    """The algorithm in its plainest form: join the best-scoring pair, leftmost first, until none is left."""
    scores = {word: rank for rank, word in enumerate(WORDS)}
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        pairs = [
            (-scores[left + right], index)
            for index, (left, right) in enumerate(pairwise(parts))
            if left + right in scores
        ]
        if not pairs:
            break
        _, index = min(pairs)
        parts[index : index + 2] = [parts[index] + parts[index + 1]]
    return [
        piece
        for part in parts
        for piece in ([part] if part in scores else [f"<0x{byte:02X}>" for byte in part.encode()])
    ]


@settings(max_examples=300)
@given(text=st.text(alphabet="helo wrd\nñ", min_size=1, max_size=30))
def test_sentencepiece_joins_the_best_pair_and_spells_the_rest_in_bytes(
    sentencepiece_tokenizer: Tokenizer, text: str
) -> None:
    ids = sentencepiece_tokenizer.encode(text)
    assert [sentencepiece_tokenizer.token_name(token_id) for token_id in ids] == sentencepiece(text)
    assert sentencepiece_tokenizer.decode(ids) == " " + text


@pytest.fixture(scope="module")
def sentencepiece_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    path = write_model(
        tmp_path_factory.mktemp("models") / "sentencepiece.gguf",
        layers=1,
        vocab_size=3 + 256 + len(WORDS),
        metadata=SENTENCEPIECE | {"tokenizer.ggml.merges": ["a b"]},
    )
    return load_tokenizer(GGUFFile(path))


def test_a_sentencepiece_text_that_goes_on_gets_no_space(sentencepiece_tokenizer: Tokenizer) -> None:
    assert sentencepiece_tokenizer.decode(sentencepiece_tokenizer.encode("hello", continues=True)) == "hello"
    assert sentencepiece_tokenizer.encode("") == []


def test_what_spells_a_byte_or_a_control_piece_is_text(sentencepiece_tokenizer: Tokenizer) -> None:
    for text in ("<0x41>", "<s>", "</s>", "<unk>"):
        ids = sentencepiece_tokenizer.encode(text)
        assert sentencepiece_tokenizer.decode(ids) == f" {text}"
        assert not any(map(sentencepiece_tokenizer.is_control, ids))


def test_user_defined_tokens_are_text_but_for_those_of_the_template(load: Load) -> None:
    keys = SENTENCEPIECE | {"tokenizer.chat_template": "{{ '<think>' }}", "tokenizer.ggml.add_space_prefix": False}
    keys["tokenizer.ggml.tokens"] = ["<unk>", "<s>", "</s>", *BYTES, *WORDS, "<td>", "<think>"]
    keys["tokenizer.ggml.token_type"] = [*SENTENCEPIECE["tokenizer.ggml.token_type"], 4, 4]
    keys["tokenizer.ggml.scores"] = [*SENTENCEPIECE["tokenizer.ggml.scores"], 0.0, 0.0]
    tokenizer = load(**keys)
    table, think = tokenizer.vocab_size - 2, tokenizer.vocab_size - 1
    assert table in tokenizer.encode("<td>")
    assert think not in tokenizer.encode("<think>")
    assert tokenizer.split_control("<think>he") == [think, "he"]
    assert tokenizer.decode([think, table]) == "<think><td>"  # what the model writes is seen


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tokenizer.ggml.model": "rwkv"}, "its vocabulary is of the kind 'rwkv'"),
        ({"tokenizer.ggml.model": None}, "its metadata lacks tokenizer.ggml.model"),
        ({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "martian"}, "its pre-tokenizer 'martian' is not known"),
        ({"tokenizer.ggml.model": "gpt2"}, "its metadata lacks tokenizer.ggml.merges"),
        ({"tokenizer.ggml.tokens": None}, "its metadata lacks tokenizer.ggml.tokens"),
        ({"tokenizer.ggml.scores": [1.0]}, "tokenizer.ggml.scores has 1 entries for 278 tokens"),
        ({"tokenizer.ggml.token_type": [1]}, "tokenizer.ggml.token_type has 1 entries for 278 tokens"),
        ({"tokenizer.ggml.eos_token_id": 278}, "tokenizer.ggml.eos_token_id is 278, expected 0 to 277"),
        ({"tokenizer.ggml.token_type": [6, *[1] * 277]}, "token 0, '<unk>', does not name a byte"),
        (
            {"tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *BYTES, *WORDS[:-1], "x" * 300]},
            "token 277 has 300 characters, more than 256",
        ),
        (
            {"tokenizer.ggml.tokens": ["x"] * 20_000, "tokenizer.ggml.token_type": [3] * 20_000},
            "its vocabulary has 20000 control tokens",
        ),
    ],
)
def test_a_vocabulary_that_makes_no_sense_is_refused(load: Load, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        load(**(SENTENCEPIECE | changes))
    assert reason in caught.value.reason


@pytest.mark.parametrize("merge", ["q zebra", "zebra q", "q q", "q", "q ", " q", "", "< |im_end|>"])
def test_merges_of_tokens_that_do_not_exist_are_refused(tmp_path: Path, merge: str) -> None:
    path = write_model(tmp_path / "model.gguf", layers=1, metadata={"tokenizer.ggml.merges": [merge]})
    with pytest.raises(ModelFileError, match=r"its merges use or make .*, which is not a token"):
        load_tokenizer(GGUFFile(path))
