from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from myna.errors import DiskFull, HashMismatch, HubError, NotFound, SourcesUnreachable
from myna.hub import Hub, PullProgress
from myna.hub.sources.url import UrlSource
from tests.hub.conftest import Offer
from tests.hub.server import Site, digest, partials
from tests.patience import WAIT_SECONDS

CONTENT = bytes(range(256)) * 4096


def source(site: Site, content: bytes = CONTENT, path: str = "/bird.gguf") -> UrlSource:
    site.files[path] = content
    return UrlSource(f"{site.url}{path}", len(content), digest(content))


def test_pull_fetches_once_and_knows_the_file_afterwards(hub: Hub, site: Site, offer: Offer) -> None:
    offer(source(site))
    seen: list[PullProgress] = []
    assert hub.find("bird") is None
    path = hub.pull("bird", seen.append)
    assert path.read_bytes() == CONTENT
    assert (seen[-1].done, seen[-1].total, seen[-1].source) == (len(CONTENT), len(CONTENT), "127.0.0.1")
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert hub.pull("bird:1b") == path == hub.find("BIRD")
    assert len(site.requests) == 1
    [local] = hub.local()
    assert (local.name, local.path, local.bytes, local.sha256) == ("bird:1b", path, len(CONTENT), digest(CONTENT))
    assert local.entry is not None
    assert local.entry.licence_class == "open"


