"""What a model writes is a stranger's text: it can be read, but it can do nothing."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.building import first_load
from tests.browser.conftest import MynaServer, ScriptedServer, Visit
from tests.browser.doing import answers, copied_by, send, wait_until_done

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


PLACE = ("id", "parent_id", "role", "status", "model", "created_at", "edited_at")
"""What a chat's tree says of a message."""


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
    tree = [{key: each.get(key) for key in PLACE} | {"size": len(text)} for each in messages]
    opened = {"chat": chat, "tree": tree, "messages": messages, "runs": []}
    page.route(f"**/api/chats/{chat_id}", lambda route: route.fulfill(json=opened))
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


HOSTILE_DRAWINGS = r"""
$\href{javascript:window.harmed=1}{a}$ $\url{javascript:window.harmed=2}$ $\includegraphics{https://tracker.example/a.png}$
$\htmlStyle{position:fixed;inset:0}{x}$ $\htmlClass{sidebar}{x}$ $\htmlId{main}{x}$ $\rule{1000em}{1000em}$ $x^2$
$\def\a{\a\a}\a$ $\text{<img src=x onerror=window.harmed=3>}$ $\color{url(https://tracker.example)}{x}$

```mermaid
%%{init: {"securityLevel": "loose", "themeCSS": "* { background: url(https://tracker.example/b.png) }"}}%%
flowchart LR
  A["<img src=x onerror=window.harmed=4>"] --> B["<script>window.harmed = 5</script>"]
  click A "javascript:window.harmed=6"
  click B call window.harmed()
  style A fill:url(https://tracker.example/c.png)
```

```mermaid
flowchart LR
  A --> B </text><script>window.harmed = 7</script>
```
"""


def test_formulas_and_diagrams_can_do_nothing_but_be_seen(visiting: Visit) -> None:
    page = visiting.page()
    open_chat_with(page, HOSTILE_DRAWINGS)
    prose = page.locator(".prose")
    expect(prose.locator(".katex").first).to_be_visible()
    expect(prose.locator("figure.diagram:is(.drawn, .failed)")).to_have_count(2)
    prose.locator("*").evaluate_all(
        "all => all.forEach((one) => one.dispatchEvent(new MouseEvent('click', {bubbles: true})))"
    )
    inside = page.evaluate(
        """() => [...document.querySelectorAll(".drawing")]
          .flatMap((host) => [...host.shadowRoot.querySelectorAll("*")])
          .filter((one) => /^(a|script|style|img|image|iframe|foreignObject|use)$/i.test(one.localName)
            || [...one.attributes].some(({ name, value }) => /^on|href/.test(name)
              || (/https?:|script:/.test(value) && !name.startsWith("xmlns"))))
          .map((one) => one.outerHTML.slice(0, 200))"""
    )
    assert inside == []
    assert page.evaluate("window.harmed") is None
    assert prose.locator("img, script, iframe, [onclick], [onerror], [id], a").count() == 0
    fixed = "all => all.filter((one) => ['fixed', 'sticky'].includes(getComputedStyle(one).position)).length"
    assert prose.locator("*").evaluate_all(fixed) == 0


def test_formulas_diagrams_and_code_are_drawn_under_the_strict_policy(visiting: Visit) -> None:
    page = visiting.page()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    open_chat_with(page, "Only *text*, for $5 and $10.")
    expect(page.locator(".prose em")).to_have_text("text")
    expect(page.locator(".prose").first).to_contain_text("for $5 and $10.")
    assert not any("katex" in url or "mermaid" in url for url in loaded), "nothing of it before it is needed"
    text = (
        "Euler: $e^{i\\pi} + 1 = 0$ and $\\frac{1$.\n\n$$\nx^2\n$$\n\n"
        "```mermaid\nflowchart LR\n  A[Ask] --> B[Answer]\n```\n\n"
        "```python\nprint(1)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nA note[^1].\n\n[^1]: At the end.\n"
    )
    open_chat_with(page, text)
    prose = page.locator(".prose")
    expect(prose.locator(".katex")).to_have_count(2)
    expect(prose.locator("math").first).to_be_attached()
    expect(prose).to_contain_text("This formula could not be drawn")
    expect(prose.get_by_role("img", name="Diagram")).to_be_visible()
    figure = prose.locator("figure.code").last
    figure.get_by_role("button", name="Wrap lines").click()
    expect(figure.get_by_role("button", name="Wrap lines")).to_have_attribute("aria-pressed", "true")
    with page.expect_download() as download:
        figure.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "code.py"
    assert copied_by(prose.get_by_role("button", name="Copy table")) == "a\tb\n1\t2"
    prose.get_by_role("button", name="Footnotes 1").first.click()
    expect(prose.locator(".footnote .note")).to_be_focused()

    page.get_by_role("button", name="More for this message").last.click()
    plain = copied_by(page.get_by_role("menuitem", name="Copy as plain text"))
    assert plain.startswith("Euler: e^{i\\pi} + 1 = 0 and \\frac{1.")
    assert "print(1)" in plain
    assert "a\tb\n1\t2" in plain
    assert plain.endswith("A note[1].\n\n[1]\n\nAt the end.")
    # For a word processor what it looks like comes with it, and nothing of the page.
    assert copied_by(page.get_by_role("button", name="Copy", exact=True).last) == text
    rich = page.evaluate("async () => (await (await navigator.clipboard.read())[0].getType('text/html')).text()")
    assert "<tr><td>1</td><td>2</td></tr>" in rich
    assert "<pre><code>print(1)" in rich
    assert not re.search("class=|<button|<figure", rich)


