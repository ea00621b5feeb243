"""``python -m tests.crash --kills 300 --seed 1``: a campaign and its audit."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from musicgate.hosting.discovery import load_plugins
from tests.crash import audit, scenarios
from tests.crash.campaign import Campaign
from tests.crash.harness import DEADLINE_S, make_harness

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def main() -> int:
    """Run the campaign and its audit, and print both; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--faults", action="store_true", help="also disturb the server in other ways, and try single faults"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="FAULT",
        help="try only this single fault; may be repeated",
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="musicgate-crash-") as folder:
        campaign, found = asyncio.run(
            run(Path(folder), arguments.kills, arguments.seed, faults=arguments.faults)
        )
        ends = audit.summary(campaign)
    print(f"{arguments.kills} kills, seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    _table("killed at", campaign.kills)
    _table("disturbed by", campaign.disturbed)
    _table("open jobs caught while", campaign.caught)
    _table(f"{len(campaign.requests)} requests ended", ends)
    _table(f"{len(campaign.answers)} answers to callers", _kinds(campaign))
    twice = sum(count > 1 for count in campaign.harness.receiver.messages.values())
    print(f"webhook messages: {len(campaign.harness.receiver.messages)}, of which more than once: {twice}")
    print(f"nonsense sent by vendors: {sum(v.nonsense_sent for v in campaign.harness.vendors.values())}")
    print(f"owners of open jobs: {campaign.owners}")
    for complaint in found:
        print(f"DISAGREEMENT {complaint}")
    if arguments.faults:
        found += _try_faults(arguments.only)
    print("store, vendors, callers and customers agree" if not found else f"{len(found)} disagreements")
    return 1 if found else 0


def _kinds(campaign: Campaign) -> Mapping[str, int]:
    """Answers by status and state of the job."""
    return Counter(
        f"{answer.status} {'nothing was stored' if answer.is_refusal else answer.state or 'job'}"
        for answers in campaign.answers.by_request.values()
        for answer in answers
    )


def _try_faults(only: Collection[str]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="musicgate-faults-") as folder:
        findings = asyncio.run(scenarios.run_all(Path(folder), load_plugins(), only))
    print(f"\n{'fault':<28} result")
    for finding in findings:
        print(f"{finding.fault:<28} {'' if finding.is_good else 'NOT GOOD: '}{finding.result}")
    return [f"{finding.fault}: {finding.result}" for finding in findings if not finding.is_good]


async def run(folder: Path, kills: int, seed: int, *, faults: bool = False) -> tuple[Campaign, list[str]]:
    """Run a campaign in a folder; the campaign and the disagreements."""
    async with make_harness(folder, load_plugins()) as harness:
        campaign = Campaign(harness, seed, faults=faults)
        await campaign.run(kills)
        await campaign.settle(DEADLINE_S + 30)
        found = await audit.disagreements(campaign)
        await harness.stop()
        return campaign, found


def _table(title: str, counts: Mapping[str, int]) -> None:
    print(f"\n{title}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"  {name:<40} {count:>5}")


if __name__ == "__main__":
    sys.exit(main())
