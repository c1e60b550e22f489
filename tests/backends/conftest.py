from __future__ import annotations

from pathlib import Path

import pytest

from tests.synthetic import write_model


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose context takes long to fill: an answer without bound is still running when a test ends it."""
    return write_model(tmp_path_factory.mktemp("models") / "endless.gguf", context=200_000)
