"""The README tells the truth: its tree is the disk's, its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def tree_paths() -> list[str]:
    """Paths drawn in the README's tree block: two spaces a level, a name, at least two spaces, a phrase."""
    block = re.search(r"```text\n(.*?)```", README, re.S)
    assert block, "the README has no tree"
    paths: list[str] = []
    parents: list[str] = []
    for line in block[1].splitlines():
        drawn = re.match(r"( *)(\S+)", line)
        if not drawn:
            continue
        depth, name = len(drawn[1]) // 2, drawn[2]
        parents[depth:] = [name.rstrip("/")]
        paths.append("/".join(parents) + ("/" if name.endswith("/") else ""))
    return paths


def test_every_path_of_the_tree_exists() -> None:
    paths = tree_paths()
    assert len(paths) > 20
    missing = [path for path in paths if not (ROOT / path).exists() or path.endswith("/") != (ROOT / path).is_dir()]
    assert missing == []


def test_every_room_is_in_the_tree() -> None:
    package = ROOT / "src" / "myna"
    rooms = {
        path.name
        for path in package.iterdir()
        if not path.name.startswith(("_", ".")) and (path.suffix == ".py" or (path.is_dir() and path.name != "web"))
    }
    drawn = {path.rstrip("/").rsplit("/", 1)[-1] for path in tree_paths() if path.startswith("src/myna/")}
    assert rooms <= drawn, f"not in the README's tree: {sorted(rooms - drawn)}"


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    broken = [t for t in targets if not t.startswith(("http://", "https://")) and not (document.parent / t).exists()]
    assert broken == []


def test_readme_is_short() -> None:
    assert len(README.splitlines()) < 250
