"""The rules of the house that machines can check: lint, types, layers, and a clean tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sys.executable).parent


def run(*command: str) -> None:
    """Run a tool of this environment and show what it printed when it finds something."""
    program = shutil.which(command[0], path=str(SCRIPTS)) or command[0]
    result = subprocess.run([program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"


def tracked(*patterns: str) -> list[Path]:
    """Files in git, or every file when the source came as an archive."""
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return [ROOT / line for line in listed.stdout.splitlines()]
    return [path for pattern in patterns or ("*",) for path in ROOT.rglob(pattern) if path.is_file()]


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--no-cache", ".")
    run("ruff", "format", "--no-cache", "--check", ".")


def test_types_are_strict() -> None:
    run("mypy")


def test_arrows_point_one_way() -> None:
    run("lint-imports", "--no-cache")


def test_lock_file_carries_no_download_addresses() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert '"lockfileVersion"' in lock
    assert "http://" not in lock.replace("http://json-schema.org", "")
    assert not re.search(r'"resolved":\s*"http', lock)


def test_nothing_generated_or_heavy_is_committed() -> None:
    heavy = [str(path.relative_to(ROOT)) for path in tracked() if path.exists() and path.stat().st_size > 600_000]
    assert heavy == []
    assert not [path for path in tracked() if path.suffix in {".so", ".gguf", ".safetensors", ".whl"}]


def test_every_source_file_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in tracked("src/*.py", "benchmarks/*.py")
        if path.read_text(encoding="utf-8").strip() and not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert silent == []


def test_settings_alone_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path in tracked("src/myna/*.py")
        if re.search(r"os\.(environ\[|environ\.get|getenv)", path.read_text(encoding="utf-8"))
    ]
    assert readers == []
