"""The process of an engine: one loaded model, its clients on a socket, and a parent whom it does not outlive.

The parent writes one `Start` to standard input and keeps it open; its end means that the parent is gone. Standard
output carries one `Listening` and nothing else. The socket lies in a directory that only its owner can enter, or,
where there are no Unix sockets, on the loopback interface; either way a client has to know the parent's secret.

Started early, while the parent still imports its own modules, so this module imports little; the model comes last.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import tempfile
import threading
import traceback
from pathlib import Path
from typing import BinaryIO

import msgspec

from myna.engine.clients import Clients
from myna.engine.failures import describe_error
from myna.engine.messages import HEADER, Listening, LoadFailed, Start, frame
from myna.errors import MynaError

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that waits for Python's lock gets it: the step must not wait for the clients' thread."""

_OOM_SCORE = "500"
"""When memory runs out, Linux is to end this process, which can be replaced, and not the parent."""


def main() -> None:
    """Serve one model until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
    start = _read_start(sys.stdin.buffer)
    report = _take_standard_output()
    listener, address = _listen(start.transport)
    threading.Thread(target=_follow_parent, args=(sys.stdin.buffer, address), daemon=True).start()
    with contextlib.suppress(BrokenPipeError), os.fdopen(report, "wb") as parent:
        parent.write(frame(Listening(address)))

    clients = Clients(listener, start.secret)
    threading.excepthook = _end_process
    threading.Thread(target=clients.run, name="clients", daemon=True).start()
    try:
        from myna.engine.service import Service  # NumPy, kernels, tokenizer: while the clients connect

        service = Service(start.options, clients.send)
    except Exception as error:
        if not isinstance(error, MynaError):
            traceback.print_exc()
        clients.open(LoadFailed(*describe_error(error)))
        threading.Event().wait()  # tell whoever connects; the parent ends this process
    else:
        clients.open(service.ready, service)
        service.run()


def _read_start(stdin: BinaryIO) -> Start:
    header = stdin.read(HEADER)
    length = int.from_bytes(header, "little")
    payload = stdin.read(length)
    if len(header) < HEADER or len(payload) < length:
        sys.exit(0)  # the parent has ended already
    return msgspec.msgpack.decode(payload, type=Start)


def _take_standard_output() -> int:
    """A descriptor of standard output; whatever prints from now on goes to standard error."""
    report = os.dup(1)
    os.dup2(2, 1)
    return report


def _listen(transport: str) -> tuple[socket.socket, str | int]:
    """A listening socket and its address; on the loopback interface too when no Unix socket can be made."""
    if transport == "unix":
        directory = tempfile.mkdtemp(prefix="myna-")  # mode 0700
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(f"{directory}/engine")
        except OSError:  # a path too long for a socket, or a file system without them
            listener.close()
            Path(directory).rmdir()
        else:
            listener.listen()
            return listener, f"{directory}/engine"
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


def _end_process(broken: threading.ExceptHookArgs) -> None:
    """A thread that broke would leave clients waiting for ever; the parent replaces a process that ended."""
    traceback.print_exception(broken.exc_value)
    os._exit(1)


def _follow_parent(stdin: BinaryIO, address: str | int) -> None:
    """End at once when the parent does. Its answers are lost with it; there is nothing else to save."""
    while stdin.read(4096):
        pass
    if isinstance(address, str):
        with contextlib.suppress(OSError):
            Path(address).unlink()
            Path(address).parent.rmdir()
    os._exit(0)


if __name__ == "__main__":
    main()
