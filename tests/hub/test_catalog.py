from __future__ import annotations

import re
import tomllib

import pytest

from myna.hub import RecommendedSampling, catalog, recommended_sampling
from myna.hub.entries import known_templates
from myna.hub.licences import licence
from myna.hub.sources.huggingface import HuggingFaceSource
from myna.hub.sources.url import UrlSource
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
            assert re.fullmatch("[0-9a-f]{64}", source.sha256)
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
