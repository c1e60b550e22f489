from __future__ import annotations

import shutil
import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest

from myna.errors import ModelFileError, UnsupportedParameter
from myna.formats import open_model
from myna.formats.blocks import decode
from myna.formats.gguf_writer import write_gguf
from myna.models.convert import TargetType, plan_gguf
from myna.models.families import layout_of
from myna.models.tokenizer import load_tokenizer
from tests.models.vocabularies import TEMPLATE, TEXT, write_byte_level, write_sentencepiece, write_words
from tests.parity import encoders
from tests.parity.models import CONFIGS, VOCABULARY, build, save
from tests.parity.reference import relative_error
from tests.parity.runner import Runner
from tests.parity.test_encoders import encode
from tests.synthetic import write_model

WITHOUT_GGUF = {
    "gptj": "there is no GGUF layout for its architecture 'gptj'",
    "qwen3moe-shares": "such files of its architecture cannot say that experts is ExpertsConfig",
}
IDS = [5, 9, 2, 77, 31, 5, 8, 120, 250, 3, 299, 41] * 4


def write(source: Path, target: Path, quant: TargetType | None = None) -> Path:
    with closing(open_model(source)) as file, target.open("wb") as output:
        conversion = plan_gguf(file, quant)
        write_gguf(output, conversion.metadata, conversion.tensors)
    return target


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = save(build("llama"), tmp_path_factory.mktemp("models") / "llama")
    write_byte_level(path)
    return path


@pytest.mark.parametrize("name", sorted(CONFIGS.keys() - WITHOUT_GGUF.keys()))
def test_every_family_gives_the_same_logits_as_a_gguf_file(tmp_path: Path, name: str) -> None:
    source = save(build(name), tmp_path / name)
    write_byte_level(source)
    with closing(open_model(source)) as file:
        vocabulary = load_tokenizer(file).vocab_size
    assert vocabulary < VOCABULARY
    target = write(source, tmp_path / "model.gguf")
    before, after = (Runner(path, vocabulary=vocabulary).whole(IDS) for path in (source, target))
    assert relative_error(after, before) < 1e-5


@pytest.mark.parametrize("name", WITHOUT_GGUF)
def test_what_a_gguf_file_cannot_say_is_refused(tmp_path: Path, name: str) -> None:
    source = save(build(name), tmp_path / name)
    write_byte_level(source)
    with pytest.raises(ModelFileError, match=WITHOUT_GGUF[name]):
        write(source, tmp_path / "model.gguf")


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_an_encoder_gives_the_same_vectors_as_a_gguf_file(tmp_path: Path, pooling: str) -> None:
    source = encoders.save(encoders.build("bert"), tmp_path / "bert", pooling=pooling)
    write_words(source, encoders.VOCABULARY)
    target = write(source, tmp_path / "model.gguf")
    for ours, theirs in zip(
        encode(source, [[5, 9, 77], [3] * 20]), encode(target, [[5, 9, 77], [3] * 20]), strict=True
    ):
        assert relative_error(theirs, ours) < 1e-6
    with closing(open_model(source)) as before, closing(open_model(target)) as after:
        one, other = load_tokenizer(before), load_tokenizer(after)
        for text in ("the birds", "unknown é bird"):
            assert other.encode_document(text) == one.encode_document(text)
        configs = [layout_of(file).configure(file) for file in (before, after)]
        assert configs[0] == replace(configs[1], norm_epsilon=configs[0].norm_epsilon)


@pytest.mark.parametrize(
    ("name", "normalised", "reason"),
    [
        ("roberta", True, "there is no GGUF layout for its architecture 'roberta'"),
        ("bert", False, "such files of its architecture cannot say that normalised is False"),
        ("bert-tanh", True, "such files of its architecture cannot say that activation is gelu_tanh"),
    ],
)
def test_encoders_that_a_gguf_file_cannot_describe_are_refused(
    tmp_path: Path, name: str, normalised: bool, reason: str
) -> None:
    source = encoders.save(encoders.build(name), tmp_path / name, normalised=normalised)
    write_words(source, encoders.VOCABULARY)
    with pytest.raises(ModelFileError, match=reason):
        write(source, tmp_path / "model.gguf")


