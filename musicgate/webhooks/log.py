"""The webhooks of a gateway: delivery log, replays and test sends; the courier does the sending."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import LimitReachedError, RequestError
from musicgate.plugin import write_json
from musicgate.views import render_message
from musicgate.webhooks import rules
from musicgate.webhooks.courier import Courier
from musicgate.webhooks.targets import check_url, target_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from musicgate.model import Delivery, Job
    from musicgate.webhooks.context import WebhookContext
    from musicgate.webhooks.rules import Answer

#: Test messages of an account in flight at a time. Each holds a connection for as long as its receiver likes.
_MAX_TESTS = 2
#: Seconds after which a refused test makes sense again.
_TESTS_RETRY_S = 1


@attrs.frozen(kw_only=True)
class WebhookTest:
    """The result of a test message.

    Attributes:
        enabled_again: the address had been disabled; now it is enabled.
    """

    id: str
    url: str
    answer: Answer
    enabled_again: bool


class Webhooks:
    """The webhooks of one gateway."""

    def __init__(self, context: WebhookContext) -> None:
        self._context = context
        self._courier = Courier(context)
        self._tests: Counter[str] = Counter()

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._courier.run()

    def check(self, account: str, url: str | None) -> None:
        """Return if a request may name this address.

        Raises:
            RequestError: 400; the account has no secret to sign with, or the text is no address.
        """
        if url is not None:
            check_url(self._context.accounts, account, url)

    async def log(self, job: Job) -> Sequence[Delivery]:
        """The messages about a job, each with its tries."""
        return await self._context.store.outbox.of_job(job.id)

    async def replay(self, job: Job, message_id: str) -> Delivery:
        """Send a message about a job once more, with the same id; its schedule starts over.

        Raises:
            RequestError: 404, there is no such message about this job; 409, its address is disabled.
        """
        outbox = self._context.store.outbox
        while True:
            found = await outbox.get(message_id)
            if found is None or found.job_id != job.id:
                message = f"job {job.id} has no message {message_id!r}"
                raise RequestError("not_found", message, reason="webhook_message_not_found")
            if await outbox.is_disabled(found.account, found.url):
                message = (
                    "this address answered 410 and is disabled; a test send that arrives enables it again"
                )
                raise RequestError("not_supported", message, reason="webhook_disabled", http_status=409)
            stored = await outbox.replace(found, rules.replay(found, self._context.clock.now()))
            if stored is not None:
                self._context.outbox_written()
                return stored

    async def test(self, account: str, url: str | None = None) -> WebhookTest:
        """Send a signed test message now, once. One that arrives enables a disabled address.

        Args:
            url: None = the account's own.

        Raises:
            RequestError: 400; there is no address, it is invalid, or nothing can be signed.
            LimitReachedError: 429; too many calls in a minute, or too many tests in flight. Nothing was sent.
            StorageError: calls cannot be counted now. Nothing was sent.
        """
        context = self._context
        chosen = url or target_of(context.accounts, account).url
        if chosen is None:
            message = "there is no address: send a url, or have the operator set one"
            raise RequestError("validation_error", message, reason="webhook_url_missing", path=("url",))
        check_url(context.accounts, account, chosen)
        async with self._one_more_test(account):
            return await self._test(account, chosen)

    async def _test(self, account: str, url: str) -> WebhookTest:
        context = self._context
        message_id, now = context.new_id("msg_"), context.clock.now()
        body = write_json(
            render_message(rules.TEST_TYPE, now, {"object": "webhook_test", "account": account})
        )
        answer = await self._courier.send(account, url, message_id, body)
        enabled_again = answer.is_delivered and await context.store.outbox.enable(account, url)
        return WebhookTest(id=message_id, url=url, answer=answer, enabled_again=enabled_again)

    @asynccontextmanager
    async def _one_more_test(self, account: str) -> AsyncIterator[None]:
        now = self._context.clock.now()
        if self._tests[account] >= _MAX_TESTS:
            raise LimitReachedError(
                "max_webhook_tests",
                f"{_MAX_TESTS} test messages of this account are in flight, no more may be",
                reset_at=now + timedelta(seconds=_TESTS_RETRY_S),
                retry_after_s=_TESTS_RETRY_S,
            )
        self._tests[account] += 1
        try:
            await self._context.count_call(account)
            yield
        finally:
            self._tests[account] -= 1
