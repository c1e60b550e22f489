"""The whole server as users have it: real processes, the real default model, the official client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.patience import WAIT_SECONDS
from tests.processes import Server, environment, serving

QUESTION: Any = [{"role": "user", "content": "Name the capital city of France."}]
LONG: Any = [{"role": "user", "content": "Write a very long story about a bird."}]
OTHERS = 15


def client_of(server: Server) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


async def figure(server: Server, name: str) -> float:
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as client:
        text = (await client.get(f"{server.url}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return sum(sample.value for sample in families[name].samples)


async def samples(server: Server, name: str) -> float:
    """The sum of all samples of one name, whatever their labels."""
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as client:
        text = (await client.get(f"{server.url}/metrics")).text
    families = text_string_to_metric_families(text)
    values = [sample.value for family in families for sample in family.samples if sample.name == name]
    assert values, f"there is no {name}"
    return sum(values)


async def eventually_zero(server: Server, name: str) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while await figure(server, name):
            pass


async def test_the_official_client_lists_and_chats(server: Server) -> None:
    async with client_of(server) as client:
        models = [model.id async for model in await client.models.list()]
        assert models[0] == "smollm2:135m"
        answer = await client.chat.completions.create(model=models[0], messages=QUESTION, temperature=0, max_tokens=30)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 10


async def test_the_second_time_the_prompt_is_cached(server: Server) -> None:
    messages: Any = [{"role": "user", "content": "The cache test counts birds. " * 20}]
    async with client_of(server) as client:
        cached, prompt = [], 0
        for _ in range(2):
            answer = await client.chat.completions.create(model="default", messages=messages, max_tokens=1)
            assert answer.usage is not None
            assert answer.usage.prompt_tokens_details is not None
            cached.append(answer.usage.prompt_tokens_details.cached_tokens or 0)
            prompt = answer.usage.prompt_tokens
    assert cached[0] < 32  # the dialect's own words before the message may be there from another test
    assert cached[1] > 0.8 * prompt


async def test_the_same_seed_gives_the_same_text_alone_and_in_company(server: Server) -> None:
    async with client_of(server) as client:

        async def tell(seed: int, topic: str = "a bird") -> str:
            stream = await client.chat.completions.create(
                model="default",
                messages=[{"role": "user", "content": f"Tell me about {topic}."}],
                seed=seed,
                max_tokens=40,
                stream=True,
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        alone = await tell(7)
        assert alone
        together = await asyncio.gather(tell(7), *(tell(seed, f"number {seed}") for seed in range(OTHERS)))
        assert together[0] == alone
        assert await tell(8) != alone


async def test_scoring_a_text(server: Server) -> None:
    async with client_of(server) as client:
        answer = await client.completions.create(
            model="default", prompt="The sky is blue", echo=True, max_tokens=0, logprobs=2
        )
    (choice,) = answer.choices
    assert choice.text == "The sky is blue"
    logprobs = choice.logprobs
    assert logprobs is not None
    assert "".join(logprobs.tokens or []) == "The sky is blue"
    assert logprobs.token_logprobs is not None
    assert logprobs.token_logprobs[0] is None
    assert all(value < 0 for value in logprobs.token_logprobs[1:])


async def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(server: Server) -> None:
    async with client_of(server) as client:
        with pytest.raises(openai.BadRequestError, match=r"8192") as caught:
            await client.completions.create(model="default", prompt=[5] * 9000)
    assert "9000" in caught.value.message
    assert caught.value.code == "context_length_exceeded"


async def test_token_ids_and_biases_outside_the_vocabulary_are_refused(server: Server) -> None:
    async with client_of(server) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.completions.create(model="default", prompt=[49_152])
        assert caught.value.param == "prompt"
        with pytest.raises(openai.BadRequestError) as caught:
            await client.chat.completions.create(model="default", messages=QUESTION, logit_bias={"49152": 1})
        assert caught.value.param == "logit_bias"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_frees_its_blocks(server: Server, stream: bool) -> None:
    cancelled = await figure(server, "myna_requests_cancelled")
    body = {"model": "default", "messages": LONG, "stream": stream, "ignore_eos": True, "temperature": 0}
    content = json.dumps(body).encode()
    parts = urlsplit(server.url)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\n"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
        async with asyncio.timeout(WAIT_SECONDS):
            while not await figure(server, "myna_kv_blocks_used"):
                pass
    await eventually_zero(server, "myna_requests_running")
    await eventually_zero(server, "myna_kv_blocks_used")
    assert await figure(server, "myna_requests_cancelled") == cancelled + 1


WATCHED = (
    "requests_total",
    "prompt_tokens_total",
    "generated_tokens_total",
    "cached_tokens_total",
    "requests_waiting",
    "queue_seconds_count",
    "first_token_seconds_bucket",
    "between_tokens_seconds_bucket",
    "kv_blocks_free",
    "http_requests_total",
)


async def test_operators_see_what_they_need(server: Server) -> None:
    async with client_of(server) as client:
        before = {name: await samples(server, f"myna_{name}") for name in WATCHED}
        await client.chat.completions.create(
            model="default", messages=QUESTION, max_tokens=9, extra_body={"ignore_eos": True}
        )
        after = {name: await samples(server, f"myna_{name}") for name in WATCHED}
    grown = {name: after[name] - before[name] for name in WATCHED}
    assert grown["requests_total"] == grown["queue_seconds_count"] == 1
    assert grown["generated_tokens_total"] == 9
    assert grown["prompt_tokens_total"] > 10
    assert grown["http_requests_total"] > 1
    assert grown["first_token_seconds_bucket"] > 0
    assert grown["between_tokens_seconds_bucket"] >= 8
    assert after["kv_blocks_free"] > 0


async def test_health_and_page(server: Server) -> None:
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as client:
        assert (await client.get(f"{server.url}/healthz")).json() == {"status": "ok"}
        for path in ("/healthz", "/metrics"):
            head = await client.head(f"{server.url}{path}")
            assert (head.status_code, head.content) == (200, b"")
        document = (await client.get(f"{server.url}/openapi.json")).json()
        assert "/v1/chat/completions" in document["paths"]
        refused = await client.get(f"{server.url}/healthz", headers={"host": "evil.example"})
        assert refused.status_code == 403


async def test_what_reads_model_files_stays_out_of_the_server(server: Server) -> None:
    async with httpx2.AsyncClient(base_url=server.url, timeout=WAIT_SECONDS) as client:
        response = await client.get("/api/models")
        assert response.status_code == 200, response.text
        models = response.json()["models"]
        assert models[0]["context"] == 8192
        assert (await client.get(f"/api/models/{models[0]['name']}/card")).json()["layers"] == 30
    libraries = {Path(each.path).name for each in psutil.Process(server.process.pid).memory_maps()}
    heavy = [name for name in libraries if name.startswith(("_multiarray", "tokenizers", "_native"))]
    assert not heavy, "imported for good, 40 MB"


STREAMS = {
    "/v1/chat/completions": "data: {",
    "/v1/messages": "event: ",
    "/api/chat": "{",
}
CUT_OFF = "The server is stopping; send the request again when it is back."


def test_told_to_stop_it_ends_what_runs_in_its_own_shape_and_leaves_nothing(
    tmp_path: Path, default_model: Path
) -> None:
    body = {"model": "default", "messages": LONG, "stream": True, "max_tokens": 8000}  # as many as it writes, if greedy
    last: dict[str, str] = {}
    with (
        ThreadPoolExecutor() as pool,
        serving("--no-browser", env=environment(tmp_path, MYNA_DRAIN_SECONDS="0.2")) as server,
    ):
        begun = threading.Barrier(len(STREAMS) + 1)

        def read(path: str) -> None:
            greedy = {"options": {"temperature": 0}} if path == "/api/chat" else {"temperature": 0}
            with httpx2.stream("POST", server.url + path, json=body | greedy, timeout=WAIT_SECONDS) as response:
                lines = response.iter_lines()
                assert next(lines).startswith(STREAMS[path])
                begun.wait(WAIT_SECONDS)
                last[path] = [line for line in lines if line][-1]

        reading = [pool.submit(read, path) for path in STREAMS]
        begun.wait(WAIT_SECONDS)
        server.process.send_signal(signal.SIGTERM)
        for each in reading:
            each.result(WAIT_SECONDS)
        assert server.process.wait(WAIT_SECONDS) == 0
    assert "Traceback" not in "".join(server.said)
    errors = {path: json.loads(line.removeprefix("data: ")) for path, line in last.items()}
    assert errors["/v1/chat/completions"]["error"]["code"] == "server_stopping"
    assert errors["/v1/chat/completions"]["error"]["message"] == CUT_OFF
    assert errors["/v1/messages"] == {"type": "error", "error": {"type": "api_error", "message": CUT_OFF}}
    assert errors["/api/chat"] == {"error": CUT_OFF}


@pytest.fixture
def patient(tmp_path: Path, default_model: Path) -> Iterator[Server]:
    """A server that lets answers finish."""
    with serving("--no-browser", env=environment(tmp_path, MYNA_DRAIN_SECONDS="60")) as server:
        yield server


def test_told_to_stop_it_lets_answers_finish(patient: Server) -> None:
    body = {"model": "default", "messages": LONG, "stream": True, "ignore_eos": True, "max_tokens": 60}
    with httpx2.stream("POST", f"{patient.url}/v1/chat/completions", json=body, timeout=WAIT_SECONDS) as response:
        lines = response.iter_lines()
        next(lines)
        patient.process.send_signal(signal.SIGTERM)
        assert [line for line in lines if line][-1] == "data: [DONE]"
    assert patient.process.wait(WAIT_SECONDS) == 0


def test_told_twice_it_waits_for_nobody(patient: Server) -> None:
    body = {"model": "default", "messages": LONG, "ignore_eos": True}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx2.post, f"{patient.url}/v1/chat/completions", json=body, timeout=WAIT_SECONDS)
        while "myna_requests_running{" not in (
            text := httpx2.get(f"{patient.url}/metrics", timeout=WAIT_SECONDS).text
        ) or re.search(r"myna_requests_running\{[^}]*\} 0", text):
            pass
        patient.process.send_signal(signal.SIGINT)
        # From then on nobody new is answered; who was still let in to wait is cut off.
        with contextlib.suppress(httpx2.TransportError):
            while httpx2.get(f"{patient.url}/healthz", timeout=WAIT_SECONDS):
                pass
        patient.process.send_signal(signal.SIGINT)
        answer = asked.result(WAIT_SECONDS)
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "server_stopping"
    assert answer.headers["retry-after"]
    assert patient.process.wait(WAIT_SECONDS) == 0
