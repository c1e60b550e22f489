from __future__ import annotations

import re
import tomllib

import pytest

from myna.hub import RecommendedSampling, catalog, recommended_sampling
from myna.hub.entries import known_templates, tables
from myna.hub.licences import licence
from myna.hub.sources import Snapshot
from myna.hub.sources.huggingface import HuggingFaceSource
from myna.hub.sources.url import UrlSource
from myna.models.dialects.formats import dialect_names
from myna.settings import Settings


def test_the_default_model_is_known_and_open() -> None:
    model = catalog.find(Settings.model_fields["model"].default)
    assert model is not None
    assert model is catalog.models()[0]
    assert (model.context, model.licence_class, model.dialect) == (8192, "open", "chatml")
    assert model.template_sha256 in known_templates()


def test_sampling_is_what_the_authors_recommend_or_a_plain_default() -> None:
    assert recommended_sampling("smollm2") == RecommendedSampling(0.2, 0.9, "You are a helpful AI assistant.")
    assert recommended_sampling("hf:owner/repo") == RecommendedSampling(0.6, 0.9, None)


def test_names_and_aliases_mean_one_model_each() -> None:
    names = [name for model in catalog.models() for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))
    assert all(name == name.casefold() for name in names)


def test_every_source_has_size_and_hash() -> None:
    for model in catalog.models():
        assert model.sources
        for source in model.sources:
            assert source.bytes > 0
            digests = [file.digest for file in source.files] if isinstance(source, Snapshot) else [source.digest]
            assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
            assert source.disk_bytes >= source.bytes


def test_every_licence_in_the_catalog_has_a_class() -> None:
    assert all(model.licence_class != "unknown" for model in catalog.models())


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("Apache-2.0", "open"),
        ("llama2", "community"),
        ("cc-by-nc-4.0", "non-commercial"),
        ("gemma", "use-restricted"),
        ("made-up", "unknown"),
    ],
)
def test_licence_classes(identifier: str, expected: str) -> None:
    assert licence(identifier).licence_class == expected


@pytest.mark.parametrize(
    ("name", "dialect", "licence_class"),
    [
        ("gpt2", None, "open"),
        ("hf:EleutherAI/pythia-160m", None, "open"),
        ("databricks/dolly-v1-6b", "dolly", "non-commercial"),
        ("hf:databricks/dolly-v2-3b:pytorch_model.bin", "dolly", "open"),
        ("bigscience/bloom-560m", None, "use-restricted"),
        ("meta-llama/Llama-2-7b-hf", None, "community"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama2", "community"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "llama3", "community"),
        ("meta-llama/Llama-3.2-1B", None, "community"),
        ("lmsys/vicuna-7b-delta-v0", "vicuna-v0", "non-commercial"),
        ("lmsys/vicuna-7b-delta-v1.1", "vicuna", "non-commercial"),
        ("lmsys/vicuna-7b-v1.5", "vicuna", "community"),
        ("vicuna-13b-v1.5", "vicuna", "community"),
        ("tatsu-lab/alpaca-7b-wdiff", "alpaca", "non-commercial"),
        ("mistralai/Mistral-7B-Instruct-v0.2", "mistral-v1", "open"),
        ("mistralai/Mistral-7B-Instruct-v0.3", "mistral-v3", "open"),
        ("mistralai/Mixtral-8x7B-v0.1", None, "open"),
        ("Qwen/Qwen2.5-3B-Instruct", None, "non-commercial"),
        ("Qwen/Qwen3-0.6B", None, "open"),
        ("google/gemma-3-1b-it", None, "use-restricted"),
        ("OpenAssistant/oasst-sft-4-pythia-12b-epoch-3.5", "oasst", "open"),
        ("intfloat/e5-small-v2", None, "open"),
    ],
)
def test_published_weights_have_a_licence_and_their_authors_dialect(
    name: str, dialect: str | None, licence_class: str
) -> None:
    known = catalog.checkpoint(name)
    assert known is not None
    assert (known.dialect, known.licence.licence_class) == (dialect, licence_class)


def test_weights_that_nobody_listed_are_not_known() -> None:
    assert catalog.checkpoint("owner/repo") is None


def test_every_dialect_and_licence_of_the_catalog_is_one() -> None:
    for entry in tables()["checkpoint"]:
        assert licence(entry["licence"]).licence_class != "unknown", entry
        assert entry.get("dialect", "plain") in dialect_names(), entry
        assert all(pattern == pattern.casefold() for pattern in entry["repositories"])


ENTRY = """
[[model]]
name = "a:1b"
aliases = []
title = "A"
description = ""
parameters = 1
context = 1
licence = "mit"
[model.dialect]
name = "chatml"
template_sha256 = "00"
[[model.source]]
kind = "huggingface"
repository = "o/r"
file = "a.gguf"
bytes = 1
sha256 = "11"
revision = "abc"
[[model.source]]
kind = "url"
url = "https://host/a.gguf"
bytes = 1
sha256 = "11"
"""


def test_sources_of_every_kind_are_read() -> None:
    model = catalog.parse(tomllib.loads(ENTRY)["model"][0])
    assert model.sources == (
        HuggingFaceSource("o/r", "a.gguf", 1, "11", "abc"),
        UrlSource("https://host/a.gguf", 1, "11"),
    )


def test_a_misspelt_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="byte"):
        catalog.parse(tomllib.loads(ENTRY.replace("\nbytes", "\nbyte"))["model"][0])
