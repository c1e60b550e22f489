"""The program ``myna``, also as ``python -m myna``."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # before all imports that take time: see `myna.cli.interrupts`

from myna.cli import main

if __name__ == "__main__":
    main()
