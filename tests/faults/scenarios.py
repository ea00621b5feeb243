"""The scenarios: what callers do with jobs while vendors work and time passes."""

from __future__ import annotations

import asyncio

from musicgate.gateway.idempotency import IdempotencyKey
from tests.faults.scenario_run import DEADLINE_S, MARGIN_S, Scenario, ScenarioRun

_ONE = {"one": {"priority": 1}}
_TWO = {"one": {"priority": 1}, "two": {"priority": 2}}
_NARROW = {"one": {"priority": 1, "max_parallel_creates": 1}}
_BLOCKING = {"one": {"priority": 1, "blocking": True}}
_CALLING = {"one": {"priority": 1, "callbacks": True}}
_PUBLIC = "https://gate.test"
#: Until everything that began has ended, a call that hung included.
_TO_THE_END_S = DEADLINE_S + MARGIN_S


async def create_at_once(run: ScenarioRun) -> None:
    """A create call, polls until the end, two tracks."""
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def create_that_queues(run: ScenarioRun) -> None:
    """Three requests at a vendor that takes one call at a time."""
    run.vendors.create_s = 8.0
    async with run.gateway():
        await asyncio.gather(*(run.request(prompt, wait_s=1.0) for prompt in "abc"))
        await run.rest(_TO_THE_END_S)


async def blocking_vendor(run: ScenarioRun) -> None:
    """A vendor whose create call lasts as long as the song and brings the audio as bytes."""
    async with run.gateway():
        await run.request("a", wait_s=2.0)
        await run.rest(_TO_THE_END_S)


async def fallback(run: ScenarioRun) -> None:
    """The first vendor has no credits left."""
    run.vendors.refusals["one"] = [{"no": "credits"}]
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def busy_vendor(run: ScenarioRun) -> None:
    """A vendor that is busy at first, and callers who do not wait."""
    run.vendors.refusals["one"] = [{"no": "rate_limited", "retry_after_s": 3}]
    async with run.gateway():
        await asyncio.gather(*(run.request(prompt, wait_s=0.2) for prompt in "ab"))
        await run.rest(_TO_THE_END_S)


async def lost_answer(run: ScenarioRun) -> None:
    """The answer to the create call is lost, and the vendor has no way to call back."""
    run.vendors.loses.add("one")
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def adoption(run: ScenarioRun) -> None:
    """The answer to the create call is lost; the vendor's callback brings the id."""
    run.vendors.loses.add("one")
    run.call_back_later(40.0)
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def never_done(run: ScenarioRun) -> None:
    """The vendor never finishes; the deadline ends the job."""
    run.vendors.work_s = 1e9
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def lost_for_good(run: ScenarioRun) -> None:
    """The answer to the create call is lost, and no callback comes; the deadline ends the job."""
    run.vendors.loses.add("one")
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def callback(run: ScenarioRun) -> None:
    """The vendor calls when the song is done."""
    run.call_back_later(25.0)
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def broken_link(run: ScenarioRun) -> None:
    """A media link that fails at first."""
    run.vendors.broken_links = 3
    async with run.gateway():
        await run.request("a")
        await run.rest(_TO_THE_END_S)


async def cancel_while_queued(run: ScenarioRun) -> None:
    """A job is cancelled while it waits for a slot."""
    run.vendors.create_s = 8.0
    async with run.gateway() as gate:
        await asyncio.gather(*(run.request(prompt, wait_s=1.0) for prompt in "ab"))
        for answer in list(run.answers):
            if answer.job is not None:
                job_id = answer.job.id
                await run.stop(lambda: gate.cancel(job_id))  # noqa: B023 - awaited at once
        await run.rest(_TO_THE_END_S)


async def cancel_in_flight(run: ScenarioRun) -> None:
    """A job is cancelled while its create call is in flight; the answer brings an id all the same."""
    async with run.gateway() as gate:
        creating = asyncio.create_task(run.request("a"))
        await asyncio.sleep(0.5)
        for job in await run.store.open_jobs("", 10):
            await run.stop(lambda: gate.cancel(job.id))  # noqa: B023 - awaited at once
        await creating
        await run.rest(_TO_THE_END_S)


async def cancel_in_progress(run: ScenarioRun) -> None:
    """A job is cancelled while the vendor works on it."""
    async with run.gateway() as gate:
        job = (await run.request("a")).job
        if job is not None:
            await run.stop(lambda: gate.cancel(job.id))
        await run.rest(_TO_THE_END_S)


