"""Makes the icons of the installed application from `web/public/favicon.svg`, in Chromium.

python docs/images/icons.py
"""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import sync_playwright

PUBLIC = Path(__file__).parents[2] / "web" / "public"
ROUND = 0.86
"""How much of an icon's width the bird takes."""
MASKED = 0.6
"""The same where a system cuts a shape out of it, of which only the middle four fifths are sure to be seen."""


def main() -> None:
    """Draw each size and store it."""
    drawing = re.sub(r"<style>.*?</style>", "<style>.head { fill: #1a1d24 }</style>", _read(), flags=re.DOTALL)
    (PUBLIC / "icons").mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, size, share, ground in (
            ("192", 192, ROUND, "transparent"),
            ("512", 512, ROUND, "transparent"),
            ("maskable", 512, MASKED, "#fff5d9"),
        ):
            page = browser.new_page(viewport={"width": size, "height": size})
            page.set_content(
                f"<style>body {{ margin: 0; height: 100vh; display: grid; place-items: center; background: {ground} }}"
                f"svg {{ width: {share:.0%} }}</style>{drawing}"
            )
            page.screenshot(path=PUBLIC / "icons" / f"{name}.png", omit_background=True)
        browser.close()


def _read() -> str:
    return (PUBLIC / "favicon.svg").read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