def test_a_broken_download_goes_on_where_it_was(hub: Hub, site: Site, offer: Offer) -> None:
    offer(source(site))
    site.cut = [300_000, 200_000]
    assert hub.pull("bird").read_bytes() == CONTENT
    assert [asked for _, _, asked in site.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_cancelled_pull_keeps_what_arrived_and_the_next_goes_on(
    hub: Hub, site: Site, offer: Offer, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("myna.hub.progress.REPORT_SECONDS", 0.0)
    offer(source(site))
    site.gate.clear()

    class Cancelled(Exception):
        pass

    def cancel(step: PullProgress) -> None:
        if step.done:
            raise Cancelled

    with pytest.raises(Cancelled):
        hub.pull("bird", cancel)
    site.gate.set()
    assert hub.find("bird") is None
    [partial] = partials(models_dir)
    kept = partial.stat().st_size
    assert 0 < kept < len(CONTENT)
    assert hub.pull("bird").read_bytes() == CONTENT
    assert site.requests[-1][2] == f"bytes={kept}-"


def test_a_server_without_ranges_sends_everything_anew(hub: Hub, site: Site, offer: Offer) -> None:
    offer(source(site))
    site.ranges = False
    site.cut = [300_000]
    assert hub.pull("bird").read_bytes() == CONTENT


def test_a_partial_of_another_file_is_found_out_and_replaced(
    hub: Hub, site: Site, offer: Offer, models_dir: Path
) -> None:
    offer(source(site))
    (models_dir / "partial").mkdir()
    (models_dir / "partial" / digest(CONTENT)).write_bytes(b"x" * 1000)
    with pytest.raises(HashMismatch):
        hub.pull("bird")
    assert partials(models_dir) == []
    assert hub.pull("bird").read_bytes() == CONTENT


def test_sources_are_tried_in_order(hub: Hub, site: Site, offer: Offer) -> None:
    missing = UrlSource(f"{site.url}/missing.gguf", len(CONTENT), digest(CONTENT))
    changed = UrlSource(source(site, CONTENT[::-1], "/changed.gguf").url, len(CONTENT), digest(CONTENT))
    offer(missing, changed, source(site))
    assert hub.pull("bird").read_bytes() == CONTENT
    assert [path for _, path, _ in site.requests] == ["/missing.gguf", "/changed.gguf", "/bird.gguf"]


def test_no_source_reachable_says_which_were_tried_and_why_each_failed(hub: Hub, site: Site, offer: Offer) -> None:
    closed = UrlSource("http://127.0.0.1:9/bird.gguf", 5, "0" * 64)
    small = source(site, b"tiny", "/small.gguf")
    offer(
        UrlSource(f"{site.url}/missing.gguf", 5, "0" * 64), closed, UrlSource(small.url, len(CONTENT), digest(CONTENT))
    )
    with pytest.raises(SourcesUnreachable) as caught:
        hub.pull("bird")
    reasons = [reason for _, reason in caught.value.attempts]
    assert reasons[0] == "it answered 404 Not Found"
    assert "refused" in reasons[1].lower() or "connect" in reasons[1].lower()
    assert reasons[2] == f"it offers a file of 4 bytes, not {len(CONTENT)}"
    assert "bird:1b could not be fetched" in caught.value.message


def test_a_wrong_hash_leaves_nothing_behind(hub: Hub, site: Site, offer: Offer, models_dir: Path) -> None:
    offer(UrlSource(source(site).url, len(CONTENT), "0" * 64))
    with pytest.raises(HashMismatch) as caught:
        hub.pull("bird")
    assert digest(CONTENT) in caught.value.message
    assert hub.find("bird") is None
    assert hub.local() == []
    assert partials(models_dir) == []


def test_too_little_space_is_said_before_anything_is_fetched(
    hub: Hub, site: Site, offer: Offer, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(source(site))
    usage = shutil.disk_usage(models_dir)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DiskFull, match=r"needs 1,048,576 bytes of free space, but 1,000 are free"):
        hub.pull("bird")
    assert site.requests == []


def test_a_disk_that_fills_up_says_so_and_keeps_the_partial(
    hub: Hub, site: Site, offer: Offer, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(source(site))
    real_open = Path.open

    class Full:
        def __init__(self, file: object) -> None:
            self.file = file
            self.room = 300_000

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *exception: object) -> None:
            self.file.close()  # type: ignore[attr-defined]

        def write(self, chunk: bytes) -> int:
            if len(chunk) > self.room:
                self.file.write(chunk[: self.room])  # type: ignore[attr-defined]
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.room -= len(chunk)
            return int(self.file.write(chunk))  # type: ignore[attr-defined]

    def opening(path: Path, mode: str = "r", *rest: object, **options: object) -> object:
        file = real_open(path, mode, *rest, **options)  # type: ignore[call-overload]
        return Full(file) if path.parent.name == "partial" and mode in ("wb", "ab") else file

    monkeypatch.setattr(Path, "open", opening)
    with pytest.raises(DiskFull, match="is full"):
        hub.pull("bird")
    monkeypatch.undo()
    assert hub.local() == []
    offer(source(site))
    assert hub.pull("bird").read_bytes() == CONTENT
    assert site.requests[-1][2] == "bytes=300000-"


def test_a_directory_that_cannot_be_written_is_named(site: Site, offer: Offer, tmp_path: Path) -> None:
    offer(source(site))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HubError, match=r"cannot be used: .*--data-dir"):
        Hub(tmp_path / "file").pull("bird")


def test_two_processes_that_pull_the_same_model_do_it_once(
    hub: Hub, site: Site, models_dir: Path, offer: Offer
) -> None:
    wanted = source(site)
    offer(wanted)
    program = """
import json, sys
from pathlib import Path
from myna.hub import Hub, catalog
from myna.hub.catalog import CatalogModel
from myna.hub.sources.url import UrlSource
directory, url, size, sha256 = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
bird = CatalogModel("bird:1b", (), "Bird", "", 1, 1, "mit", None, "chatml", "0" * 64, (UrlSource(url, size, sha256),))
catalog.models = lambda: (bird,)
steps = []
def progress(step):
    if not steps:
        print("waiting", flush=True)
    steps.append(step.done)
print(json.dumps([str(Hub(Path(directory)).pull("bird:1b", progress)), max(steps)]))
"""
    site.gate.clear()
    started = threading.Event()
    found: list[Path] = []
    first = threading.Thread(target=lambda: found.append(hub.pull("bird", lambda step: started.set())))
    first.start()
    assert started.wait(WAIT_SECONDS)
    arguments = [sys.executable, "-c", program, str(models_dir), wanted.url, str(wanted.bytes), wanted.sha256]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdout.readline() == "waiting\n"
        site.gate.set()
        path, fetched = json.loads(second.stdout.readline())
        assert second.wait(WAIT_SECONDS) == 0
    first.join(WAIT_SECONDS)
    assert [Path(path)] == found
    assert fetched == 0
    assert len(site.requests) == 1


def test_remove_frees_the_file_but_not_one_that_another_name_means(
    hub: Hub, site: Site, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(source(site))
    site.add_repository("owner/bird", {"bird-Q4_0.gguf": CONTENT})
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", site.url)
    path = hub.pull("bird")
    assert hub.pull("hf:owner/bird") == path
    assert hub.remove("bird") == 0
    assert path.exists()
    assert hub.remove("hf:owner/bird") == len(CONTENT)
    assert not path.exists()
    with pytest.raises(NotFound, match="bird:1b was not pulled"):
        hub.remove("bird")


def test_a_blob_that_was_cut_short_counts_as_absent_and_is_fetched_again(hub: Hub, site: Site, offer: Offer) -> None:
    offer(source(site))
    hub.pull("bird").write_bytes(b"short")
    assert hub.find("bird") is None
    assert hub.local() == []
    assert hub.pull("bird").read_bytes() == CONTENT
    assert hub.find("bird") is not None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smolm2:135m", "Did you mean smollm2:135m?"),
        ("smolllm", "Did you mean smollm2:135m?"),
        ("zzzz", "Known: smollm2:135m, all-minilm:l6."),
        ("", "Known: smollm2:135m, all-minilm:l6."),
        ("hf:owner", "is not of the form hf:owner/repo"),
        ("hf:../..", "is not of the form"),
        ("hf:owner/repo:../x.gguf", "is not of the form"),
        ("hf:owner/repo:README.md", "is not of the form"),
        ("./nowhere.gguf", "There is no file"),
        ("~nobody-of-that-name/bird.gguf", "There is no file"),
        ("bird" * 100, "There is no model"),
    ],
)
def test_names_that_mean_nothing_are_refused_with_a_hint(hub: Hub, name: str, message: str) -> None:
    with pytest.raises(NotFound) as caught:
        hub.resolve(name)
    assert message in caught.value.message


