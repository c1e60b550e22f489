"""The application in a real browser against a real server: how fast it is, and what it takes.

    python -m benchmarks.app [--webui DIRECTORY] [--write docs/performance.md] [--only long,stream]

All texts are generated; the models of the pages that are measured are scripts (tests/scripted), so that only the
application is. The server at rest is the one that people start, with the default model. `--webui` is a virtual
environment with Open WebUI, which is measured beside it where it has the same function. Needs the development install
and Chromium, from the root of the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import pages, search, webui
from benchmarks.documents import read_results, save_results, write_parts
from benchmarks.report import figure, table
from myna import hardware
from myna.runs.service import NewMessage, RunService
from myna.store.database import opened
from tests.browser.building import build, first_load
from tests.browser.conftest import CHROMIUM, FLAGS, MynaServer, ScriptedServer
from tests.browser.doing import composer, send, wait_until_done
from tests.runs.conversation import new_id, new_run
from tests.runs.scripted import ScriptedBackend, ScriptedModels
from tests.scripted.long_chat import CHAT, fill, message_id, store

MESSAGES, BYTES = 1248, 36_000_000
LINES = 5000
PASTED_LINES = 20_000
REGION = "section[aria-busy]"
LAST = "article:last-of-type p"
SETTLE_MS = 2000
"""After a page's load, until it has fetched and kept what it may need later."""
IDLE_SECONDS = 60
NONE = "-"
Results = dict[str, Any]


@contextmanager
def page_of(browser: Browser, server: MynaServer, path: str = "/") -> Iterator[Page]:
    """A page of its own, at the size of a laptop's, that has come to rest."""
    with blank(browser, server) as page:
        page.goto(path)
        composer(page).wait_for()
        page.wait_for_timeout(SETTLE_MS)
        yield page


@contextmanager
def blank(browser: Browser, server: MynaServer) -> Iterator[Page]:
    """A browser of its own, with nothing in its cache and nothing loaded."""
    context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context.new_page()
    context.close()


def first(browser: Browser, server: MynaServer) -> Results:
    """The first visit, with nothing in the browser's cache: from the navigation until a letter is in the composer."""
    times = []
    for _ in range(5):
        with blank(browser, server) as page:
            began = time.perf_counter()
            page.goto("/", wait_until="commit")
            composer(page).fill("x")
            times.append(1000 * (time.perf_counter() - began))
            page.wait_for_timeout(SETTLE_MS)
            found = pages.loaded(page)
    return {**found, "first_script_bytes": sum(first_load(build()).values()), "usable_ms": statistics.median(times)}


