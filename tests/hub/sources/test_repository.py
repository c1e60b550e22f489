from __future__ import annotations

import pytest

from myna.hub.sources import SourceError
from myna.hub.sources.repository import choose_files


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        (["m.Q8_0.gguf", "m.Q4_1.gguf"], "m.Q4_1.gguf"),
        (["m-q4_0.gguf", "m-q8_0.gguf"], "m-q4_0.gguf"),
        (["m.Q4_K_M.gguf", "m.Q8_0.gguf", "m.f16.gguf"], "m.Q4_K_M.gguf"),
        (["m.IQ2_XS.gguf", "m.Q2_K.gguf", "m.f16.gguf"], "m.f16.gguf"),
        (["config.json", "model.safetensors", "m.Q8_0.gguf"], "m.Q8_0.gguf"),
    ],
)
def test_the_fastest_supported_gguf_file_is_chosen(files: list[str], chosen: str) -> None:
    found = choose_files(files, None)
    assert (found.files, found.main) == ((chosen,), chosen)


PARTS = ["q/m-Q4_0-00001-of-00003.gguf", "q/m-Q4_0-00002-of-00003.gguf", "q/m-Q4_0-00003-of-00003.gguf"]


@pytest.mark.parametrize("wanted", [None, PARTS[0]])
def test_the_first_part_of_a_split_file_brings_the_others(wanted: str | None) -> None:
    found = choose_files(["README.md", *reversed(PARTS)], wanted)
    assert (found.files, found.main) == (tuple(PARTS), PARTS[0])


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceError, match="is one of 3 parts, but there is no q/m-Q4_0-00002-of-00003"):
        choose_files([PARTS[0], PARTS[2]], None)


REPOSITORY = [
    ".gitattributes",
    "1_Pooling/config.json",
    "LICENSE",
    "README.md",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "modeling_bird.py",
    "onnx/model.onnx",
    "original/consolidated.00.pth",
    "pytorch_model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
]


def test_a_directory_is_weights_configuration_vocabulary_and_licence_and_never_code() -> None:
    found = choose_files(REPOSITORY, None)
    assert found.main is None
    assert found.files == (
        "1_Pooling/config.json",
        "LICENSE",
        "README.md",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    )


def test_shards_and_their_index_come_without_a_second_copy() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    found = choose_files(["config.json", "model.safetensors", "consolidated.safetensors", *shards], None)
    assert found.files == ("config.json", *shards)


def test_pickles_come_only_when_they_are_named() -> None:
    files = ["config.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin",
             "pytorch_model.bin.index.json", "tokenizer.json"]  # fmt: skip
    with pytest.raises(
        SourceError, match=r"PyTorch pickles .* only when named, as in hf:owner/repo:pytorch_model-00001"
    ):
        choose_files(files, None)
    assert choose_files(files, "pytorch_model.bin.index.json").files == tuple(files)
    assert choose_files(REPOSITORY, "pytorch_model.bin").files == (
        "1_Pooling/config.json",
        "LICENSE",
        "README.md",
        "config.json",
        "generation_config.json",
        "pytorch_model.bin",
        "tokenizer.json",
        "tokenizer_config.json",
    )


def test_an_adapter_is_its_weights_and_its_configuration() -> None:
    found = choose_files(["README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json"], None)
    assert found.files == ("README.md", "adapter_config.json", "adapter_model.safetensors", "tokenizer.json")


@pytest.mark.parametrize(
    ("files", "wanted", "reason"),
    [
        (["m.IQ2_XS.gguf"], None, "there are m.IQ2_XS.gguf"),
        (["model.safetensors"], None, r"it has no GGUF file, and no config\.json with model\.safetensors"),
        (["config.json", "model.safetensors"], "model2.safetensors", r"there is no file .*; did you mean model\.safe"),
        (["m-Q4_0.gguf"], "m-Q4_1.gguf", r"did you mean m-Q4_0\.gguf\?"),
    ],
)
def test_a_repository_without_a_usable_file_is_said(files: list[str], wanted: str | None, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        choose_files(files, wanted)