async def delivered_during_cancel(run: ScenarioRun) -> None:
    """The song is delivered while the vendor is asked to cancel it."""

    async def deliver(_: object) -> None:
        await asyncio.sleep(25.0)

    run.vendors.on_stop = deliver
    run.vendors.broken_links = 12  # delivered, and not settled yet
    async with run.gateway() as gate:
        job = (await run.request("a")).job
        if job is not None:
            await asyncio.sleep(10.0)
            await run.stop(lambda: gate.cancel(job.id))
        await run.rest(_TO_THE_END_S)


async def delete_open(run: ScenarioRun) -> None:
    """An open job is deleted."""
    async with run.gateway() as gate:
        job = (await run.request("a")).job
        if job is not None:
            run.deleted.add(job.id)
            await run.attempt(lambda: gate.delete(job.id))
        await run.rest(_TO_THE_END_S)


async def delete_in_flight(run: ScenarioRun) -> None:
    """A job is deleted while its blocking create call is in flight."""
    async with run.gateway() as gate:
        job = (await run.request("a", wait_s=1.0)).job
        if job is not None:
            run.deleted.add(job.id)
            await run.attempt(lambda: gate.delete(job.id))
        await run.rest(_TO_THE_END_S)


async def close_and_reopen(run: ScenarioRun) -> None:
    """The gateway is closed while one call is in flight and two jobs wait, and opened again."""
    run.vendors.create_s = 8.0
    async with run.gateway():
        await asyncio.gather(*(run.request(prompt, wait_s=1.0) for prompt in "abc"))
    async with run.gateway():
        await run.rest(_TO_THE_END_S)


async def close_in_flight(run: ScenarioRun) -> None:
    """The gateway is closed during a blocking call; its answer is lost."""
    async with run.gateway():
        await run.request("a", wait_s=1.0)
    async with run.gateway():
        await run.rest(_TO_THE_END_S)


async def duplicate(run: ScenarioRun) -> None:
    """Two calls with one idempotency key at once, and a third one later."""
    key = IdempotencyKey(route="create", key="k", fingerprint="f")
    async with run.gateway():
        await asyncio.gather(*(run.request("a", idempotency=key) for _ in range(2)))
        await run.request("a", idempotency=key)
        await run.rest(_TO_THE_END_S)


async def caller_hangs_up(run: ScenarioRun) -> None:
    """The caller hangs up during the create call."""
    async with run.gateway():
        creating = asyncio.create_task(run.request("a"))
        await asyncio.sleep(0.4)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await run.rest(_TO_THE_END_S)


SCENARIOS = (
    Scenario("create_at_once", create_at_once, _ONE),
    Scenario("create_that_queues", create_that_queues, _NARROW),
    Scenario("blocking_vendor", blocking_vendor, _BLOCKING, blocking=True),
    Scenario("fallback", fallback, _TWO),
    Scenario("busy_vendor", busy_vendor, _NARROW),
    Scenario("lost_answer", lost_answer, _ONE),
    Scenario("adoption", adoption, _CALLING, public_url=_PUBLIC),
    Scenario("never_done", never_done, _ONE, may_lose=True, deadline_s=45.0),
    Scenario("lost_for_good", lost_for_good, _CALLING, public_url=_PUBLIC, may_lose=True),
    Scenario("callback", callback, _CALLING, public_url=_PUBLIC),
    Scenario("broken_link", broken_link, _ONE),
    Scenario("cancel_while_queued", cancel_while_queued, _NARROW),
    Scenario("cancel_in_flight", cancel_in_flight, _ONE),
    Scenario("cancel_in_progress", cancel_in_progress, _ONE),
    Scenario("delivered_during_cancel", delivered_during_cancel, _ONE),
    Scenario("delete_open", delete_open, _ONE),
    Scenario("delete_in_flight", delete_in_flight, _BLOCKING, blocking=True),
    Scenario("close_and_reopen", close_and_reopen, _NARROW),
    Scenario("close_in_flight", close_in_flight, _BLOCKING, blocking=True, may_lose=True),
    Scenario("duplicate", duplicate, _ONE),
    Scenario("caller_hangs_up", caller_hangs_up, _ONE),
)
