"""Lives of a job, as scripts: what a caller does, one after another; the vendors and the time do the rest."""

from __future__ import annotations

import asyncio

from musicgate.gateway.idempotency import IdempotencyKey
from tests.faults.stage import DEADLINE_S, MARGIN_S, Script, Stage

_ONE = {"one": {"priority": 1}}
_TWO = {"one": {"priority": 1}, "two": {"priority": 2}}
_NARROW = {"one": {"priority": 1, "max_parallel_creates": 1}}
_BLOCKING = {"one": {"priority": 1, "blocking": True}}
_CALLING = {"one": {"priority": 1, "callbacks": True}}
_PUBLIC = "https://gate.test"
#: Until everything that began has ended, also behind a call that hung.
_TO_THE_END_S = DEADLINE_S + MARGIN_S


async def create_at_once(stage: Stage) -> None:
    """A create call, polls to the end, two tracks."""
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def create_that_queues(stage: Stage) -> None:
    """Three requests at a vendor that takes one call at a time."""
    stage.studio.create_s = 8.0
    async with stage.opened():
        await asyncio.gather(*(stage.request(prompt, wait_s=1.0) for prompt in "abc"))
        await stage.rest(_TO_THE_END_S)


async def blocking_vendor(stage: Stage) -> None:
    """A vendor whose create call lasts as long as the song and brings the audio as bytes."""
    async with stage.opened():
        await stage.request("a", wait_s=2.0)
        await stage.rest(_TO_THE_END_S)


async def fallback(stage: Stage) -> None:
    """The first vendor has no credits left."""
    stage.studio.refusals["one"] = [{"no": "credits"}]
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def busy_vendor(stage: Stage) -> None:
    """A vendor that is too busy at first, and no caller who waits."""
    stage.studio.refusals["one"] = [{"no": "rate_limited", "retry_after_s": 3}]
    async with stage.opened():
        await asyncio.gather(*(stage.request(prompt, wait_s=0.2) for prompt in "ab"))
        await stage.rest(_TO_THE_END_S)


async def lost_answer(stage: Stage) -> None:
    """The answer to the create call is lost, and the vendor has no way to call back."""
    stage.studio.loses.add("one")
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def adoption(stage: Stage) -> None:
    """The answer to the create call is lost; the vendor's callback brings the id."""
    stage.studio.loses.add("one")
    stage.call_back_later(40.0)
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def never_done(stage: Stage) -> None:
    """The vendor works for ever, until the deadline."""
    stage.studio.work_s = 1e9
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def never_heard_of(stage: Stage) -> None:
    """The answer to the create call is lost, and the callback never comes, until the deadline."""
    stage.studio.loses.add("one")
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def callback(stage: Stage) -> None:
    """The vendor calls when the song is done."""
    stage.call_back_later(25.0)
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def broken_link(stage: Stage) -> None:
    """A media link that gives nothing at first."""
    stage.studio.broken_links = 3
    async with stage.opened():
        await stage.request("a")
        await stage.rest(_TO_THE_END_S)


async def cancel_while_queued(stage: Stage) -> None:
    """A job is cancelled that waits for a slot."""
    stage.studio.create_s = 8.0
    async with stage.opened() as gate:
        await asyncio.gather(*(stage.request(prompt, wait_s=1.0) for prompt in "ab"))
        for told in list(stage.told):
            if told.job is not None:
                job_id = told.job.id
                await stage.stop(lambda: gate.cancel(job_id))  # noqa: B023 - awaited at once
        await stage.rest(_TO_THE_END_S)


async def cancel_in_flight(stage: Stage) -> None:
    """A job is cancelled while its create call is in flight; the answer comes with an id all the same."""
    async with stage.opened() as gate:
        creating = asyncio.create_task(stage.request("a"))
        await asyncio.sleep(0.5)
        for job in await stage.store.open_jobs("", 10):
            await stage.stop(lambda: gate.cancel(job.id))  # noqa: B023 - awaited at once
        await creating
        await stage.rest(_TO_THE_END_S)


async def cancel_in_progress(stage: Stage) -> None:
    """A job is cancelled that the vendor works on."""
    async with stage.opened() as gate:
        job = (await stage.request("a")).job
        if job is not None:
            await stage.stop(lambda: gate.cancel(job.id))
        await stage.rest(_TO_THE_END_S)


