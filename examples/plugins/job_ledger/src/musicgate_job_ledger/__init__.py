"""A plugin that writes one line for every settled job: who made it, how long it took, what it cost.

A line holds nothing that a caller wrote (no prompt, no lyrics, no labels), no address and no secret, so it
may be kept with bills.
"""

from __future__ import annotations

import json
import logging
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

import attrs

from musicgate.plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.plugin import Job

__all__ = ["JobLedger", "plugin"]

#: A child of the logger that ``musicgate serve`` writes at level INFO.
_log = logging.getLogger("musicgate.job_ledger")
_NANOS_PER_USD = Decimal(10) ** 9


@attrs.frozen(eq=False)
class JobLedger:
    """Observes jobs and writes a line for each.

    Embed it with ``load_plugins({"job_ledger": JobLedger(write_line)})``; the entry point writes to the log.
    ``write_line`` gets one JSON object without a line end. It is called on the event loop and must be quick:
    put the line into a queue if writing it is slow. An exception is logged by the gateway, and does not
    affect the job.
    """

    #: Version of the hooks that it was built for. A literal: musicgate's own constant would always agree.
    HOOK_API: ClassVar[int] = 1

    write_line: Callable[[str], None] = _log.info

    @hookimpl
    def job_changed(self, before: Job | None, after: Job) -> None:
        """Write the line when a job becomes final; it is stored by then, and will not change."""
        was_open = before is None or not before.state.is_final
        if was_open and after.state.is_final:
            self.write_line(ledger_line(after))


def ledger_line(job: Job) -> str:
    """Format a settled job as one line of JSON.

    Times are ISO 8601 with offset, money is decimal text, unknown values are null.
    """
    attempt, failure, usage = job.attempt, job.failure, job.usage
    took = job.updated_at - job.created_at
    return json.dumps(
        {
            "settled_at": job.updated_at.isoformat(),
            "job_id": job.id,
            "account": job.account,
            "state": job.state.value,
            "reason": failure.reason.value if failure else None,
            "provider": attempt.provider if attempt else None,
            "plugin": job.plugin,
            "model": attempt.model if attempt else None,
            "native_model": job.native_model,
            "native_id": job.native_id,
            "attempts": len(job.attempts),
            "tracks": usage.output_audio_count if usage else 0,
            "audio_s": usage.output_audio_seconds if usage else 0.0,
            "took_s": round(took.total_seconds(), 3),
            "price_usd": _price_text(usage.total_usd_nanos if usage else None),
            # A failed call may have been billed all the same: compare it with the vendor's bill.
            "may_have_cost": failure.costs if failure else True,
        }
    )


def _price_text(nanos: int | None) -> str | None:
    return None if nanos is None else f"{(Decimal(nanos) / _NANOS_PER_USD).normalize():f}"


#: What the entry point names.
plugin = JobLedger()
