"""What a model writes is a stranger's text: it can be read, but it can do nothing."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.building import first_load
from tests.browser.conftest import MynaServer, Visit

FIRST_LOAD_BUDGET = 100_000
"""Compressed bytes of JavaScript before the page is usable."""

HOSTILE = """\
<script>window.harmed = 1</script>
<img src=x onerror="window.harmed = 2">
<svg onload="window.harmed = 3"><a xlink:href="javascript:window.harmed=4">x</a></svg>
<a href="javascript:window.harmed=5">raw</a> <iframe srcdoc="<script>parent.harmed=6</script>"></iframe>
<b onclick="window.harmed=7">bold</b> <style>body { display: none }</style>

[link](javascript:window.harmed=8) [data](data:text/html,<script>alert(1)</script>) <javascript:window.harmed=9>
![picture](https://tracker.example/pixel.png "title") ![local](/favicon.svg)
[ref]: javascript:window.harmed=10 "x"
[ref] [good](https://example.org/?a=1&b=2) "quotes" &lt;b&gt;

| a | b |
|---|:-:|
| <img src=x onerror=alert(1)> | line<br>break |

```html"><script>window.harmed=11</script>
</code></pre><script>window.harmed = 12</script>
```

- [x] done <input autofocus onfocus="window.harmed=13">
"""

GOOD = """\
# Title

Some *emphasis*, **strong**, ~~gone~~ and `code`, and H<sub>2</sub>O.

| name | count |
|------|------:|
| one  | 1     |

- [x] done
- [ ] open

```python
def answer() -> int:
    return 42
```

> quoted

1. first
2. second
"""


def open_chat_with(page: Page, text: str) -> None:
    """A chat whose one answer is `text`, as if the server had it."""
    chat_id, asked, answer = (str(uuid.uuid4()) for _ in range(3))

    def message(id_: str, parent: str | None, role: str, content: str) -> dict[str, Any]:
        return {
            "id": id_,
            "chat_id": chat_id,
            "parent_id": parent,
            "role": role,
            "parts": [{"type": "text", "text": content}],
            "status": "complete",
            "model": None,
            "created_at": 1,
            "run_id": None,
            "usage": None,
            "error": None,
        }

    chat = {
        "id": chat_id,
        "title": "t",
        "model": None,
        "leaf_id": answer,
        "created_at": 1,
        "updated_at": 1,
        "version": 1,
    }
    messages = [message(asked, None, "user", text), message(answer, asked, "assistant", text)]
    page.route(
        f"**/api/chats/{chat_id}", lambda route: route.fulfill(json={"chat": chat, "messages": messages, "runs": []})
    )
    page.goto(f"/chat/{chat_id}")
    expect(page.locator(".prose .block").first).to_be_visible()


@pytest.fixture
def visiting(visit, server: MynaServer) -> Visit:
    return visit(server)


def test_hostile_text_is_shown_and_does_nothing(visiting: Visit) -> None:
    page = visiting.page()
    open_chat_with(page, HOSTILE)
    prose = page.locator(".prose")
    expect(prose).to_contain_text("<script>window.harmed = 1</script>")
    expect(prose).to_contain_text("</code></pre><script>window.harmed = 12</script>")
    prose.locator(":not(a)").evaluate_all(
        """elements => elements.forEach((element) => {
          for (const kind of ["click", "focus", "load", "error"]) element.dispatchEvent(new Event(kind));
        })"""
    )
    assert page.evaluate("window.harmed") is None
    assert prose.locator("script, img, svg, iframe, style, input, [onclick], [onerror], [style]").count() == 0
    links = prose.locator("a").evaluate_all("links => links.map((link) => [link.protocol, link.rel, link.target])")
    assert len(links) == 2
    assert {tuple(link) for link in links} == {("https:", "noopener noreferrer nofollow", "_blank")}
    assert prose.locator("td br").count() == 1


def test_markdown_becomes_what_it_means(visiting: Visit) -> None:
    page = visiting.page()
    open_chat_with(page, GOOD)
    prose = page.locator(".prose")
    expect(prose.get_by_role("heading", name="Title")).to_be_visible()
    for tag, text in {"em": "emphasis", "strong": "strong", "del": "gone", "p code": "code", "sub": "2"}.items():
        expect(prose.locator(tag).first).to_have_text(text)
    expect(prose.get_by_role("table").get_by_role("cell")).to_have_text(["one", "1"])
    expect(prose.get_by_role("img", name="Done")).to_have_count(1)
    expect(prose.get_by_role("img", name="To do")).to_have_count(1)
    expect(prose.locator("figcaption")).to_contain_text("Python")
    expect(prose.locator("pre .hljs-keyword").first).to_have_text("def")
    prose.get_by_role("button", name="Copy code").click()
    assert page.evaluate("navigator.clipboard.readText()") == "def answer() -> int:\n    return 42"
    expect(prose.locator("blockquote")).to_have_text("quoted")
    expect(prose.locator("ol > li")).to_have_text(["first", "second"])
    # What a person typed is not Markdown.
    expect(page.locator("article").first).to_contain_text("**strong**")


def test_the_first_load_is_small(static: Any, visiting: Visit) -> None:
    sizes = first_load(static)
    assert "theme.js" in sizes
    assert sum(name.startswith("assets/en-") for name in sizes) == 1
    assert sum(sizes.values()) <= FIRST_LOAD_BUDGET, sizes

    # And the browser agrees about what is loaded before the first screen is there.
    page = visiting.context.new_page()
    loaded: list[str] = []
    page.on("request", lambda request: request.resource_type == "script" and loaded.append(request.url))
    page.goto("/")
    page.get_by_role("textbox", name="Message", exact=True).wait_for()
    assert {url.split("/", 3)[3] for url in loaded} >= set(sizes)
    assert not any("languages" in url for url in loaded)


def test_the_policy_forbids_what_the_page_does_not_need(visiting: Visit) -> None:
    page = visiting.context.new_page()
    response = page.goto("/")
    assert response
    policy = response.headers["content-security-policy"]
    script_sources = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert script_sources.split() == ["script-src", "'self'"]
