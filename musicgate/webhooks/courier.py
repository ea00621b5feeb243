"""Send due outbox messages; scheduling only: no SQL, no HTTP.

The outbox is the queue, and memory holds only the messages in flight. So a crash at any moment loses nothing:
a message that was not sent is still pending, and one that was sent but not noted is sent again with the same
id, by which the receiver recognises it.

`musicgate.webhooks.fair_share` shares the connections: neither a receiver that hangs nor an account with
thousands of messages holds up the others. Jobs never wait: they only write a row.

Of several replicas one sends (`WebhookContext.is_on_duty`). One that is not on duty any more starts no
message, and ends those that it has started. A message that two replicas send in such a moment carries one id,
and what became of it is noted by compare-and-set.

A delivery that raises is our own fault, not the receiver's. It is logged once, its message stays due and is
tried again after a pause, and the courier goes on.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import ProviderError, StorageError
from musicgate.jobs import as_settled
from musicgate.metrics import STATUS_CLASSES
from musicgate.plugin import lenient, write_json
from musicgate.tracing import span_of_job
from musicgate.views import AudioEnd, links_at, render_job, render_message
from musicgate.webhooks import rules
from musicgate.webhooks.fair_share import FairShare
from musicgate.webhooks.rules import Answer
from musicgate.webhooks.signing import sign
from musicgate.webhooks.targets import target_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from musicgate.accounts import AccountBook
    from musicgate.model import Delivery, Job, Track
    from musicgate.settings import ServerSettings
    from musicgate.store import PendingMessage
    from musicgate.text import Masker
    from musicgate.webhooks.context import WebhookContext

_log = logging.getLogger(__name__)
#: Addresses to listen on that are no address to call.
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
#: Seconds until the outbox is read again without a notice: the wall clock may have jumped.
_LONGEST_SLEEP_S = 30.0
#: Seconds until the next try after our own store or code failed; doubled each time for the same message.
_AFTER_ERROR_S = 5.0
_LONGEST_PAUSE_S = 300.0
#: Rows of the outbox read at a time.
_PAGE = 256
#: Seconds after which a message that raised and is no longer due is forgotten: it was deleted with its job.
_FORGET_AFTER_S = 600.0
#: An account with so many paused messages waits until one of them is retried: memory stays bounded.
_MAX_PAUSED_PER_ACCOUNT = 256


@attrs.frozen(kw_only=True)
class _Pause:
    """The pause of a message that raised. ``until`` is loop time."""

    account: str
    errors: int
    until: float


class Courier:
    """Sends due messages: a bounded number at a time, shared fairly between accounts and servers.

    Args:
        jitter: returns a number from 0 to 1.
    """

    def __init__(self, context: WebhookContext, jitter: Callable[[], float] = random.random) -> None:
        limits = context.settings.webhooks
        self._context = context
        self._jitter = jitter
        self._running: dict[str, asyncio.Task[None]] = {}
        self._share = FairShare(
            limits.concurrency, limits.concurrency_per_server, is_shared=len(context.accounts.names) > 1
        )
        #: Messages that raised and have not been delivered since, by id.
        self._pauses: dict[str, _Pause] = {}
        self._is_closing = False

    async def run(self) -> None:
        """Work until cancelled, and leave no task behind. The next run repeats what was cut off."""
        self._is_closing = False
        try:
            while True:
                self._context.outbox_changed.clear()
                try:
                    pause_s = await self._start_due()
                except Exception:  # noqa: BLE001 - an outbox that cannot be read must not end the courier
                    _log.exception("outbox cannot be read")
                    pause_s = _AFTER_ERROR_S
                try:
                    async with asyncio.timeout(pause_s):
                        await self._context.outbox_changed.wait()
                except TimeoutError:
                    pass
        finally:
            self._is_closing = True
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def send(self, account: str, url: str, message_id: str, body: bytes) -> Answer:
        """Sign and send a message once. A failure is an answer, too."""
        context = self._context
        at, started = context.clock.now(), asyncio.get_running_loop().time()
        target = target_of(context.accounts, account)

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
        return answer(response.status, None, lenient.retry_after_s(response))

    async def _start_due(self) -> float:
        """Send what is due, as far as there are free connections.

        Returns:
            Seconds until the outbox is to be read again, unless it changes or a message in flight ends
            before.
        """
        reread_s = self._context.reread_s
        longest_s = _LONGEST_SLEEP_S if reread_s is None else min(reread_s, _LONGEST_SLEEP_S)
        self._share.is_shared = len(self._context.accounts.names) > 1
        while True:
            if not self._context.is_on_duty:
                return longest_s
            now, started = self._context.clock.now(), 0
            for message in self._share.take(await self._due(now)):
                self._start(message)
                started += 1
                # Each start reads, renders and signs: together they would hold up the loop.
                await asyncio.sleep(0)
            if not started:
                break
        next_due = await self._context.store.outbox.next_due(now)
        waits_s = [pause.until - asyncio.get_running_loop().time() for pause in self._paused().values()]
        if next_due is not None:
            waits_s.append((next_due - now).total_seconds())
        return max(0.0, min([longest_s, *waits_s]))

    async def _due(self, now: datetime) -> Sequence[PendingMessage]:
        """Messages that may be sent now, enough of each account to fill its share."""
        if not self._share.free:
            return []
        outbox = self._context.store.outbox
        paused = self._paused()
        limit = _PAGE + len(self._running) + len(paused)
        page = await outbox.pending(limit)
        if len(page) < limit or page[-1].next_try_at > now:
            return self._startable(page, paused, now)
        # More is due than a page holds, and one account alone may fill the page: read each account's.
        found: list[PendingMessage] = []
        accounts = 0
        for account in self._share.in_order(await outbox.accounts_due(now)):
            full = self._share.full_origins(account)
            own = await outbox.pending_of(account, limit, except_origins=full)
            own = self._startable(own, paused, now)
            found += own
            accounts += bool(own)
            if accounts >= self._share.free:
                break
        return found

    def _startable(
        self, page: Sequence[PendingMessage], paused: Mapping[str, _Pause], now: datetime
    ) -> list[PendingMessage]:
        paused_of = Counter(pause.account for pause in paused.values())
        return [
            message
            for message in page
            if message.next_try_at <= now
            and message.id not in self._running
            and message.id not in paused
            and paused_of[message.account] < _MAX_PAUSED_PER_ACCOUNT
        ]

    def _paused(self) -> dict[str, _Pause]:
        """The messages that are paused now."""
        now = asyncio.get_running_loop().time()
        if self._pauses:
            self._pauses = {
                name: kept for name, kept in self._pauses.items() if kept.until + _FORGET_AFTER_S > now
            }
        return {name: pause for name, pause in self._pauses.items() if pause.until > now}

    def _start(self, message: PendingMessage) -> None:
        task = asyncio.create_task(self._try(message.id), name=f"webhook {message.id}")
        self._running[message.id] = task

        def done(task: asyncio.Task[None]) -> None:
            del self._running[message.id]
            self._share.release(message)
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                self._pauses.pop(message.id, None)
            elif not self._is_closing:
                self._pause(message, error)
            self._context.outbox_changed.set()

        task.add_done_callback(done)

    def _pause(self, message: PendingMessage, error: BaseException) -> None:
        """Pause a message that raised: it is still due, and would be tried again at once."""
        earlier = self._pauses.get(message.id)
        errors = earlier.errors + 1 if earlier else 1
        if earlier is None:
            _log.error("message not sent, retrying: message=%s", message.id, exc_info=error)
        pause_s = min(_AFTER_ERROR_S * 2 ** min(errors - 1, 10), _LONGEST_PAUSE_S)
        until = asyncio.get_running_loop().time() + pause_s
        self._pauses[message.id] = _Pause(account=message.account, errors=errors, until=until)

    async def _try(self, message_id: str) -> None:
        context = self._context
        outbox = context.store.outbox
        delivery = await outbox.get(message_id)
        if delivery is None or delivery.next_try_at is None:  # deleted with its job, or sent already
            return
        if await outbox.is_disabled(delivery.account, delivery.url):
            await self._note(delivery, rules.disable)
            return
        job = await context.store.get(delivery.job_id)
        if job is None:
            if await outbox.get(message_id) is not None:
                message = f"the message {message_id} is about a job that does not exist"
                raise StorageError(message)
            return  # deleted just now, and its messages with it
        masker = context.masker(job, whole=True)
        body = body_about(context.accounts, delivery, job, masker)
        if not context.is_on_duty:
            return
        attributes = {"musicgate.job": job.id, "musicgate.message": delivery.id}
        with span_of_job(
            context.tracing, job.trace, "webhook", attributes, parent=job.trace, kind="PRODUCER"
        ):
            answer = await self.send(delivery.account, delivery.url, delivery.id, body)
        context.figures.webhook_tries.observe((_outcome_of(answer),), answer.duration_s)
        jitter = self._jitter()
        if answer.is_gone:
            # First the address, then the message: after a crash between the two the message is not sent
            # again.
            await outbox.disable(delivery.account, delivery.url, answer.at)
            _log.warning("webhook address answered 410, disabled: account=%s", delivery.account)
        if not answer.is_delivered:
            _log.info("message not delivered: message=%s error=%s", delivery.id, answer.as_try().error)
        await self._note(
            delivery, lambda current: rules.after_try(current, answer, jitter, self._context.speed)
        )

    async def _note(self, delivery: Delivery, edit: Callable[[Delivery], Delivery]) -> None:
        """Store the result of a try, however long our disk fails: otherwise it would be repeated meanwhile.

        Only a replay changes a message beside the courier. One that was requested during the try is still due
        after it.
        """
        outbox = self._context.store.outbox
        newest: Delivery | None = delivery
        is_known = False
        while newest is not None:
            noted = edit(newest)
            if newest.version != delivery.version and newest.next_try_at is not None:
                noted = rules.replay(noted, newest.next_try_at)
            try:
                if await outbox.replace(newest, noted) is not None:
                    return
                newest = await outbox.get(delivery.id)
            except StorageError as error:
                if not is_known:
                    _log.error("try not stored, retrying: message=%s error=%s", delivery.id, error)
                    is_known = True
                await self._context.clock.sleep(_AFTER_ERROR_S)


def body_about(accounts: AccountBook, delivery: Delivery, job: Job, masker: Masker | None = None) -> bytes:
    """The body of a message: the job as it ended, so it is the same for every try."""
    settings = accounts.settings
    base_url = _base_url(settings.server)
    lifetime_s, made_s = round(settings.assets.link_hours * 3600), delivery.created_at.timestamp()
    links = links_at(base_url, lifetime_s, made_s) if base_url else _no_link
    rendered = render_job(as_settled(job), links, masker, ends=AudioEnd(accounts.retention_of))
    return write_json(render_message(delivery.type, delivery.created_at, rendered))


def _outcome_of(answer: Answer) -> str:
    """What became of a try, as it is counted."""
    if answer.is_delivered:
        return "delivered"
    if answer.http_status is None:
        return "no_answer"
    return STATUS_CLASSES.get(answer.http_status // 100, "no_answer")


def _base_url(server: ServerSettings) -> str | None:
    """The server's URL for others; None where no setting names one, and audio links are left out."""
    if server.public_url:
        return server.public_url
    is_known = server.port and server.host not in _WILDCARDS
    host = f"[{server.host}]" if ":" in server.host else server.host
    return f"http://{host}:{server.port}" if is_known else None


def _no_link(_job: Job, _track: Track, _what: str) -> None:
    """No URL of the server is known: leave our audio links out."""
