"""Vocabulary files of model directories: what the files beside them say, and what is refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from myna.errors import ModelFileError
from myna.models.prompting import Said, Written, encode_segments
from myna.models.tokenizer import load_directory_tokenizer
from myna.models.tokenizer.settings import read_chat_template
from tests.vocabularies import write_vocabulary


def write(directory: Path, name: str, content: Any) -> Path:
    directory.mkdir(exist_ok=True, parents=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def edit(directory: Path, **changes: Any) -> Path:
    """Change keys of tokenizer.json."""
    content = json.loads((directory / "tokenizer.json").read_text(encoding="utf-8"))
    return write(directory, "tokenizer.json", content | changes)


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_vocabulary(tmp_path / "llama", "llama2")


def test_an_answer_ends_at_every_token_that_any_file_names(tmp_path: Path) -> None:
    directory = write_vocabulary(tmp_path, "llama3")
    assert load_directory_tokenizer(directory).stop_token_ids == {1, 4}  # <|eot_id|> and <|end_of_text|>
    write(directory, "config.json", {"eos_token_id": [4]})
    write(directory, "generation_config.json", {"eos_token_id": [4, 3, 10**9, "x"]})
    assert load_directory_tokenizer(directory).stop_token_ids == {1, 3, 4}


def test_harmonys_end_of_a_message_is_not_the_end_of_an_answer(tmp_path: Path) -> None:
    directory = write_vocabulary(
        tmp_path,
        "gpt2",
        added_tokens_decoder={
            str(1000 + number): {"content": name, "special": True}
            for number, name in enumerate(
                ("<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>", "<|call|>")
            )
        },
    )
    tokenizer = load_directory_tokenizer(directory)
    assert {tokenizer.token_name(token_id) for token_id in tokenizer.stop_token_ids} == {
        "<|endoftext|>",
        "<|return|>",
        "<|call|>",
    }


@pytest.mark.parametrize(("flag", "adds"), [(True, True), (False, False), (None, True)])
def test_whether_a_prompt_begins_with_the_begin_token_is_the_configs_word(
    llama: Path, flag: bool | None, adds: bool
) -> None:
    config = {"bos_token": "<s>", "eos_token": "</s>"} | ({} if flag is None else {"add_bos_token": flag})
    tokenizer = load_directory_tokenizer(write(llama, "tokenizer_config.json", config))
    assert tokenizer.encode_prompt("Hi") == ([1] if adds else []) + tokenizer.encode("Hi")


def test_special_tokens_may_be_in_a_file_of_their_own(tmp_path: Path) -> None:
    directory = write_vocabulary(tmp_path, "llama2")
    (directory / "tokenizer_config.json").unlink()
    bos = {"content": "</s>", "lstrip": False, "special": True}
    write(directory, "special_tokens_map.json", {"bos_token": bos, "eos_token": "<s>"})
    tokenizer = load_directory_tokenizer(directory)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (2, 1)


def test_a_vocabulary_without_any_configuration_has_the_usual_special_tokens(tmp_path: Path) -> None:
    directory = write_vocabulary(tmp_path, "llama2")
    (directory / "tokenizer_config.json").unlink()
    tokenizer = load_directory_tokenizer(directory)
    assert (tokenizer.bos_id, tokenizer.eos_id) == (1, 2)


def test_added_tokens_that_are_not_special_are_text_but_for_those_of_the_template(tmp_path: Path) -> None:
    directory = write_vocabulary(tmp_path, "qwen", chat_template="{{ '<think>' }}")
    tokenizer = load_directory_tokenizer(directory)
    think, end = tokenizer.token_id("<think>"), tokenizer.token_id("</think>")
    assert think is not None
    assert end is not None
    assert think not in tokenizer.encode("<think></think>")
    assert end in tokenizer.encode("<think></think>")
    assert tokenizer.split_control("<think>a") == [think, "a"]
    assert tokenizer.decode([think]) == "<think>"


def test_control_tokens_swallow_the_spaces_that_their_file_says(tmp_path: Path) -> None:
    tokenizer = load_directory_tokenizer(write_vocabulary(tmp_path, "phi3"))
    user, end = tokenizer.token_id("<|user|>"), tokenizer.token_id("<|end|>")
    ids = encode_segments(tokenizer, [Written("<|user|>\n"), Said(" \n Hi \n"), Written("<|end|>\n")])
    assert ids == [user, *tokenizer.encode("Hi \n"), end]


def test_the_fingerprint_follows_vocabulary_and_special_tokens(tmp_path: Path) -> None:
    one = load_directory_tokenizer(write_vocabulary(tmp_path / "one", "gpt2"))
    same = load_directory_tokenizer(write_vocabulary(tmp_path / "same", "gpt2", model_max_length=7))
    added = {"1000": {"content": "<|im_end|>", "special": True}}
    more = load_directory_tokenizer(write_vocabulary(tmp_path / "more", "gpt2", added_tokens_decoder=added))
    assert one.fingerprint == same.fingerprint != more.fingerprint


def test_the_chat_template_is_found_wherever_it_is_kept(tmp_path: Path) -> None:
    assert read_chat_template(tmp_path) == ""
    write(tmp_path, "tokenizer_config.json", {"chat_template": "one"})
    assert read_chat_template(tmp_path) == "one"
    several = [{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}, 7]
    write(tmp_path, "tokenizer_config.json", {"chat_template": several})
    assert read_chat_template(tmp_path) == "three"
    write(tmp_path, "chat_template.json", {"chat_template": "four"})
    assert read_chat_template(tmp_path) == "four"
    write(tmp_path, "chat_template.jinja", "five")
    assert read_chat_template(tmp_path) == "five"
    write(tmp_path, "chat_template.jinja", "x" * (2**20 + 1))
    with pytest.raises(ModelFileError, match="its chat template has 1048577 characters"):
        read_chat_template(tmp_path)


def test_a_file_of_ranks_is_read_as_meta_writes_it(tmp_path: Path) -> None:
    tokens = [bytes([byte]) for byte in range(256)] + [b"He", b"ll", b"llo", b"Hello", b" w", b"or", b" wor", b"ld"]
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(tokens)]
    tokenizer = load_directory_tokenizer(write(tmp_path, "tokenizer.model", "\n".join(lines)))
    names = [tokenizer.token_bytes(token_id) for token_id in tokenizer.encode("Hello world, Hell")]
    assert names == [b"Hello", b" wor", b"ld", b",", b" ", b"He", b"ll"]
    assert tokenizer.vocab_size == len(tokens) + 256
    assert tokenizer.encode_prompt("He") == [len(tokens), 256]
    assert tokenizer.token_name(len(tokens) + 9) == "<|eot_id|>"
    assert {len(tokens) + 1, len(tokens) + 9} <= tokenizer.stop_token_ids


def test_a_directory_without_vocabulary_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"it has no vocabulary; looked for tokenizer\.json, tokenizer\.model"):
        load_directory_tokenizer(tmp_path)


NESTED: dict[str, Any] = {"type": "NFC"}
for _ in range(12):
    NESTED = {"type": "Sequence", "normalizers": [NESTED]}
DOUBLE = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": None}, "it has no model"),
        ({"model": {"type": "WordLevel", "vocab": {}}}, "its vocabulary is of the kind 'WordLevel'"),
        ({"model": {"type": "BPE", "vocab": {}, "merges": []}, "added_tokens": []}, "its vocabulary is empty"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}, "a token has the id -1"),
        ({"model": {"type": "BPE", "vocab": {"a": 2**40}, "merges": []}}, "a token has the id 1099511627776"),
        ({"model": {"type": "BPE", "vocab": {"a": True}, "merges": []}}, "a token has the id True"),
        (
            {"model": {"type": "BPE", "vocab": {"a": 9}, "merges": ["a b"]}},
            "its merges use or make 'ab', which is not a",
        ),
        ({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a"]]}}, r"one of its merges is \['a'\]"),
        ({"model": {"type": "BPE", "vocab": {"a": 0}}}, "its model has no merges"),
        ({"model": {"type": "Unigram", "vocab": [["a", "b"]]}}, "entry 0 of its vocabulary is"),
        ({"model": {"type": "Unigram", "vocab": [["a", 0.0]]}, "added_tokens": []}, "has 0 unknown tokens, expected 1"),
        (
            {"model": {"type": "Unigram", "vocab": [["a", 1e300]], "unk_id": 0}, "added_tokens": []},
            "scores that are not finite",
        ),
        ({"model": {"type": "WordPiece", "vocab": {"a": 0}}, "added_tokens": []}, "its vocabulary lacks '.UNK.'"),
        (
            {"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}, "max_input_chars_per_word": 10**9}},
            "max_input_chars_per_word is 1000000000",
        ),
        ({"added_tokens": [{"id": 5}]}, "an added token is {'id': 5}"),
        ({"added_tokens": [{"id": 5, "content": "x" * 300, "special": True}]}, "added token 5 has more than 256"),
        ({"added_tokens": [{"id": 5, "content": "x", "special": 1}]}, "special of the added token 'x' is neither"),
        ({"added_tokens": 7}, "its added tokens are not a list"),
        ({"normalizer": {"type": "Martian"}}, "its rules are broken"),
        ({"normalizer": NESTED}, "its rules are nested too deeply"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 100}},
            "it has 102 rules, more than 64",
        ),
        ({"normalizer": {"type": "Sequence", "normalizers": [DOUBLE] * 30}}, "make a text 1073741824 times longer"),
        (
            {
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": "(a+)+$"},
                    "behavior": "Isolated",
                    "invert": False,
                }
            },
            "may take for ever",
        ),
        (
            {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": False}},
            "broken",
        ),
        ({"post_processor": {"type": "Martian"}}, "its post-processor is"),
        (
            {
                "post_processor": {
                    "type": "Sequence",
                    "processors": [{"type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 0]}] * 40,
                }
            },
            "adds more than 64 tokens",
        ),
        ({"post_processor": {"type": "BertProcessing", "cls": ["a", 10**6], "sep": ["b", 0]}}, "adds token 1000000"),
    ],
)
def test_a_vocabulary_that_makes_no_sense_is_refused(llama: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        load_directory_tokenizer(edit(llama, **changes))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("tokenizer.json", "[" * 100_000, "nested too deeply"),
        ("tokenizer.json", "[]", "does not hold a JSON object"),
        ("tokenizer.json", "{", "does not hold JSON"),
        ("tokenizer_config.json", {"added_tokens_decoder": {"x": {}}}, "added_tokens_decoder has the id 'x'"),
        (
            "tokenizer_config.json",
            {"added_tokens_decoder": {"9" * 50: {"content": "a"}}},
            "a token has the id 999999999999",
        ),
        ("tokenizer_config.json", {"chat_template": 7}, "its chat template is not text"),
        ("tokenizer.model", "\x00\x01\x02", "it is not a whole SentencePiece model"),
        ("tokenizer.model", "IQ== 1\n", "line 1 is not that of rank 0"),
        ("tekken.json", {"config": {}, "vocab": []}, "its vocabulary has None tokens"),
        (
            "tekken.json",
            {
                "config": {"default_vocab_size": 1, "default_num_special_tokens": 0},
                "vocab": [{"token_bytes": "YQ=="}],
                "special_tokens": 7,
            },
            "its special tokens are not a list",
        ),
        ("vocab.json", {"a": 0}, "it cannot be read"),
        ("vocab.txt", "a\nb\n", "its vocabulary lacks '.UNK.'"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: Any, reason: str) -> None:
    with pytest.raises(ModelFileError, match=reason):
        load_directory_tokenizer(write(tmp_path, name, content))


def test_how_an_unknown_tokenizer_cuts_text_is_not_guessed(tmp_path: Path) -> None:
    write(tmp_path, "tokenizer_config.json", {"tokenizer_class": "MartianTokenizer"})
    with pytest.raises(ModelFileError, match="how 'MartianTokenizer' cuts text is not known"):
        load_directory_tokenizer(write(tmp_path, "vocab.json", {"a": 0}))


def test_rules_that_fail_on_a_text_are_the_files_fault(llama: Path) -> None:
    """The library gives such a pattern up after a while, and panics."""
    split = {"type": "Split", "pattern": {"Regex": "^(?:a|aa)+$"}, "behavior": "Isolated", "invert": False}
    tokenizer = load_directory_tokenizer(edit(llama, pre_tokenizer=split))
    with pytest.raises(ModelFileError, match="its tokenizer failed on a text"):
        tokenizer.encode("a" * 100 + "b")
    assert tokenizer.encode("aaa")
