"""What only several servers can break: one owner a share, the limits of accounts and vendors."""

from __future__ import annotations

import math
import statistics
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from musicgate.model import FailureClass, share_of
from tests.crash.campaign import ANSWER_LOST, description, number_of
from tests.crash.limits import most_amount, most_at_once, most_within
from tests.crash.replicas import CALLS_A_MINUTE, OPEN_JOBS, SONG_USD, SONGS_A_DAY
from tests.crash.watch import AskedPoll, StalePolls, stale_polls

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from musicgate.model import Job, Provider
    from tests.crash.outside import CreateCall
    from tests.crash.replicas import ReplicaCampaign
    from tests.crash.server import Life, Server

#: How much longer than ``heartbeat_s`` a share may be followed by none.
FOLLOWED_S = 2.0
_MOMENT_S = 0.001
#: How soon after SIGCONT a call leaves that was being made at SIGSTOP.
_GOING_ON_S = 1.0
#: How long the servers may need to connect to PostgreSQL again.
_RECONNECT_S = 8.0
_USD_NANOS = 1e9


@attrs.define
class Report:
    """What was seen of shares and limits.

    Attributes:
        followed_s: how long shares were without an owner, by what had happened to it.
        most: the most that was seen of each limited thing, and the limit.
        excused: the same with what is allowed to exceed it.
        late_s: how long the harness itself did nothing.
        found: complaints.
    """

    polls: StalePolls = attrs.field(factory=StalePolls)
    followed_s: dict[str, list[float]] = attrs.field(factory=dict)
    most: dict[str, tuple[float, float]] = attrs.field(factory=dict)
    late_s: float = 0.0
    excused: dict[str, float] = attrs.field(factory=dict)
    found: list[str] = attrs.field(factory=list)


async def report(campaign: ReplicaCampaign, providers: Mapping[str, Provider], speed: float) -> Report:
    """Compare the records of vendors, callers and the watch.

    Args:
        providers: the declarations, as the settings change them.
    """
    jobs = await campaign.harness.books.jobs()
    result = Report(found=[*campaign.trouble, *campaign.watch.found], late_s=campaign.late_s)
    result.polls = stale_polls(_polls(campaign, jobs), campaign.watch.holdings)
    result.found += list(dict.fromkeys(result.polls.found))[:20]
    result.found += _unexplained(campaign, jobs)
    result.found += _made_twice(campaign, jobs)
    _note_followed(campaign, result)
    _note_accounts(campaign, jobs, result)
    _note_vendors(campaign, providers, speed, result)
    for name, (most, limit) in result.most.items():
        if most > limit:
            result.found.append(f"{name}: {most:g}, and {limit:g} are allowed")
    return result


def _polls(campaign: ReplicaCampaign, jobs: Sequence[Job]) -> Iterator[AskedPoll]:
    """The polls of tasks that are known to be some job's."""
    job_of = {
        attempt.native_id: job.id for job in jobs for attempt in job.attempts if attempt.native_id is not None
    }
    servers = {server.name: server for server in campaign.harness.servers}
    for vendor in campaign.harness.vendors.values():
        for poll in vendor.polls:
            if (job_id := job_of.get(poll.task)) and (life := _life(servers[poll.server], poll.at_s)):
                yield AskedPoll(life, share_of(job_id), poll.at_s)


def _life(server: Server, at_s: float) -> Life | None:
    """The process of a server at a time."""
    return next((life for life in reversed(server.lives) if life.began_s <= at_s), None)


def _made_twice(campaign: ReplicaCampaign, jobs: Sequence[Job]) -> Iterator[str]:
    """Which replicas asked for the same song, and when: more about a complaint of `audit`."""
    servers = {server.name: server for server in campaign.harness.servers}
    by_number = {number_of(job): job for job in jobs}
    for name, vendor in campaign.harness.vendors.items():
        for number, tasks in vendor.made_for.items():
            if len(tasks) > 1:
                calls = [call for call in vendor.creates if set(call.made) & set(tasks)]
                by = [
                    f"{_clock(call.began_s)} {call.server}"
                    f" {getattr(_life(servers[call.server], call.began_s), 'replica', '')[:8]}"
                    for call in calls
                ]
                yield f"request {number} was made by {name} at {by}; its job: {by_number.get(number)}"


