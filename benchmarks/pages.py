"""What a page does, measured in it: frames, paints, and what it fetched."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Page

FRAMES = """async ({seconds, pixels, selector}) => {
  const scroller = selector === null ? null : document.querySelector(selector);
  // The wheel is what tells the page that a person scrolls.
  scroller?.dispatchEvent(new WheelEvent("wheel", {bubbles: true}));
  const frames = [];
  const began = performance.now();
  let before = began;
  while (before - began < 1000 * seconds) {
    const now = await new Promise((resolve) => requestAnimationFrame(() => resolve(performance.now())));
    if (scroller) scroller.scrollTop += (pixels * (now - before)) / 1000;
    frames.push(now - before);
    before = now;
  }
  return frames;
}"""

LOADED = """() => {
  const all = performance.getEntriesByType("resource");
  const scripts = all.filter((one) => one.initiatorType === "script" || /\\.m?js(\\?|$)/.test(one.name));
  const sum = (some) => some.reduce((bytes, one) => bytes + one.encodedBodySize, 0);
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {requests: all.length, bytes: sum(all), script_bytes: sum(scripts), paint_ms: paint ? paint.startTime : 0};
}"""

PAINTED = """async ([link, selector, text]) => {
  const began = link === null ? 0 : performance.now();
  if (link !== null) document.querySelector(link).click();
  const isInSight = (element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return element.textContent.includes(text) && top < innerHeight && bottom > 0;
  };
  while (![...document.querySelectorAll(selector)].some(isInSight)) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
    if (performance.now() - began > 600000) throw new Error("it did not open");
  }
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - began;
}"""

PASTED = """() => {
  window.pasted = new Promise((resolve) => {
    document.activeElement.addEventListener("keydown", () => {
      const began = performance.now();
      const painted = () => requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
      for (const event of ["input", "paste"]) document.activeElement.addEventListener(event, painted, {once: true});
    });
  });
}"""


def frames(page: Page, seconds: float, *, pixels: float = 0, scroller: str | None = None) -> list[float]:
    """Milliseconds of each frame while so much time passes, scrolling so many pixels a second."""
    found: list[float] = page.evaluate(FRAMES, {"seconds": seconds, "pixels": pixels, "selector": scroller})
    return found[2:]  # the first ones are of what was before


def told(times: Sequence[float]) -> dict[str, float]:
    """Frames a second on the whole, the slowest hundredth in milliseconds, and the slowest."""
    return {
        "per_second": 1000 * len(times) / sum(times),
        "slow_ms": statistics.quantiles(times, n=100)[98],
        "slowest_ms": max(times),
    }


def loaded(page: Page) -> dict[str, float]:
    """What the page has fetched so far, in compressed bytes, and when it was first painted."""
    found: dict[str, float] = page.evaluate(LOADED)
    return found


def opened(page: Page, link: str, selector: str, text: str) -> float:
    """Milliseconds from a click on a link until an element with the text is in sight and painted."""
    return float(page.evaluate(PAINTED, [link, selector, text]))


def shown(page: Page, path: str, selector: str, text: str) -> float:
    """Milliseconds from a navigation to a path until an element with the text is in sight and painted."""
    page.goto(path, wait_until="commit")
    return float(page.evaluate(PAINTED, [None, selector, text]))


def pasted(page: Page, text: str) -> float:
    """Milliseconds from the key until a text that is pasted into the field with the focus is painted."""
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.evaluate(PASTED)
    page.keyboard.press("Control+V")
    return float(page.evaluate("() => window.pasted"))


def heap(page: Page) -> float:
    """Bytes of the page's own heap after a collection."""
    client: Any = page.context.new_cdp_session(page)
    client.send("HeapProfiler.collectGarbage")
    return float(client.send("Runtime.getHeapUsage")["usedSize"])
