"""Every error as the one envelope of the contract: code, reason, status, and whose error it was.

What each class of error means is in `musicgate.errors`, each class of failure in `musicgate.model.RULES`.

**Source**: docs.ai-stats.phaseo.app, error and music pages, February 2026. The envelope is the union of the
documented shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.errors import CODES, MusicgateError, ProviderError, Violation
from musicgate.text import MAX_MESSAGE_CHARS, cut_text
from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from musicgate.model import Attribution, Failure, Job

#: Statuses that carry ``Retry-After`` where the wait is known.
_RETRYABLE: Final = frozenset({429, 503})


@attrs.frozen(kw_only=True)
class ErrorAnswer:
    """An HTTP answer. Its ``Content-Type``, which is not in ``headers``, is ``application/json``."""

    status: int
    headers: dict[str, str]
    body: dict[str, object]


def render_error(
    generation_id: str, error: MusicgateError, more: Mapping[str, object] | None = None
) -> ErrorAnswer:
    """Render an exception.

    Args:
        more: keys of the body beside those of the error.
    """
    return render_envelope(
        generation_id,
        error.code,
        error.description,
        reason=error.reason,
        status=error.http_status,
        attribution=error.attribution,
        retry_after_s=error.retry_after_s,
        fields={**error.fields, **(more or {})},
    )


def render_refusal(generation_id: str, failure: Failure, job: Job) -> ErrorAnswer:
    """Render a create call that a vendor refused, or whose answer could not be read."""
    more: dict[str, object] = {"music_id": job.id}
    if job.attempt is not None:
        more["provider"] = job.attempt.provider
        more["provider_plugin"] = job.attempt.plugin
    if job.request.returns_upstream_request and job.native_request is not None:
        more["upstream_request"] = job.native_request
    if job.request.debug.return_upstream_response and job.native_response is not None:
        more["upstream_response"] = job.native_response
    if len(job.attempts) > 1:
        more["attempt_count"] = len(job.attempts)
        more["failed_providers"] = [attempt.plugin for attempt in job.attempts]
        more["failed_statuses"] = [attempt.failure.status for attempt in job.attempts if attempt.failure]
    return render_error(generation_id, ProviderError(failure), more)


def render_envelope(
    generation_id: str,
    code: str,
    description: str,
    *,
    reason: str | None = None,
    status: int | None = None,
    attribution: Attribution | None = None,
    retry_after_s: float | None = None,
    fields: Mapping[str, object] | None = None,
) -> ErrorAnswer:
    """Render the envelope from its parts.

    Args:
        code: a key of `musicgate.errors.CODES`, which gives the status and the attribution that are None.
    """
    rule = CODES[code]
    status = rule.http_status if status is None else status
    body: dict[str, object] = {"error": code}
    if reason:
        body["reason"] = reason
    body |= {
        "description": cut_text(description, MAX_MESSAGE_CHARS),
        "generation_id": generation_id,
        "request_id": generation_id,
        "status_code": status,
        "error_type": "system" if rule.is_system else "user",
        **{key: _value(value) for key, value in (fields or {}).items()},
    }
    headers = {
        "Cache-Control": "no-store",
        "X-Gateway-Error-Attribution": (attribution or rule.attribution).value,
    }
    if retry_after_s is not None and status in _RETRYABLE:
        headers["Retry-After"] = str(max(1, round(retry_after_s)))
    if code == "unauthorised" and status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return ErrorAnswer(status=status, headers=headers, body=body)


def _value(value: object) -> object:
    """The JSON of a value that an error carries."""
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Violation):
        return {
            "message": value.message,
            "path": list(value.path),
            "keyword": value.keyword,
            "code": value.code,
            "params": dict(value.params),
        }
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    return value
