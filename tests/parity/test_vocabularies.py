"""Tokens of published vocabulary files against the libraries that they come from, on vocabularies trained here."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import pytest
import sentencepiece
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from myna.formats import GGUFFile
from myna.models.prompting import Said, Written, encode_segments
from myna.models.tokenizer import Tokenizer, load_directory_tokenizer, load_tokenizer
from myna.models.tokenizer.sentencepiece import read_model
from tests.parity.test_tokenizer import SAMPLES, spells_control
from tests.synthetic import write_value
from tests.vocabularies import STYLES, corpus, write_vocabulary

Pair = tuple[Tokenizer, PreTrainedTokenizerBase]


@pytest.fixture(scope="module", params=STYLES)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    directory = write_vocabulary(tmp_path_factory.mktemp("vocabulary"), request.param)
    return load_directory_tokenizer(directory), AutoTokenizer.from_pretrained(directory)


def test_text_becomes_the_tokens_of_transformers(pair: Pair) -> None:
    mine, theirs = pair
    for text in SAMPLES:
        assert mine.encode(text) == theirs.encode(text, add_special_tokens=False), text


def test_documents_and_prompts_get_the_tokens_around_them(pair: Pair) -> None:
    mine, theirs = pair
    texts = [text for text in SAMPLES if not spells_control(mine, text)]
    expected = [theirs.encode(text) for text in texts]
    assert [mine.encode_document(text) for text in texts] == expected
    assert mine.encode_many(texts) == expected
    if mine.bos_id is not None:
        prompt = mine.encode_prompt("Hello")
        assert prompt == theirs.encode("Hello")[: len(prompt)]


def test_text_between_control_tokens_begins_as_in_transformers(pair: Pair) -> None:
    mine, theirs = pair
    control = [mine.token_name(token_id) for token_id in range(mine.vocab_size) if is_named_control(mine, token_id)]
    for first, second in zip(control, control[1:] + control[:1], strict=True):
        for text in (f"{first}Hi there{second}x", f"a{first} \n b {second}\n{first}", f"{first}{second}", f"x {first}"):
            assert encode_segments(mine, [Written(text)]) == theirs.encode(text, add_special_tokens=False), text
            assert not any(map(mine.is_control, mine.encode(text))), text
            assert not any(map(mine.is_control, encode_segments(mine, [Said(text)])))


def is_named_control(tokenizer: Tokenizer, token_id: int) -> bool:
    return tokenizer.is_control(token_id) and tokenizer.token_id(tokenizer.token_name(token_id)) == token_id


@settings(max_examples=60)
@given(text=st.text(max_size=60))
def test_any_text_becomes_the_tokens_of_transformers(pair: Pair, text: str) -> None:
    mine, theirs = pair
    assume(not spells_control(mine, text))
    assert mine.encode(text) == theirs.encode(text, add_special_tokens=False)


SENTENCEPIECE = {
    "llama": {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
              "remove_extra_whitespaces": False},
    "gemma": {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
              "remove_extra_whitespaces": False, "add_dummy_prefix": False, "split_digits": True,
              "user_defined_symbols": ["\u2581\u2581", "\u2581\u2581\u2581", "<td>"]},
    "normalising": {"model_type": "bpe", "control_symbols": ["[INST]"]},
    "unigram": {"model_type": "unigram"},
    "unigram bytes": {"model_type": "unigram", "byte_fallback": True, "normalization_rule_name": "nfkc_cf",
                      "user_defined_symbols": ["<td>"], "add_dummy_prefix": False},
}  # fmt: skip


@pytest.fixture(scope="module", params=SENTENCEPIECE)
def sentencepieces(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Tokenizer, sentencepiece.SentencePieceProcessor]:
    directory = tmp_path_factory.mktemp("sentencepiece")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(line for text in corpus() for line in text.splitlines() if line),
        model_prefix=str(directory / "tokenizer"),
        vocab_size=800,
        character_coverage=0.99,
        minloglevel=2,
        num_threads=1,
        **SENTENCEPIECE[request.param],
    )
    (directory / "tokenizer.vocab").unlink()
    processor = sentencepiece.SentencePieceProcessor(str(directory / "tokenizer.model"))
    return load_directory_tokenizer(directory), processor


def test_text_becomes_the_tokens_of_sentencepiece(
    sentencepieces: tuple[Tokenizer, sentencepiece.SentencePieceProcessor],
) -> None:
    mine, theirs = sentencepieces
    assert (mine.bos_id, mine.eos_id, mine.vocab_size) == (theirs.bos_id(), theirs.eos_id(), theirs.vocab_size())
    for text in [*SAMPLES, "<td>a</td><td>b", *(" " * count + "x" for count in range(40))]:
        assert mine.encode(text) == theirs.encode(text), text
        assert not any(mine.is_control(token_id) and token_id != theirs.unk_id() for token_id in mine.encode(text))


@pytest.mark.parametrize("text", ["<s>", "</s> [INST]", "<0x41>", "<unk>"])
def test_what_spells_control_is_text_for_sentencepiece_too(
    sentencepieces: tuple[Tokenizer, sentencepiece.SentencePieceProcessor], text: str
) -> None:
    mine, theirs = sentencepieces
    if not any(theirs.is_unknown(token_id) for token_id in theirs.encode(text)):
        assert mine.decode(mine.encode(text)).strip().lower() == text.lower()
    assert not any(mine.is_control(token_id) and token_id != theirs.unk_id() for token_id in mine.encode(text))


MISTRAL = Path(find_spec("mistral_common").submodule_search_locations[0]) / "data"  # type: ignore[union-attr, index]


@pytest.mark.parametrize("name", ["tokenizer.model.v1", "mistral_instruct_tokenizer_240323.model.v3"])
def test_a_real_vocabulary_of_32000_pieces(tmp_path: Path, name: str) -> None:
    shutil.copy(MISTRAL / name, tmp_path / "tokenizer.model")
    theirs = sentencepiece.SentencePieceProcessor(str(MISTRAL / name))
    mine = load_directory_tokenizer(tmp_path)
    for text in SAMPLES:
        assert mine.encode(text) == theirs.encode(text), text
    assert (mine.bos_id, mine.eos_id, mine.adds_bos) == (1, 2, True)


def test_vocabulary_and_merges_alone_are_enough_for_gpt2(tmp_path: Path) -> None:
    whole = write_vocabulary(tmp_path / "whole", "gpt2")
    model = json.loads((whole / "tokenizer.json").read_text())["model"]
    merges = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in model["merges"])
    expected = load_directory_tokenizer(whole)
    for names in (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")):
        directory = tmp_path / names[0]
        directory.mkdir()
        (directory / names[0]).write_text(json.dumps(model["vocab"]))
        (directory / names[1]).write_text(merges, encoding="utf-8")
        mine = load_directory_tokenizer(directory)
        assert [mine.encode(text) for text in SAMPLES] == [expected.encode(text) for text in SAMPLES]
        assert (mine.bos_id, mine.eos_id, mine.stop_token_ids) == (0, 0, {0})


@pytest.mark.parametrize("lower", [True, False])
def test_a_list_of_words_alone_is_enough_for_bert(tmp_path: Path, lower: bool) -> None:
    whole = write_vocabulary(tmp_path / "whole", "bert")
    ids = json.loads((whole / "tokenizer.json").read_text())["model"]["vocab"]
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(ids, key=ids.__getitem__)) + "\n", encoding="utf-8")
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    mine, theirs = load_directory_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for text in SAMPLES:
        assert mine.encode_document(text) == theirs.encode(text), text


def as_gguf(directory: Path, values: dict[str, Any]) -> Tokenizer:
    """A tokenizer in a GGUF file of nothing else."""
    path = directory / "vocabulary.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in values.items():
        write_value(writer, f"tokenizer.ggml.{key}", value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return load_tokenizer(GGUFFile(path))


@pytest.mark.parametrize("unknown", [2, 3], ids=["unknown", "control"])
def test_berts_vocabulary_survives_its_way_into_gguf(tmp_path: Path, unknown: int) -> None:
    """As llama.cpp's converter writes it: a mark before words, none before their parts, [UNK] a control token."""
    directory = write_vocabulary(tmp_path / "bert", "bert")
    expected = load_directory_tokenizer(directory)
    names = [expected.token_name(token_id) for token_id in range(expected.vocab_size)]
    special = [name.startswith("[") and name.endswith("]") and len(name) > 2 for name in names]
    mine = as_gguf(
        tmp_path,
        {
            "model": "bert",
            "tokens": [
                name if control else name.removeprefix("##") if name.startswith("##") else f"\u2581{name}"
                for name, control in zip(names, special, strict=True)
            ],
            "token_type": [
                unknown if name == "[UNK]" else 3 if control else 1
                for name, control in zip(names, special, strict=True)
            ],
            "cls_token_id": expected.token_id("[CLS]"),
            "seperator_token_id": expected.token_id("[SEP]"),
        },
    )
    for text in SAMPLES:
        assert mine.encode_document(text) == expected.encode_document(text), text
    assert mine.decode(mine.encode("unaffordable")).replace(" ", "") == "unaffordable"


@pytest.mark.parametrize("sentencepieces", ["unigram", "unigram bytes"], indirect=True)
def test_a_unigram_vocabulary_survives_its_way_into_gguf(
    sentencepieces: tuple[Tokenizer, sentencepiece.SentencePieceProcessor], tmp_path: Path
) -> None:
    _, theirs = sentencepieces
    (tmp_path / "tokenizer.model").write_bytes(theirs.serialized_model_proto())
    written = read_model(tmp_path / "tokenizer.model")
    values: dict[str, Any] = {
        "model": "t5",
        "tokens": written.pieces,
        "scores": written.scores,
        "token_type": written.kinds,
        "add_space_prefix": written.space_prefix,
        "remove_extra_whitespaces": written.one_space,
        "precompiled_charsmap": written.charsmap,
        "eos_token_id": theirs.eos_id(),
        "add_bos_token": False,
    }
    mine = as_gguf(tmp_path, values)
    for text in SAMPLES:
        assert mine.encode(text) == theirs.encode(text), text
        assert mine.encode_document(text) == [*theirs.encode(text), theirs.eos_id()]