def _unexplained(campaign: ReplicaCampaign, jobs: Sequence[Job]) -> Iterator[str]:
    """Jobs whose outcome is unknown although their sender was there, and their vendor answered."""
    confused = set[int]().union(*(vendor.confused for vendor in campaign.harness.vendors.values()))
    lives = {life.replica: life for server in campaign.harness.servers for life in server.lives}
    ahead_s = time.time() - time.monotonic()
    for job in jobs:
        is_unknown = job.failure is not None and job.failure.reason is FailureClass.UNKNOWN_OUTCOME
        number = number_of(job)
        if not is_unknown or number in confused or campaign.requests[number] == ANSWER_LOST:
            continue
        life = lives.get(job.sender)
        ended_s = _ended_at(job) - ahead_s
        was_there = life is not None and not (
            (life.is_killed and life.ended_s <= ended_s) or any(from_s <= ended_s for from_s, _ in life.stops)
        )
        if was_there:
            yield f"{description(job)}: its outcome is unknown, and its sender was neither killed nor stopped"


def _note_followed(campaign: ReplicaCampaign, result: Report) -> None:
    """How long it took until the shares of a server that was killed or stopped were another one's."""
    heartbeat_s = campaign.heartbeat_s
    for server in campaign.harness.servers:
        for life in server.lives:
            losses = [("SIGSTOP", from_s, until_s) for from_s, until_s in life.stops]
            if life.is_killed:
                losses.append(("SIGKILL", life.ended_s, math.inf))
            elif not math.isinf(life.asked_s):
                losses.append(("SIGTERM", life.asked_s, math.inf))
            for kind, from_s, until_s in losses:
                longest_s = FOLLOWED_S + (0.0 if kind == "SIGTERM" else heartbeat_s)
                if until_s < from_s + longest_s:
                    continue  # it went on in time
                _note_loss(campaign, result, kind, life.replica, from_s, longest_s)


def _note_loss(
    campaign: ReplicaCampaign, result: Report, kind: str, replica: str, from_s: float, longest_s: float
) -> None:
    late: list[float] = []
    for share in campaign.watch.held_at(replica, from_s):
        took_s = campaign.watch.followed_s(share, replica, from_s)
        until_s = from_s + min(took_s, 3 * (FOLLOWED_S + campaign.heartbeat_s))
        allowed_s = campaign.slow_s + _excuse_s(campaign, from_s, until_s)
        lost_s = last_loss_s(campaign.lives, replica, from_s, until_s)
        allowed_s += longest_s if lost_s is None else lost_s - from_s + FOLLOWED_S + campaign.heartbeat_s
        if took_s <= longest_s + campaign.slow_s:
            result.followed_s.setdefault(kind, []).append(took_s)
        elif took_s > allowed_s:
            late.append(took_s)
    if late:
        result.found.append(
            f"{len(late)} shares of {replica} were followed {min(late):.1f} to {max(late):.1f} s after {kind},"
            f" and {longest_s:g} s are allowed"
        )


def last_loss_s(lives: Iterable[Life], replica: str, from_s: float, until_s: float) -> float | None:
    """When another replica was killed or stopped in between last; it may just have taken the shares."""
    losses = [
        at_s
        for life in lives
        if life.replica != replica
        for at_s in (
            *(stopped_s for stopped_s, _ in life.stops),
            life.ended_s if life.is_killed else math.inf,
        )
    ]
    return max((at_s for at_s in losses if from_s < at_s < until_s), default=None)


