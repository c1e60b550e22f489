from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from myna.hub import Hub, catalog
from myna.hub.catalog import CatalogModel, RecommendedSampling
from myna.hub.sources import Source
from tests.hub.server import Site, serve


@pytest.fixture
def site() -> Iterator[Site]:
    with serve(Site()) as running:
        yield running


@pytest.fixture
def models_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "models"
    directory.mkdir()
    return directory


@pytest.fixture
def hub(models_dir: Path) -> Hub:
    return Hub(models_dir)


Offer = Callable[..., None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Make the catalog one of a single model, ``bird:1b``, with the given sources."""

    def install(*sources: Source) -> None:
        bird = CatalogModel(
            "bird:1b",
            ("bird",),
            "Bird",
            "It talks.",
            10**9,
            512,
            "mit",
            RecommendedSampling(),
            "chatml",
            "0" * 64,
            tuple(sources),
        )
        monkeypatch.setattr(catalog, "models", lambda: (bird,))

    return install
