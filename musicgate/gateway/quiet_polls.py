"""Polls that changed nothing, remembered so that the next one needs no store. Knows no vendor.

Most polls change nothing: a song takes minutes, and its vendor says "pending" every few seconds. After such
a poll the request and a digest of the answer are remembered. The next poll sends that request again, and when
the answer is the same, nothing is to be done: hooks are pure functions of step, response, job and settings
(the compliance kit checks it), so the same answer about the same job would change nothing once more. The job
is neither read, nor decoded, nor written, and no hook is called.

What is remembered of a job is dropped with every change of it: `GatewayContext.changed` and
`GatewayContext.ended` see each one, and a job has ended or was delivered before it is deleted. So a memory is
of a version that is still the newest in the store. Polls that began before a change find their memory gone,
and are folded into the job as it is then. A job is read again after one to two times `READ_AGAIN_S` all the
same, and its answer given to the plugin: that bounds what a writer outside this process, or an answer that
differs in its headers alone, may go unnoticed. Each job has a time of its own in between: thousands that were
made together, or followed anew after a restart, would else be read together, and every poll be late.

At most one memory for each open job, of 0.57 kB.
"""

from __future__ import annotations

import random
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from musicgate.gateway.vendor_call import Exchange
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job
    from musicgate.plugin import HttpRequest, HttpResponse

#: Seconds after which a job is read from the store again, at the earliest; twice as many at the latest.
READ_AGAIN_S: Final = 120.0
_OK: Final = 200


@attrs.define(eq=False, weakref_slot=False)
class QuietPoll:
    """The last poll of a job, which changed nothing.

    Attributes:
        installed: the job's provider.
        request: the poll, with the key.
        created_at: of the job, for its schedule.
        deadline_at: of the job; a steady time.
        read_again_at: steady time at which the job is to be read from the store again.
        digest: of the answer.
        trace: of the job.
        repeat_count: polls since then that were answered with the same.
    """

    installed: InstalledProvider
    request: HttpRequest
    created_at: datetime
    deadline_at: datetime
    read_again_at: datetime
    digest: int
    trace: str
    repeat_count: int = 0

    def is_usable(self, steady: datetime) -> bool:
        """True if the poll may be repeated without reading the job."""
        return steady < self.deadline_at and steady < self.read_again_at

    def has_answer(self, response: HttpResponse) -> bool:
        """True if an answer is the one that changed nothing."""
        return _digest(response) == self.digest


class QuietPolls:
    """What is remembered of the polls of open jobs, by job id."""

    def __init__(self) -> None:
        #: A mark, which is no `QuietPoll`, while a poll goes on that is not remembered yet.
        self._polls: dict[str, QuietPoll | object] = {}
        #: By plugin. Equal headers are kept once: those of one plugin's polls hardly differ.
        self._headers: dict[str, Mapping[str, str]] = {}

    def __len__(self) -> int:
        """Number of polls that are remembered or go on."""
        return len(self._polls)

    def of(self, job_id: str) -> QuietPoll | None:
        """The last poll of a job, if it changed nothing and the job has not changed since."""
        poll = self._polls.get(job_id)
        return poll if isinstance(poll, QuietPoll) else None

    def repeats(self, job_id: str, poll: QuietPoll, response: HttpResponse) -> bool:
        """True if the answer to a repeated poll is the one that changed nothing, of an unchanged job."""
        return self._polls.get(job_id) is poll and poll.has_answer(response)

    @contextmanager
    def begun(self, job_id: str) -> Iterator[object]:
        """Mark that a job is about to be read and polled; give the mark, which a change of it removes."""
        mark = self._polls[job_id] = object()
        try:
            yield mark
        finally:
            if self._polls.get(job_id) is mark:
                del self._polls[job_id]

    def remember(
        self, mark: object, job: Job, installed: InstalledProvider, exchange: Exchange, read_at: datetime
    ) -> None:
        """Remember a poll that changed nothing, unless its job changed or the answer may count later.

        Args:
            read_at: steady time when the job was read.
        """
        request, response = exchange.request, exchange.response
        if (
            self._polls.get(job.id) is not mark
            or job.doubt_since is not None  # the same answer ends the job if it lasts
            or exchange.calls != 1
            or request is None
            or response is None
            or (digest := _digest(response)) is None
        ):
            return
        known = self._headers.get(installed.name)
        if known == request.headers:
            request = attrs.evolve(request, headers=known)
        else:
            self._headers[installed.name] = request.headers
        again_at = read_at + timedelta(seconds=READ_AGAIN_S * (1 + random.random()))  # noqa: S311 - no secret
        self._polls[job.id] = QuietPoll(
            installed, request, job.created_at, job.deadline_at, again_at, digest, job.trace
        )

    def forget(self, job_id: str) -> None:
        """Forget what is known of a job that has changed."""
        self._polls.pop(job_id, None)


def _digest(response: HttpResponse) -> int | None:
    """A digest of 64 bits, keyed by the process; None for an answer that is not repeated in silence."""
    return hash(response.body) if response.status == _OK else None