def test_code_that_was_read_as_it_came_is_saved_in_its_language(visiting: Visit) -> None:
    page = visiting.page()
    send(page, "#rate=8 #say ```python\nprint(1)\n```")
    wait_until_done(page)
    figure = answers(page).locator("figure.code")
    with page.expect_download() as download:
        figure.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "code.py"


def test_markdown_made_to_be_slow_does_not_hold_the_page_up(visiting: Visit) -> None:
    page = visiting.page()
    crowded = [
        "|a" * 100 + "|\n" + "|-" * 100 + "|\n" + ("|a" * 100 + "|\n") * 800,
        "- [ ] a\n" * 20_000,
        "$x$ " * 5000,
    ]
    slow = ["[" * 30_000, "`" * 30_000, "*a " * 20_000, "> " * 2000, "$" * 20_000, "[a](" * 10_000, "x" * 300_000]
    slow += [*crowded, "# a\n" * 20_000]
    open_chat_with(page, "\n\n".join(["First.", *slow, "**Last.**"]))
    expect(page.locator(".prose").last).to_contain_text("Last.")
    assert page.locator(".prose").last.locator(".block").count() < 1000
    assert page.locator("td, li, .katex").count() < 2000
    page.get_by_role("button", name="Copy", exact=True).last.click()


def test_a_formula_paints_over_nothing_but_itself(visiting: Visit) -> None:
    page = visiting.page()
    open_chat_with(page, r"Before $x\rlap{\text{This is not what was written here}}$ and what was.")
    words = page.locator(".katex-html .textrm")
    expect(words).to_have_count(1)
    painted = words.evaluate(
        """words => {
          const { right, top, bottom } = words.getBoundingClientRect();
          return words.contains(document.elementFromPoint(right - 5, (top + bottom) / 2));
        }"""
    )
    assert not painted


def test_a_diagram_made_to_be_endless_is_not_drawn(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    drawing = "```mermaid\nblock-beta\n  a space:{} b\n```\n\n"
    open_chat_with(page, drawing.format(200_000_000) + drawing.format(2))
    expect(page.locator("figure.diagram").first).to_contain_text("too long")
    expect(page.locator("figure.diagram").last).to_contain_class("drawn")


def test_a_formula_made_to_be_endless_is_not_drawn(visit, scripted: ScriptedServer) -> None:
    page = visit(scripted).page()
    endless = r"\def\a{" + 3900 * "x" + "}" + 190 * r"\a "
    open_chat_with(page, f"$$\n{endless}\n$$\n\n$$\n\\def\\b{{y}}\\b^2\n$$\n")
    expect(page.locator(".formula.failed")).to_have_count(1)
    expect(page.locator(".katex")).to_have_count(1)


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
    assert copied_by(prose.get_by_role("button", name="Copy code")) == "def answer() -> int:\n    return 42"
    expect(prose.locator("blockquote")).to_have_text("quoted")
    expect(prose.locator("ol > li")).to_have_text(["first", "second"])
    # What a person typed is not Markdown.
    expect(page.locator("article").first).to_contain_text("**strong**")


def test_the_first_load_is_small(static: Any, visiting: Visit) -> None:
    sizes = first_load(static)
    assert "theme.js" in sizes
    assert sum(name.startswith("assets/words-en-index-") for name in sizes) == 1
    assert sum(sizes.values()) <= FIRST_LOAD_BUDGET, sizes
    # None waits for another: the page names them all, but for the words, whose language a script knows.
    html = (static / "index.html").read_text(encoding="utf-8")
    assert [name for name in sizes if f'"/{name}"' not in html and "/words-" not in name] == []

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
