"""Descriptions of models for a process that opens none itself: made in another one, and kept on disk.

What it takes to describe a model (NumPy, vocabularies, all families) is 60 MB of memory for good, and the files are
strangers'. So a process of its own reads them and ends; what it found is kept for as long as the files stay the same.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from myna import __version__
from myna.errors import ModelFileError, MynaError
from myna.models.description import Description, FileDescription, UndeclaredDescription
from myna.models.killable import KillableProcess, answer_requests

SECONDS = 60.0
"""For one model; ordinary ones take some tenths of a second."""
MAX_REPLY = 1 << 24
MAX_KEPT = 1 << 26
"""Bytes of the file in which descriptions are kept."""
KINDS: dict[str, type[Description]] = {"declared": FileDescription, "undeclared": UndeclaredDescription}
TOO_MUCH = {"refusal": f"describing it takes more than {SECONDS:g} s, or more memory than there is"}
"""Of a model whose process had to be killed, or was; that may be otherwise at another time."""
FORMAT = [__version__, *(field.name for kind in KINDS.values() for field in fields(kind))]
"""Of what is kept: what another version wrote is made anew."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files of a model say, as of a state of theirs; ``found`` is a reply of the process that read them."""

    state: list[int]
    found: dict[str, Any]


class Descriptions:
    """Descriptions of models, each made once as long as its files do not change. Safe in several threads.

    Args:
        file: where they are kept beyond this process; nothing is lost with it. None to keep none.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._known: dict[str, _Found] | None = None
        self._reading = threading.Lock()
        self._process = KillableProcess(__spec__.name, seconds=SECONDS, max_reply=MAX_REPLY)

    def read(self, paths: Iterable[Path]) -> None:
        """Make the descriptions of these models that are not there yet, in one process."""
        with self._reading:
            known = self._load() if self._known is None else self._known
            made = False
            try:
                for path in paths:
                    kept = known.pop(str(path), None)
                    if (state := _state(path)) is None:
                        continue
                    if kept is not None and kept.state == state:
                        known[str(path)] = kept
                    elif (found := self._describe(path)) is not None:
                        known[str(path)] = _Found(state, found)
                        made = True
            finally:
                self._process.close()
                if made:
                    self._store(known)

    def of(self, path: Path) -> Description:
        """What the files at ``path`` say of their model.

        Raises:
            ModelFileError: there is no model that Myna can describe.
        """
        self.read([path])
        assert self._known is not None
        kept = self._known.get(str(path))
        if kept is None:
            raise ModelFileError(path, "it could not be read")
        if "refusal" in kept.found:
            raise ModelFileError(path, kept.found["refusal"])
        return KINDS[kept.found["kind"]](**kept.found["model"])

    def declared(self, path: Path | None) -> FileDescription | None:
        """The same; None where there is no file, or it is of no model that Myna's own engine can run."""
        if path is None:
            return None
        try:
            found = self.of(path)
        except ModelFileError:
            return None
        return found if isinstance(found, FileDescription) else None

    def _describe(self, path: Path) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] | None = self._process.ask({"path": str(path)})
        except OSError as error:
            _log.warning("%s was not described: %s", path, error)
            return None
        return TOO_MUCH if found is None else found

    def _load(self) -> dict[str, _Found]:
        """What is kept; nothing where it cannot be read, which costs only time."""
        self._known = {}
        if self._file is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                with self._file.open("rb") as file:
                    kept = json.loads(file.read(MAX_KEPT))
                if kept["format"] == FORMAT:
                    self._known = {path: _Found(**found) for path, found in kept["models"].items()}
        return self._known

    def _store(self, known: dict[str, _Found]) -> None:
        if self._file is None:
            return
        lasting = {path: each for path, each in known.items() if each.found is not TOO_MUCH and Path(path).exists()}
        models = {path: asdict(each) for path, each in lasting.items()}
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(8)}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps({"format": FORMAT, "models": models}), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            _log.warning("%s cannot be written, so models are described anew at each start: %s", self._file, error)
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)


def _state(path: Path) -> list[int] | None:
    """What changes with a model's files: their number, sizes and times. None where there is nothing."""
    try:
        files = [each.stat() for each in sorted(path.iterdir()) if each.is_file()] if path.is_dir() else [path.stat()]
    except OSError:
        return None
    return [number for file in files for number in (file.st_size, file.st_mtime_ns)]


def answer(request: Any) -> dict[str, Any]:
    """What the process says of the model at a path: its description, or why there is none."""
    from myna.models.describe import describe_any  # NumPy and all families: for this process alone

    try:
        found = describe_any(request["path"])
    except MynaError as error:
        return {"refusal": getattr(error, "reason", str(error))}
    return {"kind": next(name for name, kind in KINDS.items() if isinstance(found, kind)), "model": asdict(found)}


if __name__ == "__main__":
    answer_requests(answer)
