"""``musicgate`` whose event loop SIGUSR1 blocks for as many seconds as the first argument says."""

from __future__ import annotations

import signal
import sys
import time

from musicgate.cli import main


def run() -> None:
    """Run the command line with the rest of the arguments."""
    seconds = float(sys.argv.pop(1))
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(seconds))
    main()


if __name__ == "__main__":
    run()
