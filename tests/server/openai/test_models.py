"""The list of models as the official client reads it, and deleting one."""

from __future__ import annotations

from pathlib import Path

import httpx2
import openai
import pytest
from fastapi import FastAPI

from myna.hub import Hub
from myna.hub.cache import Cache, CacheEntry
from tests.server.scripted import MODEL


def test_the_official_client_lists_and_retrieves(address: str) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        models = list(client.models.list())
        assert [model.id for model in models] == [MODEL, f"{MODEL}+pirate"]
        assert models[0].object == "model"
        assert client.models.retrieve(MODEL).id == MODEL
        with pytest.raises(openai.NotFoundError, match="scripted:1b"):
            client.models.retrieve("scripted:2b")


async def test_default_is_a_name(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/v1/models/default")).json()["id"] == MODEL


@pytest.fixture
def hub(app: FastAPI, tmp_path: Path) -> Hub:
    """A hub with one pulled model."""
    cache = Cache(tmp_path / "models")
    blob = cache.blob("0" * 64)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"GGUF")
    cache.record(CacheEntry("smollm2:135m", "0" * 64, 4, "a test", 0.0))
    app.state.hub = Hub(tmp_path / "models")
    return app.state.hub


def test_the_official_client_deletes(address: str, app: FastAPI, hub: Hub) -> None:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0) as client:
        deleted = client.models.delete("smollm2:135m")
        assert (deleted.id, deleted.object, deleted.deleted) == ("smollm2:135m", "model", True)
        assert hub.local() == []
        assert app.state.models.unloaded == ["smollm2:135m"]
        with pytest.raises(openai.NotFoundError, match="not on disk"):
            client.models.delete("smollm2:135m")


@pytest.mark.parametrize("name", ["/etc/passwd", "nonsense:1b", "hf:../x/y"])
async def test_only_what_was_pulled_is_deleted(client: httpx2.AsyncClient, hub: Hub, name: str) -> None:
    answer = await client.delete(f"/v1/models/{name}", headers={"content-type": "application/json"})
    assert answer.status_code == 404
    assert len(hub.local()) == 1


async def test_a_file_of_ones_own_is_not_deleted(
    client: httpx2.AsyncClient, app: FastAPI, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(b"GGUF")
    monkeypatch.setattr(type(app.state.models), "default", str(own))
    answer = await client.delete("/v1/models/default", headers={"content-type": "application/json"})
    assert answer.status_code == 403
    assert "delete it yourself" in answer.json()["error"]["message"]
    assert own.exists()
