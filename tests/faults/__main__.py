"""``python -m tests.faults``: play lives with faults and print what was found; ends non-zero when anything was."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.campaign import new_store, run
from tests.faults.lives import SCRIPTS


def main() -> int:
    """Play, report, and say how it went."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--pairs", type=int, default=0, help="pairs of faults a life (default: each single fault)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which pairs (default: 1)")
    parser.add_argument("--life", action="append", help="only this life; may be given again")
    parser.add_argument("--show", type=int, default=10, help="findings to print a life (default: 10)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started, total, found = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        template = new_store(Path(name))
        for script in SCRIPTS:
            if args.life and script.name not in args.life:
                continue
            plays, findings = run(script, Path(name), template, pairs=args.pairs, seed=args.seed)
            total, found = total + plays, found + len(findings)
            print(f"{script.name:26} {plays:6} plays {len(findings):5} findings", flush=True)
            kinds = Counter(text[:60] for finding in findings for text in finding.texts)
            for text, count in kinds.most_common():
                print(f"    {count:5} {text}")
            for finding in findings[: args.show]:
                print(f"      {finding}")
    print(f"{total} plays, {found} with findings, {time.monotonic() - started:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
