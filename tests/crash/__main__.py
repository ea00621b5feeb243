"""``python -m tests.crash --kills 300 --seed 1``: a campaign and its audit.

With ``--store postgres --replicas 3`` several servers on one PostgreSQL, of which some are killed or stopped.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicgate.hosting.discovery import load_plugins
from tests.crash import audit, replica_audit, scenarios
from tests.crash.campaign import Campaign
from tests.crash.harness import DEADLINE_S, SPEED, make_harness
from tests.crash.owners import LOOKED_FOR_S, TIMEOUT_S
from tests.crash.replicas import ACCOUNTS, PROVIDERS, ReplicaCampaign, limited
from tests.postgres_servers import postgres

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Mapping

    from tests.postgres_servers import Postgres


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
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--replicas", type=int, default=1, help="servers on one PostgreSQL")
    parser.add_argument(
        "--heartbeat", type=float, default=3.0, help="seconds after which a silent server counts as dead"
    )
    parser.add_argument("--keep", type=Path, help="a folder for the logs of the servers")
    arguments = parser.parse_args()
    if arguments.replicas > 1 and arguments.store != "postgres":
        parser.error("several servers need --store postgres")
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = arguments.keep or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="musicgate-crash-"))
        )
        folder.mkdir(parents=True, exist_ok=True)
        database = stack.enter_context(postgres()) if arguments.store == "postgres" else None
        work: Coroutine[Any, Any, tuple[Campaign, list[str]]]
        if database is not None and arguments.replicas > 1:
            work = run_replicas(
                folder,
                arguments.kills,
                arguments.seed,
                database,
                replicas=arguments.replicas,
                heartbeat_s=arguments.heartbeat,
                faults=arguments.faults,
            )
        else:
            work = run(
                folder,
                arguments.kills,
                arguments.seed,
                faults=arguments.faults,
                database=database,
                heartbeat_s=arguments.heartbeat,
            )
        campaign, found = asyncio.run(work)
    _print(campaign)
    print(f"{arguments.kills} kills, seed {arguments.seed}, {time.monotonic() - started:.0f} s")
    for complaint in found:
        print(f"DISAGREEMENT {complaint}")
    if arguments.faults and arguments.store == "sqlite":
        found += _try_faults(arguments.only)
    print("store, vendors, callers and customers agree" if not found else f"{len(found)} disagreements")
    return 1 if found else 0


def _print(campaign: Campaign) -> None:
    _table("killed at", campaign.kills)
    if isinstance(campaign, ReplicaCampaign):
        _table("stopped at", campaign.stops)
        _table("disturbed by", campaign.restarts)
    else:
        _table("disturbed by", campaign.disturbed)
    _table("open jobs caught while", campaign.caught)
    _table(f"{len(campaign.requests)} requests ended", campaign.ends)
    _table(f"{len(campaign.answers)} answers to callers", _kinds(campaign))
    refused = {
        f"{account}: {reason}": count for (account, reason), count in campaign.reasons.items() if count
    }
    _table("errors by account and reason", refused)
    twice = sum(count > 1 for count in campaign.harness.receiver.messages.values())
    print(f"webhook messages: {len(campaign.harness.receiver.messages)}, of which more than once: {twice}")
    print(f"nonsense sent by vendors: {sum(v.nonsense_sent for v in campaign.harness.vendors.values())}")
    print(f"owners of open jobs: {campaign.owners}")
    for line in campaign.report:
        print(line)


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


async def run(
    folder: Path,
    kills: int,
    seed: int,
    *,
    faults: bool = False,
    database: Postgres | None = None,
    heartbeat_s: float = 3.0,
) -> tuple[Campaign, list[str]]:
    """Run a campaign of one server in a folder; the campaign and the disagreements."""
    store = {"heartbeat_s": heartbeat_s}
    async with make_harness(folder, load_plugins(), postgres=database, store=store) as harness:
        # On PostgreSQL a server follows the jobs of a killed one when that counts as dead.
        owned_s = TIMEOUT_S if database is None else heartbeat_s + LOOKED_FOR_S
        campaign = Campaign(harness, seed, faults=faults, owned_s=owned_s)
        await campaign.run(kills)
        await campaign.settle(DEADLINE_S + 30)
        found = await audit.disagreements(campaign)
        campaign.ends = await audit.summary(campaign)
        await harness.stop()
        return campaign, found


async def run_replicas(
    folder: Path,
    kills: int,
    seed: int,
    database: Postgres,
    *,
    replicas: int = 3,
    heartbeat_s: float = 3.0,
    slow_s: float = 3.0,
    faults: bool = False,
) -> tuple[ReplicaCampaign, list[str]]:
    """Run a campaign of several servers on one database; the campaign and the disagreements."""
    plugins = load_plugins()
    async with make_harness(
        folder,
        plugins,
        postgres=database,
        replicas=replicas,
        accounts=ACCOUNTS,
        providers=PROVIDERS,
        store={"heartbeat_s": heartbeat_s},
    ) as harness:
        campaign = ReplicaCampaign(
            harness,
            seed,
            faults=faults,
            heartbeat_s=heartbeat_s,
            slow_s=slow_s,
            owned_s=heartbeat_s + LOOKED_FOR_S,
        )
        await campaign.run(kills)
        await campaign.settle(DEADLINE_S + 30)
        found = await audit.disagreements(campaign)
        campaign.ends = await audit.summary(campaign)
        declared = {name: limited(name, plugins.providers[name].provider) for name in harness.vendors}
        report = await replica_audit.report(campaign, declared, SPEED)
        campaign.report = list(replica_audit.lines(report))
        timeline = "\n".join(replica_audit.timeline(campaign))
        (folder / "timeline.txt").write_text(timeline, "utf-8")
        await harness.stop()
        return campaign, found + report.found


def _table(title: str, counts: Mapping[str, int]) -> None:
    print(f"\n{title}")
    for name, count in sorted(counts.items(), key=lambda item: -item[1]):
        print(f"  {name:<40} {count:>5}")


if __name__ == "__main__":
    sys.exit(main())
