"""Delivers what stands in the outbox, when it is due; it knows the order of things, and neither SQL nor HTTP.

The outbox is the queue: in memory are only the messages that are under way. So a crash at any moment loses nothing. What was not sent is
still pending, and what was sent but not noted is sent again with the same id; a receiver tells by that.

A receiver that hangs costs a few connections for as long as the time-out, and nobody else waits for it: each server has a few places
of its own, and servers whose places are taken are passed over. Jobs never wait: they only write a row.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from typing import TYPE_CHECKING

from musicgate import delivery as rules
from musicgate import reading
from musicgate.answers import render_job, render_message
from musicgate.delivery import Answer
from musicgate.errors import ProviderError, StorageError
from musicgate.gateway.targets import target_of
from musicgate.links import audio_links
from musicgate.webhooks import sign
from musicgate.wire import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Delivery, Job, Track
    from musicgate.settings import ServerSettings

_log = logging.getLogger(__name__)
#: Addresses to listen on that nobody can call.
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
#: Seconds until a look at the outbox although nobody rang: the wall clock may have jumped.
_LONGEST_SLEEP_S = 30.0
#: Seconds until the next try after our own store failed, or our own code.
_AFTER_ERROR_S = 5.0


class Courier:
    """Sends due messages, a bounded number at a time in all and to each server."""

    def __init__(self, context: GatewayContext, jitter: Callable[[], float] = random.random) -> None:
        """Start with nothing under way. ``jitter`` gives a number from 0 to 1."""
        self._context = context
        self._jitter = jitter
        self._running: dict[str, asyncio.Task[None]] = {}
        self._busy: Counter[str] = Counter()

    async def run(self) -> None:
        """Work until cancelled. What is cut off then is sent again by the next process."""
        try:
            while True:
                self._context.announced.clear()
                try:
                    pause_s = await self._start_due()
                except Exception:  # noqa: BLE001 - trouble with the outbox must not end all deliveries
                    _log.exception("the outbox cannot be read")
                    pause_s = _AFTER_ERROR_S
                try:
                    async with asyncio.timeout(pause_s):
                        await self._context.announced.wait()
                except TimeoutError:
                    pass
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def send(self, account: str, url: str, message_id: str, body: bytes) -> Answer:
        """One try: sign and send. Whatever goes wrong is an answer."""
        context = self._context
        at, started = context.clock.now(), asyncio.get_running_loop().time()
        target = target_of(context.settings, account)

        def answer(
            status: int | None, error: str | None = None, retry_after_s: float | None = None
        ) -> Answer:
            return Answer(
                at=at,
                duration_s=asyncio.get_running_loop().time() - started,
                http_status=status,
                error=error,
                retry_after_s=retry_after_s,
            )

        if not target.secrets:
            return answer(None, f"there is no secret to sign with; the operator sets {target.setting}")
        headers = sign(target.secrets, message_id, at, body.decode())
        try:
            response = await context.webhooks.post(
                url, headers, body, timeout_s=context.settings.webhooks.timeout_s
            )
        except ProviderError as error:
            return answer(None, str(error))
        return answer(response.status, None, reading.retry_after_s(response))

    async def _start_due(self) -> float:
        """Send what is due, as far as there are places.

        Returns:
            Seconds until it makes sense to look again, if nothing happens until then.
        """
        limits = self._context.settings.webhooks
        while len(self._running) < limits.concurrency:
            full = [place for place, busy in self._busy.items() if busy >= limits.concurrency_per_server]
            page = await self._context.store.outbox.pending(
                limits.concurrency - len(self._running), except_ids=self._running, except_origins=full
            )
            if not page:
                return _LONGEST_SLEEP_S
            now = self._context.clock.now()
            for delivery in page:
                wait_s = _seconds_until(delivery, now)
                if wait_s > 0:
                    return min(wait_s, _LONGEST_SLEEP_S)
                if self._busy[rules.origin(delivery.url)] < limits.concurrency_per_server:
                    self._start(delivery)
        return _LONGEST_SLEEP_S

    def _start(self, delivery: Delivery) -> None:
        place = rules.origin(delivery.url)
        self._busy[place] += 1
        task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
        self._running[delivery.id] = task

        def done(_: asyncio.Task[None]) -> None:
            del self._running[delivery.id]
            self._busy[place] -= 1
            if not self._busy[place]:
                del self._busy[place]
            self._context.announced.set()

        task.add_done_callback(done)

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._try(delivery)
        except Exception:  # noqa: BLE001 - one message's trouble must not stop the others
            _log.exception("message %s could not be sent", delivery.id)
            await self._context.clock.sleep(_AFTER_ERROR_S)  # it is still due, and would come back at once

    async def _try(self, delivery: Delivery) -> None:
        context = self._context
        outbox = context.store.outbox
        if await outbox.is_disabled(delivery.account, delivery.url):
            await self._note(delivery, rules.disable)
            return
        job = await context.store.get(delivery.job_id)
        if job is None:  # deleted just now, and its messages with it
            return
        body = body_about(context.settings.server, delivery, job)
        answer = await self.send(delivery.account, delivery.url, delivery.id, body)
        jitter = self._jitter()
        if answer.is_gone:
            # First the address, then the message: after a crash between the two the message is not sent again.
            await outbox.disable(delivery.account, delivery.url, answer.at)
            _log.warning("account %s: a webhook address said 410; it is disabled", delivery.account)
        if not answer.is_delivered:
            _log.info("message %s: %s", delivery.id, answer.as_try().error)
        await self._note(
            delivery, lambda current: rules.after_try(current, answer, jitter, self._context.speed)
        )

    async def _note(self, delivery: Delivery, edit: Callable[[Delivery], Delivery]) -> None:
        """Write down what became of a message, however long our disk fails: otherwise it would be sent again and again meanwhile.

        Only a replay changes a message beside us. One that was asked for during the try is still owed after it.
        """
        outbox = self._context.store.outbox
        newest: Delivery | None = delivery
        while newest is not None:
            noted = edit(newest)
            if newest.version != delivery.version and newest.next_try_at is not None:
                noted = rules.replay(noted, newest.next_try_at)
            try:
                if await outbox.replace(newest, noted) is not None:
                    return
                newest = await outbox.get(delivery.id)
            except StorageError as error:
                _log.error("message %s: its try cannot be noted: %s", delivery.id, error)
                await self._context.clock.sleep(_AFTER_ERROR_S)


def body_about(server: ServerSettings, delivery: Delivery, job: Job) -> bytes:
    """What a message says; the job is final, so it is the same for every try."""
    base_url = _base_url(server)
    links = audio_links(base_url) if base_url else _no_link
    return write_json(render_message(delivery.type, delivery.created_at, render_job(job, links)))


def _base_url(server: ServerSettings) -> str | None:
    """Where the server is for others; None where the settings do not tell, and then vendors' links have to do."""
    if server.public_url:
        return server.public_url
    told = server.port and server.host not in _WILDCARDS
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}" if told else None


def _no_link(_job: Job, _track: Track) -> None:
    """There is no address to begin a link with."""


def _seconds_until(delivery: Delivery, now: datetime) -> float:
    return (delivery.next_try_at - now).total_seconds() if delivery.next_try_at else 0.0
