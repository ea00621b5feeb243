"""``musicgate`` with cProfile: SIGUSR1 begins a profile, SIGUSR2 writes it to the first argument."""

from __future__ import annotations

import cProfile
import signal
import sys
from pathlib import Path

from musicgate.cli import main


def run() -> None:
    """Run the command line with the rest of the arguments."""
    file = Path(sys.argv.pop(1))
    profiler = cProfile.Profile()

    def write(*_: object) -> None:
        profiler.disable()
        partial = file.with_suffix(".partial")
        profiler.dump_stats(partial)
        partial.replace(file)

    signal.signal(signal.SIGUSR1, lambda *_: profiler.enable())
    signal.signal(signal.SIGUSR2, write)
    main()


if __name__ == "__main__":
    run()
