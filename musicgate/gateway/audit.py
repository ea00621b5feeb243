"""Note who did what; it decides nothing, and knows no prompt and no secret.

An entry about a job that is written anyway is stored with it, in the same transaction: created, cancelled,
deleted. Those are in the log exactly when they happened. A download, a drain or a changed key writes no job,
so its entries gather, and are written together every second: a crash loses at most that, and so does a store
that is out of order for long.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from musicgate.errors import StorageError
from musicgate.model import AuditAction, AuditEntry

if TYPE_CHECKING:
    from musicgate.aio import Clock
    from musicgate.model import Job
    from musicgate.settings import AuditSettings
    from musicgate.store import AuditLog

_log = logging.getLogger(__name__)
#: Seconds between two writes of what has gathered.
_FLUSH_S: Final = 1.0
#: Entries in one write.
_PAGE: Final = 500
#: Entries that gather at most while the store is out of order; the next ones are counted and lost.
_MOST_GATHERED: Final = 20_000


class Audit:
    """The audit log of one process."""

    def __init__(self, log: AuditLog, clock: Clock, settings: AuditSettings) -> None:
        """Take the log of the store, and what is to be noted."""
        self._log = log
        self._clock = clock
        self._settings = settings
        self._gathered: list[AuditEntry] = []
        self._lost = 0

    @property
    def is_on(self) -> bool:
        """True if anything is noted."""
        return self._settings.enabled

    def created(self, job: Job) -> AuditEntry:
        """The entry to store with a new job."""
        # The word itself: to look up the value of a member costs as much as the rest.
        return AuditEntry(job.created_at, _CREATED, job.account, job.key_id, job.id, job.generation_id)

    def entry(
        self,
        action: str,
        account: str,
        *,
        key_id: str = "",
        job_id: str = "",
        request_id: str = "",
        subject: str = "",
    ) -> AuditEntry | None:
        """An entry to store with what it is about; None while nothing is noted."""
        if not self._settings.enabled:
            return None
        return AuditEntry(self._clock.now(), action, account, key_id, job_id, request_id, subject)

    def note(
        self,
        action: str,
        account: str,
        *,
        key_id: str = "",
        job_id: str = "",
        request_id: str = "",
        subject: str = "",
    ) -> None:
        """Note something within a second."""
        if not self._settings.enabled:
            return
        if len(self._gathered) >= _MOST_GATHERED:
            self._lost += 1
            return
        now = self._clock.now()
        self._gathered.append(AuditEntry(now, action, account, key_id, job_id, request_id, subject))

    def downloaded(self, job: Job, index: int, *, key_id: str, request_id: str) -> None:
        """Note that the audio of a track is sent, within a second."""
        if self._settings.downloads:
            self.note(
                AuditAction.DOWNLOADED.value,
                job.account,
                key_id=key_id,
                job_id=job.id,
                request_id=request_id,
                subject=str(index),
            )

    async def run(self) -> None:
        """Write what has gathered, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what has gathered. What cannot be written now is tried again with the next ones."""
        while page := self._gathered[:_PAGE]:
            # Before the write: one whose caller is cancelled goes on, and must not be made again.
            del self._gathered[: len(page)]
            try:
                await self._log.add(*page)
            except StorageError as error:
                self._gathered[:0] = page
                _log.error("audit entries not stored, retrying: entries=%d error=%s", len(page), error)
                return
        if self._lost:
            _log.error("audit entries lost: entries=%d", self._lost)
            self._lost = 0


_CREATED: Final = AuditAction.CREATED.value
