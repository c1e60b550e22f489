from __future__ import annotations

from pathlib import Path

import pytest

from myna.errors import SourcesUnreachable
from myna.hub import Hub
from myna.hub.sources import SourceError
from myna.hub.sources.huggingface import HuggingFaceSource, locate
from tests.hub.conftest import Offer
from tests.hub.server import Site, digest

CONTENT = bytes(range(256)) * 2048


@pytest.fixture(autouse=True)
def _endpoint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own switch for mirrors, as HF_ENDPOINT sets it."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", site.url + "/{repo_id}/resolve/{revision}/{filename}"
    )


def test_a_repository_by_name_gives_its_fastest_file(hub: Hub, site: Site) -> None:
    site.add_repository("owner/bird", {"bird-Q8_0.gguf": b"larger", "bird-Q4_0.gguf": CONTENT, "README.md": b"hi"})
    assert hub.find("hf:owner/bird") is None
    path = hub.pull("hf:owner/bird")
    assert path.read_bytes() == CONTENT
    assert hub.find("hf:owner/bird") == path
    [local] = hub.local()
    assert (local.name, local.source, local.entry) == ("hf:owner/bird", "Hugging Face owner/bird", None)


def test_a_file_by_name_at_the_revision_that_was_looked_up(hub: Hub, site: Site) -> None:
    site.add_repository("owner/bird", {"bird-Q4_0.gguf": b"smaller", "deep/bird Q8_0.gguf": CONTENT}, revision="abc123")
    assert hub.pull("hf:owner/bird:deep/bird Q8_0.gguf").read_bytes() == CONTENT
    assert site.requests[-1][1] == "/owner/bird/resolve/abc123/deep/bird%20Q8_0.gguf"


def test_a_broken_download_goes_on(hub: Hub, site: Site) -> None:
    site.add_repository("owner/bird", {"bird-Q4_0.gguf": CONTENT})
    site.cut = [100_000]
    assert hub.pull("hf:owner/bird").read_bytes() == CONTENT
    assert site.requests[-1][2] == "bytes=100000-"


def test_a_catalog_source_needs_no_look_up(hub: Hub, site: Site, offer: Offer) -> None:
    site.add_repository("owner/bird", {"bird.gguf": CONTENT})
    offer(HuggingFaceSource("owner/bird", "bird.gguf", len(CONTENT), digest(CONTENT), "c0ffee"))
    assert hub.pull("bird").read_bytes() == CONTENT
    assert [path for _, path, _ in site.requests] == ["/owner/bird/resolve/c0ffee/bird.gguf"]
    assert hub.check_sources("bird") == [("Hugging Face owner/bird", None)]


def test_the_users_token_goes_along(hub: Hub, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    _, headers = HuggingFaceSource("owner/bird", "bird.gguf", 1, "00")._request()
    assert headers == {"Authorization": "Bearer hf_secret"}


def test_what_is_not_there_is_said(hub: Hub, site: Site) -> None:
    with pytest.raises(SourcesUnreachable, match="there is no such repository, or HF_TOKEN is needed"):
        hub.pull("hf:owner/nothing")
    site.add_repository("owner/bird", {"bird-Q4_0.gguf": CONTENT})
    with pytest.raises(SourcesUnreachable, match=r"there is no file bird-Q4_1\.gguf; did you mean bird-Q4_0\.gguf\?"):
        hub.pull("hf:owner/bird:bird-Q4_1.gguf")


def test_no_network_is_said(hub: Hub, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourcesUnreachable) as caught:
        hub.pull("hf:owner/bird")
    [(source, reason)] = caught.value.attempts
    assert source == "Hugging Face owner/bird"
    assert reason


def test_offline_mode_is_respected(hub: Hub, offer: Offer, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    offer(HuggingFaceSource("owner/bird", "bird.gguf", 1, "00"))
    with pytest.raises(SourcesUnreachable, match="HF_HUB_OFFLINE is set"):
        hub.pull("bird")
    with pytest.raises(SourceError, match="HF_HUB_OFFLINE is set"):
        locate("owner/bird", None)
    assert site.requests == []


def test_names_stay_inside_of_the_cache(hub: Hub, site: Site, models_dir: Path) -> None:
    site.add_repository("owner/bird", {"bird-Q4_0.gguf": CONTENT})
    hub.pull("hf:owner/bird")
    names = [path.name for path in (models_dir / "names").iterdir()]
    assert names == ["hf%3Aowner%2Fbird.json"]