def _excuse_s(campaign: ReplicaCampaign, from_s: float, until_s: float) -> float:
    """Seconds in between in which PostgreSQL was down, or had just started."""
    away = [(down_s, up_s + _RECONNECT_S) for down_s, up_s in campaign.away]
    return sum(max(0.0, min(until_s, end_s) - max(from_s, start_s)) for start_s, end_s in away)


def _note_accounts(campaign: ReplicaCampaign, jobs: Sequence[Job], result: Report) -> None:
    of: dict[str, list[Job]] = {}
    for job in jobs:
        of.setdefault(job.account, []).append(job)
    asked = [
        (campaign.asked_at[number_of(job)].timestamp(), job.created_at.timestamp())
        for job in of.get("rate", ())
    ]
    result.most["calls in a minute"] = (most_within(asked, 60.0), CALLS_A_MINUTE)
    spans = [(job.created_at.timestamp(), _ended_at(job)) for job in of.get("open", ())]
    seen = campaign.watch.most_open["open"]
    result.most["open jobs of an account"] = (max(most_at_once(spans), seen), OPEN_JOBS)
    spent = [
        (job.created_at.timestamp(), _ended_at(job), SONG_USD, _cost_usd(job)) for job in of.get("budget", ())
    ]
    result.most["dollars of a day"] = (round(most_amount(spent), 4), round(SONG_USD * SONGS_A_DAY, 4))


def _ended_at(job: Job) -> float:
    return (job.completed_at or job.updated_at).timestamp() if job.state.is_final else math.inf


def _cost_usd(job: Job) -> float:
    nanos = job.usage.total_usd_nanos if job.usage is not None else None
    return 0.0 if nanos is None else nanos / _USD_NANOS


def _note_vendors(
    campaign: ReplicaCampaign, providers: Mapping[str, Provider], speed: float, result: Report
) -> None:
    servers = {server.name: server for server in campaign.harness.servers}
    for name, vendor in campaign.harness.vendors.items():
        declared = providers[name]
        if declared.create_window is not None:
            window = declared.create_window
            per_s = window.per_s / speed
            calls = [
                call for call in vendor.creates if not _has_just_gone_on(call, servers, campaign.heartbeat_s)
            ]
            most = most_within(((call.began_s, call.began_s) for call in calls), per_s)
            result.most[f"calls in a window of {name}"] = (most, window.calls)
            most = most_within(((call.began_s, call.began_s) for call in vendor.creates), per_s)
            result.excused[f"calls in a window of {name}, with those of servers that had just gone on"] = most
            result.found += _beyond(name, calls, per_s, window.calls, servers)
        if declared.max_parallel_creates is not None:
            spans, counted, told = [], [], []
            for call in vendor.creates:
                life = _life(servers[call.server], call.began_s)
                # One that is refused at once counts as well, at this moment.
                end_s = max(
                    min(call.ends_s, math.inf if life is None else life.ended_s), call.began_s + _MOMENT_S
                )
                spans.append((call.began_s, end_s))
                silent_s = _silent_from(life, call.began_s, end_s, campaign.heartbeat_s)
                counted.append((call.began_s, min(end_s, silent_s)))
                told.append(f"{_clock(call.began_s)} to {_clock(end_s)} {call.server}")
            result.most[f"calls at a time at {name}"] = (most_at_once(counted), declared.max_parallel_creates)
            result.found += _at_once(name, counted, told, declared.max_parallel_creates)
            result.excused[f"calls at a time at {name}, with those of silent servers"] = most_at_once(spans)


def _has_just_gone_on(call: CreateCall, servers: Mapping[str, Server], heartbeat_s: float) -> bool:
    """True if its server was stopped, and taken for dead, after its last look at the slot.

    That is between two lines of the server, and nothing but the vendor could hold such a call back.
    """
    life = _life(servers[call.server], call.began_s)
    return life is not None and any(
        until_s - from_s > heartbeat_s and until_s <= call.began_s < until_s + _GOING_ON_S
        for from_s, until_s in life.stops
    )


