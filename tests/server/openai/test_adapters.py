"""Loading and unloading LoRA adapters, under vLLM's names."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.server.scripted import MODEL

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


async def listed(client: httpx2.AsyncClient) -> list[str]:
    return [model["id"] for model in (await client.get("/v1/models")).json()["data"]]


async def test_an_adapter_is_listed_while_it_is_loaded(client: httpx2.AsyncClient) -> None:
    loaded = await client.post(LOAD, json={"lora_name": "poet", "lora_path": "poet-lora"})
    assert loaded.json() == {"id": f"{MODEL}+poet", "object": "model", "parent": MODEL}
    assert await listed(client) == [MODEL, f"{MODEL}+pirate", f"{MODEL}+poet"]
    found = (await client.get(f"/v1/models/{MODEL}+poet")).json()
    assert (found["root"], found["parent"]) == (MODEL, MODEL)
    unloaded = await client.post(UNLOAD, json={"lora_name": "poet", "model": MODEL})
    assert unloaded.json() == {"id": f"{MODEL}+poet", "object": "model", "deleted": True}
    assert await listed(client) == [MODEL, f"{MODEL}+pirate"]
    assert (await client.post(UNLOAD, json={"lora_name": "poet"})).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (LOAD, {"lora_name": "poet"}, 400),
        (LOAD, {"lora_name": "", "lora_path": "poet"}, 400),
        (LOAD, {"lora_name": "poet", "lora_path": 7}, 400),
        (LOAD, {"lora_name": "poet", "lora_path": "poet", "load_inplace": True}, 400),
        (LOAD, {"lora_name": "poet", "lora_path": "poet", "model": "unheard-of"}, 404),
        (LOAD, {"lora_name": "poet", "lora_path": "poet", "model": "/etc/passwd"}, 404),
        (UNLOAD, {"model": MODEL}, 400),
        (UNLOAD, {"lora_name": "poet", "model": "/etc/passwd"}, 404),
    ],
)
async def test_what_is_malformed_or_unknown_is_refused(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], status: int
) -> None:
    refused = await client.post(path, json=body)
    assert refused.status_code == status
    assert set(refused.json()["error"]) == {"message", "type", "param", "code"}
