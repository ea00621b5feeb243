"""``python -m tests.crash --kills 300 --seed 1``: a campaign, then the books; ends non-zero when they disagree."""

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
from tests.crash import books, scenarios
from tests.crash.campaign import Campaign
from tests.crash.world import DEADLINE_S, make_world

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--faults", action="store_true", help="disturb the server otherwise, too, and play single faults"
    )
    parser.add_argument("--only", action="append", default=[], metavar="FAULT", help="of the single faults")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="musicgate-crash-") as folder:
        campaign, found = asyncio.run(
            run(Path(folder), arguments.kills, arguments.seed, faults=arguments.faults)
        )
        ends = books.summary(campaign)
    print(f"{arguments.kills} kills, seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    _table("killed at", campaign.kills)
    _table("disturbed by", campaign.disturbed)
    _table("open jobs caught while", campaign.caught)
    _table(f"{len(campaign.requests)} requests ended", ends)
    _table(f"{len(campaign.answers)} answers to callers", _kinds(campaign))
    twice = sum(count > 1 for count in campaign.world.receiver.messages.values())
    print(f"webhook messages: {len(campaign.world.receiver.messages)}, of which more than once: {twice}")
    print(f"nonsense told by vendors: {sum(v.nonsense_told for v in campaign.world.vendors.values())}")
    print(f"owners of open jobs: {campaign.owners}")
    for complaint in found:
        print(f"DISAGREEMENT {complaint}")
    if arguments.faults:
        found += _play_faults(arguments.only)
    print("the books agree" if not found else f"the books disagree in {len(found)} places")
    return 1 if found else 0


def _kinds(campaign: Campaign) -> Mapping[str, int]:
    """Answers by status and what they say."""
    return Counter(
        f"{told.status} {'nothing was stored' if told.is_refusal else told.state or 'job'}"
        for answers in campaign.answers.told.values()
        for told in answers
    )


def _play_faults(only: Collection[str]) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="musicgate-faults-") as folder:
        findings = asyncio.run(scenarios.run_all(Path(folder), load_plugins(), only))
    print(f"\n{'fault':<28} result")
    for finding in findings:
        print(f"{finding.fault:<28} {'' if finding.is_good else 'NOT GOOD: '}{finding.result}")
    return [f"{finding.fault}: {finding.result}" for finding in findings if not finding.is_good]


async def run(folder: Path, kills: int, seed: int, *, faults: bool = False) -> tuple[Campaign, list[str]]:
    """One campaign in a folder, and what the books say after it."""
    async with make_world(folder, load_plugins()) as world:
        campaign = Campaign(world, seed, faults=faults)
        await campaign.run(kills)
        await campaign.settle(DEADLINE_S + 30)
        found = books.disagreements(campaign)
        await world.stop()
        return campaign, found


def _table(title: str, counts: Mapping[str, int]) -> None:
    print(f"\n{title}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"  {name:<40} {count:>5}")


if __name__ == "__main__":
    sys.exit(main())
