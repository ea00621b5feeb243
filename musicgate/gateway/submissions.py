"""The create calls that run in this process: each in a task of its own, so that no caller who goes away can stop one half-way.

It knows who waits for a call and how long, and nothing of vendors; how a job is sent stands in `musicgate.gateway.submit`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from musicgate import lifecycle
from musicgate.errors import StorageError
from musicgate.gateway import submit
from musicgate.gateway.settle import settle
from musicgate.model import IdempotencyClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.gateway.prepare import Choice
    from musicgate.gateway.turns import Turn
    from musicgate.model import Job

_T = TypeVar("_T")


@attrs.define(kw_only=True)
class _Call:
    """A create call that is being made.

    Attributes:
        until: loop time up to which its caller waits at the most.
        caller: whoever made it.
        turn: the turn at the first choice, where there was one at once.
        answered: set when its caller has been answered, at the latest when it has ended, or was never begun.
    """

    until: float
    caller: submit.Caller = attrs.field(factory=submit.Caller)
    turn: Turn | None = None
    answered: asyncio.Event = attrs.field(factory=asyncio.Event)


class Submissions:
    """Stores wishes and sends them."""

    def __init__(self, context: GatewayContext, follow: Callable[[Job], None]) -> None:
        """Begin with none. ``follow`` takes every job that a call leaves open."""
        self._context = context
        self._follow = follow
        self._tasks: set[asyncio.Task[Any]] = set()
        self._calls: dict[str, _Call] = {}
        #: Uses of idempotency keys that are being stored.
        self._claims: dict[tuple[str, str, str], asyncio.Task[Any]] = {}

    def __len__(self) -> int:
        """Number of calls that are running."""
        return len(self._tasks)

    async def begin(
        self,
        job: Job,
        choices: tuple[Choice, ...],
        claim: IdempotencyClaim | None,
        wait_s: float,
        turn: Turn | None,
    ) -> Job | IdempotencyClaim:
        """Store a job and send it.

        Args:
            wait_s: how long to wait for a turn, and for a vendor whose call lasts as long as the song.
            turn: the turn at the first choice; None = the job has to wait for it.

        Returns:
            The job after its call, or as it is when the wait is over; the earlier use of its key, and then nothing was stored.

        Raises:
            StorageError: the job, or what became of it, could not be stored.
        """
        loop = asyncio.get_running_loop()
        call = _Call(until=loop.time() + submit.patience_s(choices, wait_s), turn=turn)
        self._calls[job.id] = call  # before anybody can see the claim
        # A caller who is cut off here cannot know whether the job is stored; if it is, it must be sent as well.
        adding = self._spawn(self._add(job, choices, claim, call), f"store {job.id}")
        if claim is not None:
            self._remember(claim, adding)
        try:
            begun = await asyncio.shield(adding)
        except asyncio.CancelledError:
            call.caller.is_waiting = False
            raise
        if isinstance(begun, IdempotencyClaim):
            return begun
        await self._patiently(begun, call, wait_s)
        call.answered.set()
        if begun.done():
            return begun.result()
        return await self._context.store.get(job.id) or job

    def resume(self, job: Job, choices: tuple[Choice, ...]) -> None:
        """Send a stored job that never left."""
        self._spawn(self._run(job, choices), f"submit {job.id}")

    async def wait(self, job_id: str) -> None:
        """Wait for a call as long as its own caller does."""
        call = self._calls.get(job_id)
        if call is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout_at(call.until):
                await call.answered.wait()

    async def twin(self, account: str, key: IdempotencyKey) -> IdempotencyClaim | None:
        """The use of a key by a call that is being made right now, once it is stored; None when there is none."""
        adding = self._claims.get((account, key.route, key.key))
        if adding is None:
            return None
        await asyncio.wait({adding})
        return await self._context.store.find_claim(account, key.route, key.key)

    async def drain(self, patience_s: float) -> None:
        """Begin nothing new, and give the calls that are being made some time to end.

        What waits for its turn stays planned. A call that is cut off in the end counts as unknown when the gateway opens again.
        """
        for live in self._context.providers.values():
            live.turns.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s)
        while self._tasks:
            running = list(self._tasks)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _patiently(self, sending: asyncio.Task[Job], call: _Call, wait_s: float) -> None:
        """Wait for a call as long as its caller does: for what the vendor says, but only briefly for a turn."""
        loop = asyncio.get_running_loop()
        queued = loop.create_task(call.caller.queued.wait())
        try:
            timeout_s = max(0.0, call.until - loop.time())
            await asyncio.wait({sending, queued}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if queued.done() and not sending.done():
                call.until = min(call.until, loop.time() + wait_s)
                await asyncio.wait({sending}, timeout=max(0.0, call.until - loop.time()))
        finally:
            queued.cancel()
            call.caller.is_waiting = False

    async def _add(
        self, job: Job, choices: tuple[Choice, ...], claim: IdempotencyClaim | None, call: _Call
    ) -> asyncio.Task[Job] | IdempotencyClaim:
        sending: asyncio.Task[Job] | None = None
        try:
            events = lifecycle.history(None, job, job.created_at)
            taken = await self._context.store.add(job, events, claim)
            if taken is not None:
                return taken
            self._context.changed(None, job)
            sending = self._spawn(self._run(job, choices, call), f"submit {job.id}")
            sending.add_done_callback(lambda _: self._end(job.id))
            return sending
        finally:
            if sending is None:
                self._context.admission.forget(job.id)
                self._end(job.id)

    async def _run(self, job: Job, choices: tuple[Choice, ...], call: _Call | None = None) -> Job:
        caller, turn = (call.caller, call.turn) if call else (None, None)
        job = await submit.run(self._context, job, choices, caller=caller, turn=turn)
        if job.delivered_at is not None and all(track.asset or not track.audio_url for track in job.tracks):
            # The audio came with the answer and is kept already: nothing has to be fetched, so the caller gets a finished job.
            with suppress(StorageError):  # the tracker tries again, and says so
                await settle(self._context, job)
            job = await self._context.store.get(job.id) or job
        self._follow(job)
        return job

    def _remember(self, claim: IdempotencyClaim, adding: asyncio.Task[Any]) -> None:
        place = (claim.account, claim.route, claim.key)
        if place not in self._claims:
            self._claims[place] = adding
            adding.add_done_callback(lambda _: self._claims.pop(place))

    def _end(self, job_id: str) -> None:
        call = self._calls.pop(job_id)
        if call.turn is not None:
            call.turn.leave(self._context.clock.now())  # unless its call has done so
        call.answered.set()

    def _spawn(self, work: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