async def delivered_during_cancel(stage: Stage) -> None:
    """The song is delivered while the vendor is told to stop."""

    async def deliver(_: object) -> None:
        await asyncio.sleep(25.0)

    stage.studio.on_stop = deliver
    stage.studio.broken_links = 12  # so that it is delivered and not settled yet
    async with stage.opened() as gate:
        job = (await stage.request("a")).job
        if job is not None:
            await asyncio.sleep(10.0)
            await stage.stop(lambda: gate.cancel(job.id))
        await stage.rest(_TO_THE_END_S)


async def delete_open(stage: Stage) -> None:
    """An open job is deleted."""
    async with stage.opened() as gate:
        job = (await stage.request("a")).job
        if job is not None:
            stage.deleted.add(job.id)
            await stage.attempt(lambda: gate.delete(job.id))
        await stage.rest(_TO_THE_END_S)


async def delete_in_flight(stage: Stage) -> None:
    """A job is deleted while its blocking create call is in flight."""
    async with stage.opened() as gate:
        job = (await stage.request("a", wait_s=1.0)).job
        if job is not None:
            stage.deleted.add(job.id)
            await stage.attempt(lambda: gate.delete(job.id))
        await stage.rest(_TO_THE_END_S)


async def close_and_reopen(stage: Stage) -> None:
    """The gateway is closed while one call is in flight and two jobs wait, and opened again."""
    stage.studio.create_s = 8.0
    async with stage.opened():
        await asyncio.gather(*(stage.request(prompt, wait_s=1.0) for prompt in "abc"))
    async with stage.opened():
        await stage.rest(_TO_THE_END_S)


async def close_in_flight(stage: Stage) -> None:
    """The gateway is closed in the middle of a blocking call, whose answer nobody will hear."""
    async with stage.opened():
        await stage.request("a", wait_s=1.0)
    async with stage.opened():
        await stage.rest(_TO_THE_END_S)


async def duplicate(stage: Stage) -> None:
    """Two calls with one idempotency key at once, and a third one later."""
    key = IdempotencyKey(route="create", key="k", fingerprint="f")
    async with stage.opened():
        await asyncio.gather(*(stage.request("a", idempotency=key) for _ in range(2)))
        await stage.request("a", idempotency=key)
        await stage.rest(_TO_THE_END_S)


async def caller_hangs_up(stage: Stage) -> None:
    """The caller goes away in the middle of the create call."""
    async with stage.opened():
        creating = asyncio.create_task(stage.request("a"))
        await asyncio.sleep(0.4)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await stage.rest(_TO_THE_END_S)


SCRIPTS = (
    Script("create_at_once", create_at_once, _ONE),
    Script("create_that_queues", create_that_queues, _NARROW),
    Script("blocking_vendor", blocking_vendor, _BLOCKING, blocking=True),
    Script("fallback", fallback, _TWO),
    Script("busy_vendor", busy_vendor, _NARROW),
    Script("lost_answer", lost_answer, _ONE),
    Script("adoption", adoption, _CALLING, public_url=_PUBLIC),
    Script("never_done", never_done, _ONE, may_lose=True, deadline_s=45.0),
    Script("never_heard_of", never_heard_of, _CALLING, public_url=_PUBLIC, may_lose=True),
    Script("callback", callback, _CALLING, public_url=_PUBLIC),
    Script("broken_link", broken_link, _ONE),
    Script("cancel_while_queued", cancel_while_queued, _NARROW),
    Script("cancel_in_flight", cancel_in_flight, _ONE),
    Script("cancel_in_progress", cancel_in_progress, _ONE),
    Script("delivered_during_cancel", delivered_during_cancel, _ONE),
    Script("delete_open", delete_open, _ONE),
    Script("delete_in_flight", delete_in_flight, _BLOCKING, blocking=True),
    Script("close_and_reopen", close_and_reopen, _NARROW),
    Script("close_in_flight", close_in_flight, _BLOCKING, blocking=True, may_lose=True),
    Script("duplicate", duplicate, _ONE),
    Script("caller_hangs_up", caller_hangs_up, _ONE),
)
