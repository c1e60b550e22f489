"""A file in a repository of the Hugging Face Hub, or of a mirror that HF_ENDPOINT names."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from myna.hub.sources.base import Report, SourceError
from myna.hub.sources.url import check_url

PREFERRED = (
    *("Q4_0", "Q4_1", "Q4_K"),
    *("Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "IQ4_NL", "MXFP4"),
    *("BF16", "F16", "F32"),
    *("Q3_K", "Q2_K"),
)
"""Quantisations to choose from when no file is named, fastest first, and last those that cost much of the quality."""


@dataclass(frozen=True, slots=True)
class HuggingFaceSource:
    """One file at one revision."""

    repository: str
    file: str
    bytes: int
    sha256: str
    revision: str = "main"

    @property
    def label(self) -> str:
        """Where it is."""
        return f"Hugging Face {self.repository}"

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


def locate(repository: str, file: str | None) -> HuggingFaceSource:
    """Look a file up: its size, its hash and the revision that has them.

    Args:
        repository: owner/name.
        file: path in the repository; None chooses the best GGUF file there is.

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
    files = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    chosen = files[choose_file(list(files), file)]
    if chosen.lfs is None or info.sha is None:
        raise SourceError(f"the Hub gives no hash for {chosen.rfilename}, so what arrives could not be checked")
    return HuggingFaceSource(repository, chosen.rfilename, chosen.lfs.size, chosen.lfs.sha256, info.sha)


def choose_file(files: list[str], wanted: str | None) -> str:
    """The wanted file, or the GGUF file that runs fastest. Raises SourceError naming what there is."""
    models = sorted(file for file in files if file.lower().endswith(".gguf"))
    if wanted is not None:
        if wanted in files:
            return wanted
        close = difflib.get_close_matches(wanted, models, n=1, cutoff=0.3)
        raise SourceError(f"there is no file {wanted}" + (f"; did you mean {close[0]}?" if close else ""))
    for quantisation in PREFERRED:
        for file in models:
            if quantisation in file.upper():
                return file
    if models:
        raise SourceError(f"no file of a supported quantisation; there are {', '.join(models[:8])}")
    raise SourceError("it has no GGUF file")


def _http_error() -> type[Exception]:
    import httpx2

    return httpx2.HTTPError
