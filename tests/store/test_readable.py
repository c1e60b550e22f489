"""A chat as Markdown: what a message says or leaves open changes nothing of what stands around it."""

from __future__ import annotations

from typing import Any

from myna.store import readable

ANSWER = {"role": "assistant", "status": "complete", "model": "m", "created_at": 0, "edited_at": None, "error": None}


def message(*parts: tuple[str, str], versions: int = 1, **values: Any) -> str:
    said = [{"type": kind, "text": text} for kind, text in parts]
    return readable.message(ANSWER | values, said, versions)


def test_who_spoke_when_with_which_model_and_that_there_are_other_versions() -> None:
    written = message(("text", "Hello."), versions=3, model="a_b*", edited_at=9)
    assert written == (
        "\n---\n\n## Assistant · a\\_b\\*\n\n*1970-01-01 00:00 UTC, edited*\n\n*2 other versions*\n\nHello.\n"
    )


def test_thoughts_are_folded_and_end_whatever_they_leave_open() -> None:
    written = message(("reasoning", "Hm:\n\n```\ncode"), ("text", "So."))
    assert "<summary>Reasoning</summary>\n\n> Hm:\n>\n> ```\n> code\n\n</details>\n\nSo.\n" in written


def test_a_code_block_that_an_answer_leaves_open_ends_with_it() -> None:
    assert message(("text", "````py\n```\nx"), status="stopped").endswith(
        "````py\n```\nx\n````\n\n*Stopped before its end.*\n"
    )
    assert message(("text", "```\nx\n```")).endswith("```\nx\n```\n")
    assert message(("text", "`` ``` `` is no block")).endswith("no block\n")


def test_why_an_answer_failed_is_told() -> None:
    failed = message(status="failed", error={"code": "engine_failed", "message": "The model\nended."})
    assert failed.endswith("*Failed before its end.*\n\n> The model\n> ended.\n")


def test_a_title_is_one_heading_that_means_nothing_but_itself() -> None:
    chat = {"id": "1", "title": "<script>\n# [a](b) \u202e", "model": None, "system_prompt": "Be\nbrief."}
    written = readable.heading(chat | {"created_at": 0, "updated_at": 60_000}, 1)
    assert written.startswith("# \\<script\\> \\# \\[a\\](b)\n\n- Begun: 1970-01-01 00:00 UTC\n")
    assert "1 message of another branch is not shown here" in written
    assert written.endswith("## Instructions\n\n> Be\n> brief.\n")
    assert readable.heading(chat | {"title": None, "created_at": 0, "updated_at": 0}, 0).startswith("# Untitled chat\n")
