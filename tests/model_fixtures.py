"""Models that tests share: one real, one tiny."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from myna.hub import Hub
from tests.synthetic import write_model


def shared_models_directory() -> Path:
    """Where test runs keep real models between them: MYNA_TEST_MODELS, or a directory of the platform's cache."""
    chosen = os.environ.get("MYNA_TEST_MODELS")
    return Path(chosen) if chosen else platformdirs.user_cache_path("myna", appauthor=False) / "test-models"


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The real default model, fetched through the hub once for all runs."""
    return Hub(shared_models_directory()).pull("smollm2:135m")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers with random weights."""
    return write_model(tmp_path_factory.mktemp("models") / "tiny.gguf")
