"""Filling gaps: which vocabularies can be asked to, in which order, and that texts stay texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from myna.formats import GGUFFile
from myna.models.describe import describe_model
from myna.models.tokenizer import Tokenizer, load_directory_tokenizer, load_tokenizer
from myna.models.tokenizer.infill import FAMILIES, Marks
from tests.synthetic import vocabulary, write_model
from tests.vocabularies import write_vocabulary

NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
SIZE = 700
"""More than there are pieces to learn, so that the last are free."""


def directory(path: Path, family: Marks, *, special: bool) -> Tokenizer:
    """A byte-level vocabulary with a family's tokens beside it."""
    marks = (family.prefix, family.suffix, family.middle, *family.others)
    added = {str(1000 + number): {"content": name, "special": special} for number, name in enumerate(marks)}
    return load_directory_tokenizer(write_vocabulary(path, "gpt2", added_tokens_decoder=added))


@pytest.mark.parametrize("special", [True, False], ids=["special", "called text"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.prefix)
def test_every_family_is_told_prefix_suffix_and_to_write_the_middle(
    tmp_path: Path, family: Marks, special: bool
) -> None:
    tokenizer = directory(tmp_path, family, special=special)
    # What a file says is no control token, whatever it is spelled like.
    before, after = f"def f({family.middle}", f"{family.suffix} return"
    ids = tokenizer.encode_infill(before, after)
    first, *rest = ids
    second = rest.index(tokenizer.infill.suffix) if tokenizer.infill else -1
    assert tokenizer.token_name(first) == family.prefix
    assert tokenizer.token_name(rest[-1]) == family.middle
    assert tokenizer.decode(rest[:second]) == before
    assert tokenizer.decode(rest[second + 1 : -1]) == after
    assert sum(tokenizer.is_control(id_) for id_ in ids) == 3
    assert tokenizer.infill is not None
    ends = {tokenizer.token_name(id_) for id_ in tokenizer.infill.stops}
    assert ends == {family.prefix, family.suffix, family.middle, *family.others}


def test_a_family_of_which_a_token_is_missing_cannot(tmp_path: Path) -> None:
    assert directory(tmp_path, Marks("<fim_prefix>", "<fim_suffix>", "<fim_hole>"), special=True).infill is None


def gguf(path: Path, **more: Any) -> Tokenizer:
    return load_tokenizer(
        GGUFFile(write_model(path / "model.gguf", layers=1, width=32, vocab_size=SIZE, metadata=more))
    )


def test_gguf_files_name_them_by_key_or_have_a_familys(tmp_path: Path) -> None:
    pieces = list(vocabulary(SIZE)[0])
    kinds = [CONTROL] * 3 + [5 if piece.startswith("<unused") else NORMAL for piece in pieces[3:]]
    assert gguf(tmp_path).infill is None
    ids = {"pre": 690, "suf": 691, "mid": 692, "pad": 693}
    stated = gguf(tmp_path, **{f"tokenizer.ggml.fim_{name}_token_id": id_ for name, id_ in ids.items()})
    assert stated.encode_infill("", "") == [690, 691, 692]
    assert stated.infill is not None
    assert stated.infill.stops == set(ids.values())
    pieces[680:683] = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"]
    kinds[680:683] = [USER_DEFINED] * 3
    named = gguf(tmp_path, **{"tokenizer.ggml.tokens": pieces, "tokenizer.ggml.token_type": kinds})
    assert named.decode(named.encode_infill("<|fim_suffix|>", "")) == "<|fim_suffix|>"
    assert named.encode_infill("", "") == [680, 681, 682]


def test_a_vocabulary_that_begins_texts_with_a_space_does_not_begin_a_suffix_with_one(tmp_path: Path) -> None:
    family = FAMILIES[3]
    added = {
        str(2000 + number): {"content": name, "special": True}
        for number, name in enumerate((family.prefix, family.suffix, family.middle, *family.others))
    }
    tokenizer = load_directory_tokenizer(
        write_vocabulary(tmp_path, "llama2 legacy", added_tokens_decoder=added, add_bos_token=True)
    )
    # Code Llama's reference: "<s> <PRE> x <SUF>y <MID>" of the prefix "x" and the suffix "y".
    prompt = tokenizer.encode_infill("def", "end")
    assert tokenizer.infill is not None
    middle = prompt.index(tokenizer.infill.suffix)
    assert [tokenizer.token_name(id_) for id_ in (prompt[0], prompt[1], prompt[-1])] == ["<s>", "▁<PRE>", "▁<MID>"]
    assert tokenizer.decode(prompt[2:middle]) == " def"
    assert tokenizer.decode(prompt[middle + 1 : -1]) == "end"


def test_a_description_tells(tmp_path: Path) -> None:
    keys = {f"tokenizer.ggml.fim_{name}_token_id": 380 + n for n, name in enumerate(("pre", "suf", "mid"))}
    assert not describe_model(write_model(tmp_path / "a.gguf", layers=1)).infill
    assert describe_model(write_model(tmp_path / "b.gguf", layers=1, metadata=keys)).infill
