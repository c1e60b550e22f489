"""The parts of the web application that need no browser, checked by their own tools."""

from __future__ import annotations

from tests.browser.building import modules, node, run


def test_web_units() -> None:
    """Block splitting, event resumption, the tree and formats: `web/tests/`."""
    vite = modules() / "vite" / "bin" / "vite.js"
    run(*node(), str(vite), "build", "--config", "tests/vite.config.ts")
    built = sorted((modules() / ".cache" / "myna-tests").glob("*.test.js"))
    assert built
    run(*node(), "--test", *map(str, built))


def test_web_types() -> None:
    """TypeScript, strict, and Svelte's own warnings, those about accessibility included."""
    check = modules() / "svelte-check" / "bin" / "svelte-check"
    run(*node(), str(check), "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