@pytest.mark.parametrize("quant", ["q8_0", "q4_0", "q4_1", "f16", "bf16"])
def test_matrices_get_the_type_that_was_asked_for(directory: Path, tmp_path: Path, quant: TargetType) -> None:
    whole, small = write(directory, tmp_path / "whole.gguf"), write(directory, tmp_path / "small.gguf", quant)
    expected = {
        tensor.name: gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        for tensor in gguf.GGUFReader(whole).tensors
    }
    types = set()
    for tensor in gguf.GGUFReader(small).tensors:
        types.add((tensor.tensor_type.name, len(tensor.shape)))
        stored = gguf.quants.quantize(expected[tensor.name], tensor.tensor_type)
        np.testing.assert_array_equal(tensor.data.view("u1").ravel(), stored.view("u1").ravel(), tensor.name)
    fine = {("Q8_0", 2)} if quant.startswith("q4") else set()
    assert types == {("F32", 1), (quant.upper(), 2)} | fine
    fields = gguf.GGUFReader(small).fields
    assert fields["general.file_type"].contents() == gguf.LlamaFileType[f"{'MOSTLY_'}{quant.upper()}"].value


@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe", "qwen2", "smollm", "olmo", "tekken", "gpt-4o", "bloom"])
def test_byte_level_tokenizers_survive(directory: Path, tmp_path: Path, pre: str) -> None:
    source = Path(shutil.copytree(directory, tmp_path / "source"))
    write_byte_level(source, pre)
    target = write(source, tmp_path / "model.gguf")
    assert gguf.GGUFReader(target).fields["tokenizer.ggml.pre"].contents() == pre
    same_tokenizer(source, target)


def test_sentencepiece_tokenizers_survive(directory: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(directory, tmp_path / "source"))
    write_sentencepiece(source)
    target = write(source, tmp_path / "model.gguf")
    assert gguf.GGUFReader(target).fields["tokenizer.ggml.model"].contents() == "llama"
    same_tokenizer(source, target)


def same_tokenizer(directory: Path, target: Path) -> None:
    with closing(open_model(directory)) as before, closing(open_model(target)) as after:
        ours, theirs = load_tokenizer(before), load_tokenizer(after)
        assert after.metadata.string("tokenizer.chat_template") == TEMPLATE
    for text in (*TEXT, "  two  spaces\n\n and 99,999 🙂", "it's"):
        assert theirs.encode(text) == ours.encode(text)
        assert theirs.encode(text, continues=True) == ours.encode(text, continues=True)
        assert theirs.encode_prompt(text) == ours.encode_prompt(text)
    assert (theirs.bos_id, theirs.eos_id, theirs.stop_token_ids) == (ours.bos_id, ours.eos_id, ours.stop_token_ids)


def test_the_licence_goes_with_the_weights(directory: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(directory, tmp_path / "source"))
    (source / "README.md").write_text("---\nlicense: gemma\n---\n")
    target = write(source, tmp_path / "model.gguf")
    assert gguf.GGUFReader(target).fields["general.license"].contents() == "gemma"


def test_a_gguf_file_can_get_other_types(tmp_path: Path) -> None:
    source = write_model(tmp_path / "source.gguf", layers=1)
    target = write(source, tmp_path / "target.gguf", "q8_0")
    before, after = gguf.GGUFReader(source), gguf.GGUFReader(target)
    kept = before.fields.keys() - {"general.file_type", "GGUF.kv_count"}
    assert {key: before.fields[key].contents() for key in kept} == {key: after.fields[key].contents() for key in kept}
    for one, other in zip(before.tensors, after.tensors, strict=True):
        wanted = "Q8_0" if len(one.shape) > 1 else "F32"
        assert (other.name, other.tensor_type.name) == (one.name, wanted)
        error = np.abs(decode(other.data.tobytes(), wanted) - one.data.ravel()).max()
        assert error <= np.abs(one.data).max() / 200


def test_a_gguf_file_of_another_alignment_is_written_in_ours(tmp_path: Path) -> None:
    source = write_model(tmp_path / "source.gguf", layers=1, width=48, metadata={"general.alignment": 32})
    content = source.read_bytes()
    key = struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<I", 4)
    at = content.index(key) + len(key)
    source.write_bytes(content[:at] + struct.pack("<I", 8) + content[at + 4 :])
    target = write(source, tmp_path / "target.gguf")
    with closing(open_model(source)) as before, closing(open_model(target)) as after:
        for name, tensor in before.tensors.items():
            with before.read(tensor) as one, after.read(after.tensors[name]) as other:
                assert bytes(one) == bytes(other)


def test_types_that_cannot_be_computed_with_are_kept_or_refused(tmp_path: Path) -> None:
    source = write_model(tmp_path / "source.gguf", layers=1, quant="Q6_K", width=256, mlp_width=256)
    same = write(source, tmp_path / "same.gguf")
    assert [t.tensor_type for t in gguf.GGUFReader(same).tensors] == [
        t.tensor_type for t in gguf.GGUFReader(source).tensors
    ]
    with pytest.raises(UnsupportedParameter, match="is quantised as Q6_K, which cannot be converted"):
        write(source, tmp_path / "other.gguf", "q8_0")
