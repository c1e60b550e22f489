"""Files in a repository of the Hugging Face Hub, or of a mirror that HF_ENDPOINT names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from myna.hub.sources.base import RemoteFile, Report, SourceError, Store
from myna.hub.sources.repository import choose_files
from myna.hub.sources.url import check_url

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling
DIGEST = re.compile("[0-9a-f]{64}|git-[0-9a-f]{40}")
PATH = re.compile(r"[\w. +-]+(/[\w. +-]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """One file at one revision."""

    repository: str
    file: str
    bytes: int
    sha256: str
    revision: str = "main"
    git_sha1: str = ""
    """The Hub knows small files, which have no SHA-256 there, by Git's hash."""

    @property
    def label(self) -> str:
        """Where it is."""
        return f"Hugging Face {self.repository}"

    @property
    def digest(self) -> str:
        """See `Source.digest`."""
        return self.sha256 or f"git-{self.git_sha1}"

    @property
    def disk_bytes(self) -> int:
        """Only the file itself."""
        return self.bytes

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        """See `Source.fetch`."""
        from myna.hub.download import download

        url, headers = self._request()
        download(url, partial, self.bytes, report, headers)

    def check(self) -> None:
        """See `Source.check`."""
        check_url(*self._request())

    def _request(self) -> tuple[str, dict[str, str]]:
        from huggingface_hub import constants, get_token, hf_hub_url

        if constants.is_offline_mode():
            raise SourceError("HF_HUB_OFFLINE is set")
        token = get_token()  # the user's own, where there is one
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return hf_hub_url(self.repository, self.file, revision=self.revision), headers


@dataclass(frozen=True, slots=True)
class HuggingFaceSnapshot:
    """The files of one revision that make a model: weights, configuration, vocabulary; never code."""

    repository: str
    revision: str
    files: tuple[RemoteFile, ...]
    main: str | None = None

    @property
    def label(self) -> str:
        """Where it is."""
        return f"Hugging Face {self.repository}"

    @property
    def bytes(self) -> int:
        """All files."""
        return sum(file.bytes for file in self.files)

    @property
    def disk_bytes(self) -> int:
        """Only the files themselves."""
        return self.bytes

    def fetch(self, store: Store, report: Report) -> None:
        """See `Snapshot.fetch`: one file after the other, each going on where it broke off."""
        missing = store.missing(self.files)
        before = self.bytes - sum(file.bytes for file in missing)
        report(before, self.bytes)
        for file in missing:
            with store.held(file):
                if store.missing((file,)):
                    store.partial(file).touch()  # an empty file needs no download
                    self.source(file).fetch(store.partial(file), Path(), _shifted(report, before, self.bytes))
                    store.commit(file)
            before += file.bytes
            report(before, self.bytes)

    def check(self) -> None:
        """See `Snapshot.check`."""
        self.source(self.files[0]).check()

    def source(self, file: RemoteFile) -> HuggingFaceSource:
        """One of the files alone."""
        sha1 = file.digest.removeprefix("git-") if file.digest.startswith("git-") else ""
        sha256 = "" if sha1 else file.digest
        return HuggingFaceSource(self.repository, file.path, file.bytes, sha256, self.revision, sha1)


def locate(repository: str, file: str | None) -> HuggingFaceSource | HuggingFaceSnapshot:
    """Look a model up: its files, their sizes and hashes, and the revision that has them.

    Args:
        repository: owner/name.
        file: path in the repository; None chooses the best GGUF file there is, or else the safetensors.

    Raises:
        SourceError: no such repository or file, no access, no network.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        info = HfApi(library_name="myna").model_info(repository, files_metadata=True, timeout=15.0)
    except GatedRepoError as error:
        raise SourceError("its licence must be accepted first on its page, and HF_TOKEN set") from error
    except RepositoryNotFoundError as error:
        raise SourceError("there is no such repository, or HF_TOKEN is needed to see it") from error
    except OfflineModeIsEnabled as error:
        raise SourceError("HF_HUB_OFFLINE is set") from error
    except (HfHubHTTPError, OSError, _http_error()) as error:
        raise SourceError(" ".join(str(error).split()) or type(error).__name__) from error
    if info.sha is None:
        raise SourceError("the Hub names no revision, so what arrives could not be checked")
    siblings = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    chosen = choose_files(list(siblings), file)
    files = tuple(_remote(name, siblings[name]) for name in chosen.files)
    snapshot = HuggingFaceSnapshot(repository, info.sha, files, chosen.main)
    return snapshot.source(files[0]) if files[0].path == chosen.main and len(files) == 1 else snapshot


def _remote(name: str, sibling: RepoSibling) -> RemoteFile:
    """A file as the Hub describes it. Its words become paths here, so they are looked at first."""
    size, digest = sibling.size, f"git-{sibling.blob_id}"
    if sibling.lfs is not None:
        size, digest = sibling.lfs.size, sibling.lfs.sha256
    if size is None or not DIGEST.fullmatch(digest):
        raise SourceError(f"the Hub gives no hash for {name}, so what arrives could not be checked")
    if not PATH.fullmatch(name) or ".." in name:
        raise SourceError(f"it has a file of the name {name!r}, which is not fetched")
    return RemoteFile(name, size, digest)


def _shifted(report: Report, before: int, total: int) -> Report:
    """Reports of one file as reports of all."""
    return lambda done, _: report(before + done, total)


def _http_error() -> type[Exception]:
    import httpx2

    return httpx2.HTTPError
