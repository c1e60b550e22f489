from __future__ import annotations

import threading
from collections.abc import Iterator

import psutil
import pytest

from myna.models.dialects.sandbox import TemplateFailure, TemplateRefusal
from myna.models.dialects.worker import TemplateWorker

ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


@pytest.fixture
def workers() -> Iterator[list[TemplateWorker]]:
    started: list[TemplateWorker] = []
    yield started
    for worker in started:
        worker.close()


def worker_of(workers: list[TemplateWorker], source: str, seconds: float = 20.0) -> TemplateWorker:
    workers.append(TemplateWorker(source, seconds=seconds))
    return workers[-1]


def test_it_renders_again_and_again_in_one_process_that_close_ends(workers: list[TemplateWorker]) -> None:
    worker = worker_of(workers, "{{ text }}!")
    before = set(psutil.Process().children())
    assert worker.render([{"text": "ä\n"}, {"text": "b"}]) == ["ä\n!", "b!"]
    [process] = set(psutil.Process().children()) - before
    assert worker.render([{"text": "c"}]) == ["c!"]
    assert set(psutil.Process().children()) - before == {process}
    worker.close()
    assert not process.is_running()
    worker.close()


def test_an_endless_template_is_killed_and_the_next_render_works(workers: list[TemplateWorker]) -> None:
    source = "{% if wait %}" + ENDLESS + "{% endif %}done"
    worker = worker_of(workers, source, seconds=0.3)
    with pytest.raises(TemplateFailure, match=r"did not finish within 0\.3 s"):
        worker.render([{"wait": True}])
    worker._process.seconds = 20.0
    assert worker.render([{"wait": False}]) == ["done"]


def test_a_greedy_template_is_stopped_by_its_memory_limit(workers: list[TemplateWorker]) -> None:
    worker = worker_of(workers, "{{ 'x' * 10 ** 10 }}")
    with pytest.raises(TemplateFailure, match="MemoryError"):
        worker.render([{}])


def test_refusals_and_failures_cross_over(workers: list[TemplateWorker]) -> None:
    with pytest.raises(TemplateRefusal, match="not like this"):
        worker_of(workers, "{{ raise_exception('not like this') }}").render([{}])
    with pytest.raises(TemplateFailure, match="SecurityError"):
        worker_of(workers, "{{ ''.__class__.__base__ }}").render([{}])


def test_many_threads_share_a_worker(workers: list[TemplateWorker]) -> None:
    worker = worker_of(workers, "{{ text }}")
    found: dict[int, list[str]] = {}

    def render(number: int) -> None:
        found[number] = worker.render([{"text": f"{number}"}])

    threads = [threading.Thread(target=render, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [f"{number}"] for number in range(8)}


def test_the_worker_sees_nothing_of_the_environment(
    workers: list[TemplateWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    worker = worker_of(workers, "x")
    before = set(psutil.Process().children())
    worker.render([{}])
    [process] = set(psutil.Process().children()) - before
    assert "HF_TOKEN" not in process.environ()