def long(browser: Browser, server: MynaServer) -> Results:
    """The long chat: opened from the sidebar and by its address, scrolled from its end upwards, its page's memory."""
    link = f"a[href='/chat/{CHAT}']"
    end = f"Message {MESSAGES - 1} of generated text"
    opened, loaded = [], []
    for _ in range(5):
        with page_of(browser, server) as page:
            page.locator(link).wait_for()
            opened.append(pages.opened(page, link, LAST, end))
        with page_of(browser, server) as page:
            loaded.append(pages.shown(page, f"/chat/{CHAT}", LAST, end))
    with page_of(browser, server, f"/chat/{CHAT}") as page:
        page.get_by_text(end).first.wait_for()
        scrolled = pages.frames(page, 8, pixels=-3000, scroller=REGION)
        page.goto(f"/chat/{CHAT}#{message_id(9)}")
        page.locator("article.marked").wait_for()
        through = pages.frames(page, 8, pixels=2000, scroller=REGION)
        for number in range(0, MESSAGES, MESSAGES // 24):  # see all of it
            page.evaluate("id => (location.hash = id)", message_id(number))
            page.wait_for_timeout(150)
        heap = pages.heap(page)
    return {
        "open_ms": statistics.median(opened),
        "load_ms": statistics.median(loaded),
        "scroll": pages.told(scrolled),
        "code": pages.told(through),
        "heap_bytes": heap,
    }


def stream(browser: Browser, server: MynaServer) -> Results:
    """200 tokens a second at the end of an answer of thousands of lines."""
    tokens = 21 * LINES
    with page_of(browser, server) as page:
        send(page, f"#lines={LINES + 1000} #fast={tokens} #rate=200")
        page.wait_for_function(
            "([lines]) => document.querySelector('article:last-of-type')?.textContent.includes(`line_${lines}`)",
            arg=[LINES - 200],
            timeout=120_000,
        )
        page.wait_for_timeout(1000)
        times = pages.frames(page, 6)
        composer(page).press("Escape")
        wait_until_done(page)
    return pages.told(times)


def paste(browser: Browser, server: MynaServer) -> Results:
    """Thousands of lines pasted into the composer, and a key typed behind them."""
    lines = "\n".join(f"line {number} of a log that somebody asks about" for number in range(PASTED_LINES))
    with page_of(browser, server) as page:
        composer(page).click()
        taken = pages.pasted(page, lines)
        page.wait_for_timeout(1000)
        page.evaluate(pages.PASTED)
        page.keyboard.press("x")
        return {"paste_ms": taken, "key_ms": float(page.evaluate("() => window.pasted"))}


async def _turns(directory: Path) -> Results:
    """Milliseconds from a message's coming in until the model is called, in the long chat and in an empty one."""
    backend = ScriptedBackend()
    times: dict[str, list[float]] = {"long": [], "empty": []}
    async with opened(directory) as database:
        service = RunService(database, ScriptedModels(backend))  # type: ignore[arg-type]
        await service.start()
        for _ in range(30):
            for name in times:
                chat, parent = (CHAT, message_id(MESSAGES - 1)) if name == "long" else (new_id(), None)
                run = new_run()
                began = time.perf_counter()
                await service.send("local", chat, NewMessage(new_id(), parent, "And then?"), run)
                reply = await backend.reply(run.id)
                times[name].append(1000 * (time.perf_counter() - began))
                reply.start()
                reply.finish()
                if (log := service.live("local", run.id)) is not None:
                    await log.ended.wait()
        await service.close()
    return {name: statistics.median(each) for name, each in times.items()}


def turns(directory: Path) -> Results:
    """See `_turns`. In a thread: Playwright has an event loop in this one."""

    async def work() -> Results:
        async with opened(directory) as database:
            await fill(database, MESSAGES, BYTES)
        return await _turns(directory)

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


def rest(browser: Browser, server: MynaServer) -> Results:
    """The server at rest with two tabs open: its own process, not the model's."""
    with page_of(browser, server), page_of(browser, server):
        process = server.process
        time.sleep(5)
        before = process.cpu_times()
        time.sleep(IDLE_SECONDS)
        after = process.cpu_times()
        memory = process.memory_info().rss
    taken = after.user + after.system - before.user - before.system
    return {"core_percent": 100 * taken / IDLE_SECONDS, "memory_bytes": memory}


def measure(names: list[str], webui_at: Path | None) -> Results:
    """Measure these and keep the others as they were."""
    results: Results = read_results("app")
    results["machine"] = f"{hardware.processor_name()}, {psutil.cpu_count()} cores; {time.strftime('%Y-%m-%d')}"
    build()
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        scripted, real, alone = (Path(directory) / name for name in ("scripted", "real", "alone"))
        for path in (scripted, real, alone):
            path.mkdir()
        in_pages: dict[str, Callable[[Browser, MynaServer], Results]] = {
            "first": first,
            "long": long,
            "stream": stream,
            "paste": paste,
        }
        if wanted := [name for name in in_pages if name in names]:
            store(scripted, MESSAGES, BYTES)
            server = ScriptedServer(scripted)
            server.start()
            for name in wanted:
                results[name] = in_pages[name](browser, server)
                print(name, results[name], flush=True)
            server.stop()
        if "turns" in names:
            results["turns"] = turns(alone)
            print("turns", results["turns"], flush=True)
        if "rest" in names:
            idle = MynaServer(real)
            idle.start()
            results["rest"] = rest(browser, idle)
            print("rest", results["rest"], flush=True)
            idle.stop()
        if "search" in names:
            with ThreadPoolExecutor(1) as pool:
                results["search"] = pool.submit(search.compare).result()
        if webui_at is not None:
            results["webui"] = webui.measure(browser, webui_at, MESSAGES, BYTES)
            print("webui", results["webui"], flush=True)
        browser.close()
    save_results("app", results)
    return results


def part(results: Results) -> str:
    """The table of docs/performance.md."""
    beside = results.get("webui", {})

    def other(name: str, unit: str, scale: float = 1) -> str:
        return f"{figure(beside[name] / scale)} {unit}" if name in beside else NONE

    one, chat, flow, bulk = (results[name] for name in ("first", "long", "stream", "paste"))
    rows = [
        (
            "first visit: JavaScript before it is usable, compressed",
            f"{one['first_script_bytes'] / 1000:.0f} KB",
            "100 KB",
            NONE,
        ),
        (
            "first visit: all JavaScript, compressed",
            f"{one['script_bytes'] / 1000:.0f} KB",
            "",
            other("script_bytes", "KB", 1000),
        ),
        ("first visit: requests", f"{one['requests']:.0f}", "", other("requests", "")),
        ("first visit: first paint", f"{one['paint_ms']:.0f} ms", "", other("paint_ms", "ms")),
        ("first visit: one can type", f"{one['usable_ms']:.0f} ms", "1,000 ms", NONE),
        ("click on the long chat: its end is painted", f"{chat['open_ms']:.0f} ms", "300 ms", NONE),
        ("load the page at its address: its end is painted", f"{chat['load_ms']:.0f} ms", "", other("open_ms", "ms")),
        ("scroll it, 3,000 pixels a second", f"{chat['scroll']['per_second']:.0f} frames/s", "50 frames/s", NONE),
        (
            "scroll long code in it, 2,000 pixels a second",
            f"{chat['code']['per_second']:.0f} frames/s",
            "50 frames/s",
            NONE,
        ),
        ("memory of its page after all of it was seen", f"{chat['heap_bytes'] / 1e6:.0f} MB", "", NONE),
        (f"200 tokens/s behind {LINES:,} lines: slowest frame", f"{flow['slowest_ms']:.0f} ms", "50 ms", NONE),
        (f"paste {PASTED_LINES:,} lines", f"{bulk['paste_ms']:.0f} ms", "200 ms", NONE),
        (
            "a message in the long chat, until the model is called, beyond one in an empty chat",
            f"{results['turns']['long'] - results['turns']['empty']:.1f} ms",
            "5 ms",
            NONE,
        ),
        (
            "server at rest, two tabs: a core",
            f"{results['rest']['core_percent']:.2f} %",
            "0.5 %",
            other("core_percent", "%"),
        ),
        (
            "server at rest: memory beside the model",
            f"{results['rest']['memory_bytes'] / 1e6:.0f} MB",
            "150 MB",
            other("memory_bytes", "MB", 1e6),
        ),
        ("from start to answering", NONE, "", other("start_s", "s")),
    ]
    head = ("", "Myna", "goal", f"Open WebUI {beside.get('version', '')}".strip())
    return f"{results['machine']}. Chromium, no graphics card, generated texts.\n\n{table(head, rows)}"


def main() -> None:
    """Read the command line, measure, print, write."""
    everything = ["first", "long", "stream", "paste", "turns", "rest", "search"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(everything), help="what to measure, by commas; none: only write")
    parser.add_argument("--webui", type=Path, help="a virtual environment with Open WebUI, to measure beside")
    parser.add_argument("--write", type=Path, help="the document whose measured part to replace")
    given = parser.parse_args()
    names = [] if given.only == "none" else given.only.split(",")
    if unknown := set(names) - set(everything):
        parser.error(f"no {', '.join(sorted(unknown))}; there are {', '.join(everything)}")
    results = measure(names, given.webui)
    if missing := [name for name in everything if name not in results]:
        parser.exit(0, f"No table yet: {', '.join(missing)} were never measured.\n")
    made = part(results)
    print(made)
    if given.write:
        write_parts(given.write, {"app": made, "search": search.part(results["search"])})


if __name__ == "__main__":
    main()
