"""The create calls in flight: each is stored and sent by a task that outlives its caller.

It knows which caller waits for a call and for how long, and nothing of vendors; how a job is sent is handed
in.

Ownership: a call owns its job from its beginning to its end. At its end, however it ended, an open job is
handed to the scheduler, and what the call held (its reservation, an unused slot) is released.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from musicgate import jobs
from musicgate.engine.call import Call
from musicgate.engine.supervisor import no_stray_cancellation
from musicgate.errors import GatewayClosedError, StorageError
from musicgate.model import IdempotencyClaim

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from musicgate.aio import TimeLimits
    from musicgate.engine.create_queue import CreateQueue, Slot
    from musicgate.engine.quota import Reservation
    from musicgate.engine.shared_quota import SharedReservation
    from musicgate.engine.supervisor import Supervisor
    from musicgate.model import AuditEntry, Job
    from musicgate.planning import Candidate
    from musicgate.store import JobStore

_log = logging.getLogger(__name__)


class InFlight:
    """Stores jobs and sends them.

    Args:
        queues: the create queues that jobs wait in; they are closed with it.
        time_limits: for the callers that wait.
        send: makes the call of a stored job, and returns the job after it.
        stored: called with a new job as soon as it is stored.
        audit: makes the entry of the audit log that is stored with a new job; None = there is none.
        hand_over: called with a call that has ended, and whether it failed: an open job needs another owner.
    """

    def __init__(
        self,
        store: JobStore,
        supervisor: Supervisor,
        queues: Iterable[CreateQueue],
        time_limits: TimeLimits,
        *,
        send: Callable[[Call], Awaitable[Job]],
        stored: Callable[[Job], None],
        audit: Callable[[Job], AuditEntry] | None = None,
        hand_over: Callable[[Call, bool], None],
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._queues = tuple(queues)
        self._time_limits = time_limits
        self._send = send
        self._stored = stored
        self._audit = audit
        self._hand_over = hand_over
        self._calls: dict[str, Call] = {}
        #: Calls whose idempotency keys are being stored.
        self._claims: dict[tuple[str, str, str], Call] = {}
        self._is_closed = False
        self._loop = asyncio.get_running_loop()

    def __len__(self) -> int:
        """Number of calls."""
        return len(self._calls)

    def __contains__(self, job_id: str) -> bool:
        """True if a call owns the job."""
        return job_id in self._calls

    def start(
        self,
        job: Job,
        candidates: Iterable[Candidate],
        *,
        claim: IdempotencyClaim | None,
        reservation: Reservation | SharedReservation,
        slot: Slot | None,
        budget_s: float,
    ) -> Call:
        """Store a job and send it, in a task of its own. Returns at once; `answer` waits.

        Args:
            reservation: kept once the job is stored; released at the end of the call if it is not.
            slot: the slot at the first candidate, released at the end of the call at the latest; None = the
                job has to wait for it.
            budget_s: how long the caller waits at most.

        Raises:
            GatewayClosedError: nothing was stored or sent.
        """
        if self._is_closed:
            raise GatewayClosedError
        loop = self._loop
        call = Call(
            job=job,
            candidates=candidates,
            until_s=loop.time() + budget_s,
            budget_s=budget_s,
            claim=claim,
            reservation=reservation,
            slot=slot,
            stored=loop.create_future(),
        )
        self._begin(call)
        return call

    def resume(self, job: Job, candidates: Iterable[Candidate]) -> None:
        """Send a stored job that was never sent, unless its call is in flight.

        Raises:
            GatewayClosedError: it stays stored as it is.
        """
        if self._is_closed:
            raise GatewayClosedError
        if job.id in self._calls:  # it was resumed twice, and may be paid once
            return
        stored: asyncio.Future[IdempotencyClaim | None] = self._loop.create_future()
        stored.set_result(None)
        call = Call(job=job, candidates=candidates, stored=stored, is_stored=True)
        call.caller.is_waiting = False
        self._begin(call)

    async def stored(self, call: Call) -> IdempotencyClaim | None:
        """Wait until a call's job is stored.

        Returns:
            None; or the earlier use of its key, and then nothing was stored.

        Raises:
            StorageError: the job could not be stored; ``maybe_stored`` where that is not certain.
            GatewayClosedError: the gateway closed before the job was stored.
        """
        earlier: IdempotencyClaim | None = None
        is_stored = False
        try:
            earlier = await asyncio.shield(call.stored)
            is_stored = earlier is None
        finally:
            if not is_stored:
                self.leave(call)
        return earlier

    def leave(self, call: Call) -> None:
        """Note that a call's caller does not wait for its answer, or has got it."""
        call.caller.is_waiting = False
        if call.answered is not None:
            call.answered.set()

    async def answer(self, call: Call, wait_s: float) -> Job | IdempotencyClaim:
        """Wait for the vendor's answer to a call, but only briefly for a slot.

        The caller is not woken in between, when the job is stored: that would resume every coroutine up to
        its socket once more.

        Returns:
            The job after its call, or as it is when the wait is over; or the earlier use of its key, and then
            nothing was stored.

        Raises:
            StorageError, GatewayClosedError: as `stored`.
        """
        caller = call.caller
        try:
            if not caller.has_moved:
                await self._time_limits.wait(caller.next_move(self._loop), call.budget_s)
            if not call.is_ended:
                await self._wait_longer(call, wait_s)
        finally:
            self.leave(call)
        earlier = call.stored.result()
        if earlier is not None:
            return earlier
        if call.is_ended:
            return call.job
        try:
            with no_stray_cancellation():
                return await self._store.get(call.job.id) or call.job
        except Exception:  # noqa: BLE001 - it is stored, so the caller gets it, if not its newest version
            _log.exception("job cannot be read for its caller: job=%s", call.job.id)
            return call.job

    async def wait(self, job_id: str) -> None:
        """Wait for a call for as long as its own caller does."""
        call = self._calls.get(job_id)
        if call is None or call.until_s is None or not call.caller.is_waiting:
            return
        call.answered = call.answered or asyncio.Event()
        try:
            async with asyncio.timeout_at(call.until_s):
                await call.answered.wait()
        except TimeoutError:
            pass

    async def duplicate(self, account: str, route: str, key: str) -> IdempotencyClaim | None:
        """The claim of a call in flight on a key, once it is stored; None if there is none."""
        call = self._claims.get((account, route, key))
        if call is None:
            return None
        await asyncio.wait({call.stored})
        return await self._store.find_claim(account, route, key)

    def wake(self, job_id: str) -> bool:
        """Have a job polled as soon as its call has ended. False if no call owns it."""
        call = self._calls.get(job_id)
        if call is not None:
            call.is_woken = True
        return call is not None

    def close(self) -> None:
        """Begin no more calls, and end those that wait for a slot: their jobs stay planned."""
        self._is_closed = True
        for queue in self._queues:
            queue.close()

    def _begin(self, call: Call) -> None:
        job_id, claim = call.job.id, call.claim
        self._calls[job_id] = call  # before its claim can be seen
        if claim is not None:
            self._claims.setdefault((claim.account, claim.route, claim.key), call)
        # Not at the end of `_run`: a task that is cancelled before it begins never gets there.
        self._supervisor.spawn(f"create {job_id}", self._run(call), lambda task: self._end(call, task))

    async def _run(self, call: Call) -> None:
        """Make the call. An error here is the gateway's, not the vendor's; the supervisor logs it."""
        try:
            with no_stray_cancellation():
                if call.is_stored or await self._add(call) is None:
                    call.job = await self._send(call)
        except GatewayClosedError:
            _log.info("gateway closes, job stays planned: job=%s", call.job.id)
        except StorageError:
            if call.is_stored:
                raise
            # Its caller gets the error from `Call.stored`.

    async def _add(self, call: Call) -> IdempotencyClaim | None:
        """Store the job, and keep its reservation."""
        job, store = call.job, self._store
        try:
            with no_stray_cancellation():
                audit = self._audit and self._audit(job)
                earlier = await store.add(job, jobs.history(None, job, job.created_at), call.claim, audit)
        except StorageError as error:
            if not error.maybe_stored:
                call.stored.set_exception(error)
                raise
            earlier = await self._read_back(call, error)
        except Exception as error:  # noqa: BLE001 - not an error of the port: the job may be stored
            earlier = await self._read_back(call, error)
        if earlier is not None:
            if call.reservation is not None:
                call.reservation.uncount_call()
            call.stored.set_result(earlier)
            return earlier
        call.is_stored = True
        if call.reservation is not None:
            call.reservation.keep()
        call.stored.set_result(None)
        self._stored(job)
        return None

    async def _read_back(self, call: Call, error: Exception) -> IdempotencyClaim | None:
        """Find out whether a job is stored whose write was not confirmed.

        Returns:
            None if it is; the claim of the earlier use if its key was used.

        Raises:
            StorageError: it is not stored; or that cannot be found out, and then the scheduler will.
        """
        _log.error("write not confirmed, job read back: job=%s error=%r", call.job.id, error)
        try:
            if await self._store.get(call.job.id) is not None:
                return None
            claim = call.claim
            if claim is not None:
                earlier = await self._store.find_claim(claim.account, claim.route, claim.key)
                if earlier is not None:
                    return earlier
        except Exception as again:
            call.is_stored = True  # perhaps; so the job must not be lost
            if call.reservation is not None:
                call.reservation.keep()
            lost = StorageError("the job store failed, and the job may be stored", maybe_stored=True)
            call.stored.set_exception(lost)
            raise lost from again
        is_lost = isinstance(error, StorageError)  # a connection was, and there is one again
        failed = StorageError("the job store failed; nothing was stored", is_away=is_lost)
        call.stored.set_exception(failed)
        raise failed from error

    async def _wait_longer(self, call: Call, wait_s: float) -> None:
        """Wait on for a call whose budget is over, or that waits for a slot; then for ``wait_s``."""
        caller = call.caller
        # A slow disk of ours takes none of the vendor's time.
        if not call.stored.done() and await self.stored(call) is None and not caller.has_moved:
            await self._time_limits.wait(caller.next_move(self._loop), call.budget_s)
        if call.is_ended or not caller.has_moved:
            return
        # It waits for a slot.
        assert call.until_s is not None  # noqa: S101 - a call with a caller has a limit
        call.until_s = min(call.until_s, self._loop.time() + wait_s)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(call.until_s):
                await caller.next_move(self._loop)

    def _end(self, call: Call, task: asyncio.Task[Any]) -> None:
        """Release what the call held, and hand its job over. Memory only: nothing here waits or fails."""
        has_failed = task.cancelled() or task.exception() is not None
        self._calls.pop(call.job.id, None)
        claim = call.claim
        if claim is not None and self._claims.get((claim.account, claim.route, claim.key)) is call:
            del self._claims[claim.account, claim.route, claim.key]
        if call.slot is not None:
            call.slot.release()
        if call.reservation is not None:
            call.reservation.release()
        if not call.stored.done():
            call.stored.set_exception(GatewayClosedError(maybe_stored=True))
        call.stored.exception()  # retrieved here: asyncio complains otherwise where its caller has gone
        if call.is_stored:
            self._hand_over(call, has_failed)
        call.is_ended = True
        call.caller.move()
        if call.answered is not None:
            call.answered.set()