def test_a_path_is_its_own_model(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes(b"GGUF")
    assert hub.resolve(str(file)).kind == "local"
    assert hub.find(str(file)) == hub.pull(str(file)) == file
    assert hub.local() == []


def test_a_directory_with_a_model_is_its_own_model(hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    with pytest.raises(NotFound, match=r"holds no model: it has none of config\.json"):
        hub.resolve(str(directory))
    (directory / "config.json").write_text("{}")
    (directory / "model.safetensors").write_bytes(b"12345678")
    assert hub.resolve(str(directory)).kind == "local"
    assert hub.find(str(directory)) == hub.pull(str(directory)) == directory
    assert hub.size(str(directory)) == 10
    (tmp_path / "delta").mkdir()
    (tmp_path / "delta" / "config.json").write_text("{}\n")
    assert hub.size(f"{directory}+{tmp_path / 'delta'}") == 13


def test_a_directory_with_a_gguf_file_is_a_model_and_one_with_an_adapter_is_not(hub: Hub, tmp_path: Path) -> None:
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "adapter_config.json").write_text("{}")
    with pytest.raises(NotFound, match=r"mine is an adapter, not a model: serve its model with --adapter NAME="):
        hub.resolve(str(directory))
    (directory / "model.gguf").write_bytes(b"GGUF")
    assert hub.find(str(directory)) == directory


def test_a_directory_without_a_model_is_named_also_without_a_slash(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    with pytest.raises(NotFound, match=r"mine holds no model: it has none of config\.json"):
        hub.resolve("mine")


def test_check_sources_tells_what_could_be_reached(hub: Hub, site: Site, offer: Offer) -> None:
    offer(source(site), UrlSource(f"{site.url}/missing.gguf", 5, "0" * 64))
    assert hub.check_sources("bird") == [("127.0.0.1", None), ("127.0.0.1", "it answered 404 Not Found")]
    assert all(method == "HEAD" for method, _, _ in site.requests)


def test_importing_the_hub_is_cheap() -> None:
    program = (
        "import sys, myna.hub; print([n for n in ('httpx2','huggingface_hub','numpy','pydantic') if n in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"
