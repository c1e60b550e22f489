"""A small storm on a real server leaves nothing behind, and the storm would say so if it did."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import storm as storms
from benchmarks.served import myna

CALM = {"ends": {"answered": 2, "left": 1}, "blocks_used": 0, "running": 0, "same_answers": True, "same_engine": True}


def test_a_storm_leaves_every_block_free_and_the_answers_as_they_were(tiny_model: Path, tmp_path: Path) -> None:
    with myna(tmp_path, str(tiny_model), kv_cache_bytes=str(storms.KV_CACHE_BYTES), threads="1") as server:
        result = asyncio.run(storms.storm(server, requests=150, streams=32, seed=1))
    assert storms.passed(result), result
    assert set(result["ends"]) == {"answered", "refused", "left"}
    assert sum(result["ends"].values()) == 150


def test_requests_are_the_same_for_the_same_seed_and_of_every_kind() -> None:
    drawn = [storms.draw(random.Random(number), "tiny") for number in range(300)]
    assert drawn == [storms.draw(random.Random(number), "tiny") for number in range(300)]
    named = {name for request in drawn for name in request.body}
    assert named >= {*storms.GOOD, "messages", "prompt", "stream"}
    assert {request.patience is None for request in drawn} == {True, False}


@pytest.mark.parametrize(
    "change",
    [
        {"ends": {"answered": 2, "status 500: oh": 1}},
        {"blocks_used": 1},
        {"running": 1},
        {"same_answers": False},
        {"same_engine": False},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_left_behind_fails(change: dict[str, Any]) -> None:
    assert storms.passed(CALM)
    assert not storms.passed({**CALM, **change})


@pytest.mark.parametrize(
    ("status", "body", "end"),
    [
        (200, '{"choices": [{"text": ""}]}', "answered"),
        (404, '{"error": {"message": "no such model"}}', "refused"),
        (500, '{"error": {"message": "oh"}}', "status 500"),
        (200, '{"choices": []}', "status 200"),
    ],
)
def test_answers_are_judged_by_status_and_body(status: int, body: str, end: str) -> None:
    assert storms.judge(status, body).startswith(end)