def _beyond(
    name: str, calls: Sequence[CreateCall], per_s: float, allowed: int, servers: Mapping[str, Server]
) -> Iterator[str]:
    """Which calls are too many, by which replicas, and when."""
    for place, last in enumerate(calls):
        inside = [call for call in calls[: place + 1] if call.began_s > last.began_s - per_s]
        if len(inside) > allowed:
            by = []
            for call in inside:
                life = _life(servers[call.server], call.began_s)
                by.append(f"{_clock(call.began_s)} {call.server} {'' if life is None else life.replica[:8]}")
            yield f"too many calls at {name} in {per_s:.2f} s: {by}"


def _at_once(
    name: str, spans: Sequence[tuple[float, float]], told: Sequence[str], allowed: int
) -> Iterator[str]:
    """Which calls are too many at a time."""
    for began_s, _ in spans:
        running = [place for place, (from_s, until_s) in enumerate(spans) if from_s <= began_s < until_s]
        if len(running) > allowed:
            yield f"too many calls at a time at {name}: {[told[place] for place in running]}"


def _clock(steady_s: float) -> str:
    """The time of day of a steady one."""
    return f"{datetime.fromtimestamp(steady_s - time.monotonic() + time.time(), UTC):%H:%M:%S.%f}"


def _silent_from(life: Life | None, began_s: float, ended_s: float, heartbeat_s: float) -> float:
    """Since when a server counted as dead that was stopped during a call: then another call was allowed."""
    stops: Iterable[tuple[float, float]] = () if life is None else life.stops
    times = [from_s + heartbeat_s for from_s, until_s in stops if from_s < ended_s and until_s > began_s]
    return max(began_s, min(times, default=math.inf))


def lines(result: Report) -> Iterator[str]:
    """The report as it is printed."""
    for kind, times in result.followed_s.items():
        yield (
            f"shares followed again after {kind}: {len(times)}, median {statistics.median(times):.1f} s,"
            f" at most {max(times):.1f} s"
        )
    yield (
        f"polls: {result.polls.polls}, by owners that had lost the share and were not told yet: {result.polls.untold},"
        f" after they were told: {len(result.polls.found)}"
    )
    for name, (most, limit) in result.most.items():
        yield f"most {name}: {most:g} of {limit:g}"
    for name, most in result.excused.items():
        yield f"most {name}: {most:g}"
    yield f"the harness itself was late by {result.late_s:.1f} s at most"


def timeline(campaign: ReplicaCampaign) -> Iterator[str]:
    """What happened when, with the times of the logs."""
    happened: list[tuple[float, str]] = []
    for server in campaign.harness.servers:
        for life in server.lives:
            name = f"{server.name} {life.replica[:8]}"
            happened += [(life.began_s, f"{name} begins"), (life.ready_s, f"{name} is ready")]
            happened += [(life.asked_s, f"{name} SIGTERM")]
            happened += [(life.ended_s, f"{name} {'SIGKILL' if life.is_killed else 'has ended'}")]
            for from_s, until_s in life.stops:
                happened += [(from_s, f"{name} SIGSTOP"), (until_s, f"{name} SIGCONT")]
    for from_s, until_s in campaign.away:
        happened += [(from_s, "PostgreSQL stops"), (until_s, "PostgreSQL runs")]
    happened += campaign.events
    moves: dict[tuple[float, str], list[int]] = {}
    for share, terms in campaign.watch.holdings.items():
        for held in terms:
            moves.setdefault((held.seen_s, held.replica), []).append(share)
    happened += [(at_s, f"{replica[:8]} holds {shares}") for (at_s, replica), shares in moves.items()]
    for at_s, text in sorted(happened):
        if not math.isinf(at_s):
            yield f"{_clock(at_s)} {text}"
