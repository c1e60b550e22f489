"""The main flow in Firefox, where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.conftest import ScriptedServer
from tests.browser.firefox import Firefox, find

ENTER = "\ue007"
FIELD = "document.activeElement instanceof HTMLTextAreaElement"
DONE = "document.querySelector('main section[aria-busy=false] article .prose')?.innerText"


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    if (program := find()) is None:
        pytest.skip("no Firefox: on Debian, apt install firefox-esr")
    running = Firefox(program, tmp_path / "profile")
    yield running
    running.close()


def test_a_question_its_answer_and_both_again_after_a_reload(firefox: Firefox, scripted: ScriptedServer) -> None:
    firefox.open(scripted.url)
    firefox.until(FIELD)
    firefox.type(*"#say A **bird** sings in Firefox.", ENTER)
    assert firefox.until(DONE) == "A bird sings in Firefox."
    assert firefox.evaluate("document.querySelector('article .prose strong').innerText") == "bird"

    firefox.open(firefox.until("location.pathname.startsWith('/chat/') && location.href"))
    assert firefox.until(DONE) == "A bird sings in Firefox."
    firefox.until(FIELD)
    firefox.type(*"And another?", ENTER)
    firefox.until("[...document.querySelectorAll('article .prose')].at(-1).innerText === 'You said: And another?'")
    assert firefox.problems == []
