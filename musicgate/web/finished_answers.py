"""Rendered answers of finished jobs; knows ids and bytes, not what is in them.

An answer is dropped when this process changes or deletes its job. A write whose caller was cancelled or got
an error may be stored without a word of that, so an answer is also compared with the stored version: before
it is used for the first time, and then each second.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Final

import attrs

from musicgate.views import SignedLinks

#: Bytes of all answers: some 7,000 of the usual size.
MAX_BYTES: Final = 16 * 1024 * 1024
#: One answer may take this share of it.
_MAX_SHARE: Final = 16
#: What an entry takes beside its bytes.
_ENTRY_BYTES: Final = 500
#: Seconds for which an answer counts as that of the stored version.
TRUSTED_S: Final = 1.0


@attrs.define(kw_only=True)
class FinishedAnswer:
    """The answer to a GET of one version of a job, as one account sees it.

    Attributes:
        links: the links in it are like these.
        checked_at: monotonic time when this was the stored version.
    """

    id: str
    version: int
    account: str
    links: SignedLinks
    body: bytes
    checked_at: float = -math.inf

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return len(self.body) + _ENTRY_BYTES


class FinishedAnswers:
    """One answer per job, at most so many bytes in all; those that were used least recently go first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._answers: OrderedDict[str, FinishedAnswer] = OrderedDict()
        #: What all answers take.
        self.size_bytes = 0

    def find(self, job_id: str, account: str, links: SignedLinks) -> FinishedAnswer | None:
        """Return an answer that need not be compared with the store yet."""
        kept = self._answers.get(job_id)
        if kept is None or kept.account != account or kept.links != links:
            return None
        if time.monotonic() - kept.checked_at > TRUSTED_S:
            return None
        self._answers.move_to_end(job_id)
        return kept

    def find_version(self, job_id: str, version: int, links: SignedLinks) -> FinishedAnswer | None:
        """Return the answer for the version that is stored now."""
        kept = self._answers.get(job_id)
        if kept is None or kept.version != version or kept.links != links:
            return None
        kept.checked_at = time.monotonic()
        self._answers.move_to_end(job_id)
        return kept

    def keep(self, answer: FinishedAnswer) -> None:
        """Keep an answer instead of the earlier one of its job, unless it is very large."""
        self.drop(answer.id)
        if answer.size_bytes > self._max_bytes // _MAX_SHARE:
            return
        self._answers[answer.id] = answer
        self.size_bytes += answer.size_bytes
        while self.size_bytes > self._max_bytes:
            self.drop(next(iter(self._answers)))

    def clear(self) -> None:
        """Forget all answers."""
        self._answers.clear()
        self.size_bytes = 0

    def drop(self, job_id: str) -> None:
        """Forget the answer of a job, if there is one."""
        kept = self._answers.pop(job_id, None)
        if kept is not None:
            self.size_bytes -= kept.size_bytes
