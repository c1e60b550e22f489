"""Marks every word of the language files, so that what is shown without a mark has bypassed them."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, Route

MARKING = """
import words from "{plain}";
export * from "{plain}";
const mark = (word) =>
  typeof word === "string" ? `⟦${{word}}⟧`
  : typeof word === "function" ? (...values) => mark(word(...values))
  : Array.isArray(word) ? word.map(mark)
  : word !== null && typeof word === "object"
    ? Object.fromEntries(Object.entries(word).map(([key, each]) => [key, mark(each)]))
  : word;
export default mark(words);
"""

DATA = (
    r"#(say|hang|think).*|A bird is a.*|And a fish.*|You said: .*|A scripted title|A key|A question.*|Another.*",
    r"\b(Scripted|Other|Short|Base|Community|Research|Broken|Remote)\b|scripted:\w+|says what its script says",
    r"\ba script\b",
    r"Anna Lindgren|Bruno Keller|(myna|sk)[-_]\w*…?|https?://\S+|127\.0\.0\.1:\d+|Chrome|Linux|Python-urllib/\S+",
    r"(llama|apache|cc-by-nc)-?[\d.]+|Apache (License )?2\.0|(CC|Creative Commons) BY-NC 4\.0|Llama 3\.2",
    r"SQLite|avx\S+|[\w.-]+\.(json|db|txt)",
    r"Ctrl|Alt|Top-[pk]|Min-p|\b(agent|method|password|role|member|owner)\b",
)
"""What people, models, keys and machines are called, and what the audit log records: no words of the application."""


def mark_words(context: BrowserContext) -> None:
    """From now on every word that a language file has is in brackets."""

    def answer(route: Route) -> None:
        if route.request.url.endswith("?plain"):
            route.continue_(url=route.request.url.removesuffix("?plain"))
            return
        plain = route.request.url + "?plain"
        route.fulfill(content_type="text/javascript", body=MARKING.format(plain=plain))

    context.route("**/assets/words-*.js*", answer)


def unmarked(page: Page) -> list[str]:
    """Texts of Latin letters that an Arabic page shows or reads out and that are neither marked nor data.

    Arabic ones come from the language files or from the browser, which writes dates and sizes.
    """
    return list(
        page.evaluate(
            """data => {
              const rest = (text) => {
                let left = text;
                for (let before = ""; before !== left; ) [before, left] = [left, left.replace(/⟦[^⟦⟧]*⟧/gu, " ")];
                return left.replace(new RegExp(data.join("|"), "gu"), " ");
              };
              const theirs = "bdi, code, kbd, pre, .prose, [dir=auto], option[lang], script, style, noscript";
              const found = [rest(document.title)];
              for (const element of document.querySelectorAll("body *")) {
                if (element.closest(theirs) || !element.checkVisibility({ visibilityProperty: true })) continue;
                for (const name of ["aria-label", "aria-description", "title", "placeholder", "alt"])
                  // A title that repeats what the element shows is judged there.
                  if (element.hasAttribute(name) && !(name === "title" && element.innerText.includes(element.title)))
                    found.push(rest(element.getAttribute(name)));
                for (const { nodeType, data } of element.childNodes)
                  if (nodeType === Node.TEXT_NODE) found.push(rest(data));
              }
              return [...new Set(found.map((text) => text.trim()).filter((text) => /[A-Za-z]{2,}/.test(text)))];
            }""",
            list(DATA),
        )
    )
