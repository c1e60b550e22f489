"""A PostgreSQL server of the tests' own: made in a temporary directory, reached by a socket there, ended with them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USER = "postgres"


def installed() -> Path | None:
    """Where Debian keeps the newest server's programs, which are not on the path; None if there is none."""
    if (found := shutil.which("initdb")) is not None:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))


class PostgreSQL:
    """A server that runs."""

    def __init__(self, directory: Path, programs: Path) -> None:
        self.directory = directory
        self.programs = programs

    def run(self, program: str, *arguments: str) -> None:
        """Run one of its programs; as root in the name of its own user, since it refuses root."""
        command = [str(self.programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", USER, "--", *command]
        # A file, not a pipe: the server that pg_ctl starts would hold a pipe open.
        with (self.directory / "said").open("a+") as said:
            if subprocess.run(command, stdout=said, stderr=said, cwd=self.directory, check=False).returncode:
                said.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed:\n{said.read()}")

    def url(self, name: str) -> str:
        """Where a database of it is."""
        return f"postgresql://{self.user}@/{name}?host={self.directory}"

    @property
    def user(self) -> str:
        return USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"myna_{uuid.uuid4().hex}"
        self.run("createdb", "-h", str(self.directory), "-U", self.user, name)
        return self.url(name)

    def stop(self) -> None:
        """End it at once, as a power cut would."""
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-m", "immediate", "-w", "stop")

    def start(self) -> None:
        """Begin to answer."""
        options = f"-k {self.directory} -c listen_addresses= -c fsync=off -c full_page_writes=off"
        self.run("pg_ctl", "-D", str(self.directory / "data"), "-w", "-o", options, "start")


@contextmanager
def serving() -> Iterator[PostgreSQL]:
    """A server for as long as the block runs; skips the test where PostgreSQL is not installed."""
    programs = installed()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with tempfile.TemporaryDirectory(prefix="myna-pg-") as folder:
        directory = Path(folder)
        if os.geteuid() == 0:
            shutil.chown(directory, USER)
        server = PostgreSQL(directory, programs)
        server.run("initdb", "-D", str(directory / "data"), "-U", server.user, "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()
