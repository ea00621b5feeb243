"""``python -m tests.faults``: run scenarios with injected faults; exits with 1 on findings."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.faults.campaign import new_store, run
from tests.faults.scenarios import SCENARIOS


def main() -> int:
    """Run the campaign that the arguments ask for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "--pairs", type=int, default=0, help="pairs of faults per scenario (default: each single fault)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which pairs (default: 1)")
    parser.add_argument("--scenario", action="append", help="only this scenario; may be repeated")
    parser.add_argument("--show", type=int, default=10, help="findings to print per scenario (default: 10)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started, total, found = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        template = new_store(Path(name))
        for scenario in SCENARIOS:
            if args.scenario and scenario.name not in args.scenario:
                continue
            runs, findings = run(scenario, Path(name), template, pairs=args.pairs, seed=args.seed)
            total, found = total + runs, found + len(findings)
            print(f"{scenario.name:26} {runs:6} runs {len(findings):5} findings", flush=True)
            kinds = Counter(text[:60] for finding in findings for text in finding.texts)
            for text, count in kinds.most_common():
                print(f"    {count:5} {text}")
            for finding in findings[: args.show]:
                print(f"      {finding}")
    print(f"{total} runs, {found} with findings, {time.monotonic() - started:.0f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
