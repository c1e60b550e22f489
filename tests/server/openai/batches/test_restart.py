"""A batch of a real server with the real default model, which is killed and stopped in the middle of it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openai
from openai.types import Batch

from tests.patience import WAIT_SECONDS
from tests.processes import Server, environment

LINES = 18
BODY: dict[str, Any] = {
    "model": "default",
    "max_completion_tokens": 16,
    "ignore_eos": True,
    "temperature": 1.0,
}


def request(index: int) -> dict[str, Any]:
    return BODY | {"seed": index, "messages": [{"role": "user", "content": f"Tell a story about {index} birds."}]}


@contextmanager
def client_of(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, index: int) -> Any:
    """The answer over HTTP."""
    answer: Any = client.post("/chat/completions", body=request(index), cast_to=object)
    return answer["choices"][0]["message"]["content"]


def wait(client: openai.OpenAI, batch_id: str, done: int) -> Batch:
    """The batch once so many of its lines are done, or it is over."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        batch = client.batches.retrieve(batch_id)
        assert batch.request_counts is not None
        if batch.request_counts.completed >= done or batch.status not in ("validating", "in_progress", "finalizing"):
            return batch
        assert time.monotonic() < until, batch
        time.sleep(0.01)


def test_it_goes_on_where_it_was_with_nothing_lost_and_nothing_twice(tmp_path: Path, default_model: Path) -> None:
    env = environment(tmp_path, MYNA_BATCH_CONCURRENCY="2")
    lines = [
        {"custom_id": f"line-{index}", "method": "POST", "url": "/v1/chat/completions", "body": request(index)}
        for index in range(LINES)
    ]
    counted: list[int] = []
    for end in (signal.SIGKILL, signal.SIGTERM, None):
        server = Server("--no-browser", "--port", "0", env=env)
        try:
            with client_of(server) as client:
                if end == signal.SIGKILL:
                    content = "\n".join(json.dumps(line) for line in lines).encode()
                    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
                    batch = client.batches.create(
                        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
                    )
                batch = wait(client, batch.id, LINES + 1 if end is None else 3 + sum(counted[-1:]))
                assert batch.request_counts is not None
                counted.append(batch.request_counts.completed)
                if end is None:
                    assert batch.output_file_id is not None, batch
                    output = client.files.content(batch.output_file_id).text
                    alone = {index: ask(client, index) for index in (0, 7, 17)}
        finally:
            if end == signal.SIGTERM:
                assert server.stop() == 0
            else:
                server.process.kill()
                server.process.wait()
    assert batch.status == "completed"
    assert 3 <= counted[0] <= counted[1] <= LINES == counted[2]
    answers = [json.loads(line) for line in output.splitlines()]
    assert sorted(answer["custom_id"] for answer in answers) == sorted(f"line-{index}" for index in range(LINES))
    texts = {answer["custom_id"]: answer["response"]["body"]["choices"][0]["message"]["content"] for answer in answers}
    assert {index: texts[f"line-{index}"] for index in alone} == alone, "as over HTTP, to the letter"
