"""Every error as the one envelope that both music routes promise: code, reason, status and whose fault it was.

Source of the codes: docs.ai-stats.phaseo.app, error and music pages, February 2026. The envelope is the union of the documented shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.errors import (
    AllCandidatesFailedError,
    GatewayClosedError,
    InvalidRequestError,
    JobNotFoundError,
    LimitReachedError,
    MusicgateError,
    ProviderError,
    RequestError,
    StorageError,
    Violation,
)
from musicgate.model import Attribution, FailureClass
from musicgate.plugin import write_json
from musicgate.text import MAX_MESSAGE_CHARS, and_more, cut_text
from musicgate.views import render_failure, time_text

if TYPE_CHECKING:
    from musicgate.model import Failure, Job

#: The contract's error codes and their HTTP statuses. ``upstream_error`` has the status of its class of failure.
STATUS_OF = {
    "unauthorised": 401,
    "invalid_json": 400,
    "validation_error": 400,
    "model_required": 400,
    "not_supported": 400,
    "not_found": 404,
    "not_ready": 409,
    "guardrail_blocked": 403,
    "unsupported_model_or_endpoint": 400,
    "unsupported_modalities": 400,
    "pricing_not_configured": 402,
    "insufficient_funds": 402,
    "key_limit_exceeded": 429,
    "gateway_error": 500,
    "pipeline_execution_error": 500,
    "upstream_error": 502,
    "normalization_failed": 502,
    "payload_too_large": 413,
}
_SYSTEM_CODES = frozenset({"upstream_error", "gateway_error", "key_limit_exceeded"})
#: Statuses with which a known ``Retry-After`` is told.
_RETRYABLE = frozenset({429, 503})
_MAX_SAMPLES = 3
#: Seconds until a gateway that is being stopped may be there again.
_RESTART_S = 5.0


def error_response(generation_id: str, error: MusicgateError) -> web.Response:
    """The answer to a call that raised."""
    if isinstance(error, AllCandidatesFailedError):
        return _all_failed(generation_id, error)
    if isinstance(error, ProviderError):
        return failure_response(generation_id, error.failure)
    if isinstance(error, GatewayClosedError):
        return envelope(generation_id, "gateway_error", f"{error}", status=503, retry_after_s=_RESTART_S)
    if not isinstance(error, RequestError):
        return envelope(generation_id, "gateway_error", _own_fault(error))
    more: dict[str, object] = {}
    if isinstance(error, InvalidRequestError):
        more["details"] = _details(error)
    if isinstance(error, JobNotFoundError):
        more["music_id"] = error.job_id
    if isinstance(error, LimitReachedError):
        more["reset_at"] = time_text(error.reset_at)
        if error.min_usd is not None:
            more["min_usd"] = error.min_usd
    return envelope(
        generation_id,
        error.code,
        _sentence(error),
        reason=error.reason,
        status=error.status,
        retry_after_s=error.retry_after_s,
        more=more,
    )


def failure_response(generation_id: str, failure: Failure, job: Job | None = None) -> web.Response:
    """The answer to a create call that a vendor refused, or whose outcome is not known."""
    shown = render_failure(failure)
    more = {
        key: shown[key]
        for key in ("native_code", "native_message", "suggestion")
        if shown.get(key) is not None
    }
    if job is not None:
        more["music_id"] = job.id
        if job.attempt is not None:
            more["provider"] = job.attempt.provider
            more["provider_plugin"] = job.attempt.plugin
        if job.request.returns_upstream_request and job.native_request is not None:
            more["upstream_request"] = job.native_request
        if job.request.debug.return_upstream_response and job.native_response is not None:
            more["upstream_response"] = job.native_response
        more |= _tries(job)
    ours = failure.reason is FailureClass.GATEWAY
    return envelope(
        generation_id,
        "gateway_error" if ours else "upstream_error",
        failure.message,
        reason=failure.reason.value,
        status=failure.status,
        attribution=failure.rule.attribution,
        retry_after_s=failure.retry_after_s,
        more=more,
    )


def envelope(
    generation_id: str,
    code: str,
    description: str,
    *,
    reason: str | None = None,
    status: int | None = None,
    attribution: Attribution | None = None,
    retry_after_s: float | None = None,
    more: dict[str, object] | None = None,
) -> web.Response:
    """One error in the union envelope."""
    status = status or STATUS_OF[code]
    if attribution is None:
        attribution = Attribution.UPSTREAM if code == "gateway_error" else Attribution.USER
    body: dict[str, object] = {"error": code}
    if reason:
        body["reason"] = reason
    body |= {
        "description": cut_text(description, MAX_MESSAGE_CHARS),
        "generation_id": generation_id,
        "request_id": generation_id,
        "status_code": status,
        "error_type": "system" if code in _SYSTEM_CODES else "user",
        **(more or {}),
    }
    headers = {"Cache-Control": "no-store", "X-Gateway-Error-Attribution": attribution.value}
    if retry_after_s is not None and status in _RETRYABLE:
        headers["Retry-After"] = str(max(1, round(retry_after_s)))
    if status == STATUS_OF["unauthorised"] and code == "unauthorised":
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        body=write_json(body), status=status, headers=headers, content_type="application/json"
    )


def _sentence(error: RequestError) -> str:
    """The message with the option's name before it, unless it is in the sentence already."""
    dotted = ".".join(str(part) for part in error.path)
    return f"{dotted}: {error.message}" if dotted and dotted not in error.message else error.message


def _own_fault(error: MusicgateError) -> str:
    if isinstance(error, StorageError) and error.maybe_stored:
        return (
            "the gateway's own store failed, and the request may have been stored and sent: look for its job"
            " before you send it again, or repeat it with the same Idempotency-Key"
        )
    if isinstance(error, StorageError):
        return "the gateway's own store failed; nothing was stored, and nothing was sent"
    return f"the gateway failed: {error}"


def _all_failed(generation_id: str, error: AllCandidatesFailedError) -> web.Response:
    samples = [
        {"provider_plugin": plugin, "status": failure.rule.http_status, "message": failure.message}
        for plugin, failure in error.tries[:_MAX_SAMPLES]
    ]
    more: dict[str, object] = {
        "attempt_count": len(error.tries),
        "failed_providers": [plugin for plugin, _ in error.tries],
        "failed_statuses": [failure.rule.http_status for _, failure in error.tries],
        "failed_samples": samples,
    }
    return envelope(
        generation_id,
        "upstream_error",
        f"no provider could be called: {error.tries[0][1].message}",
        reason="all_candidates_failed",
        attribution=Attribution.UPSTREAM,
        more=more,
    )


def _tries(job: Job) -> dict[str, object]:
    """Who was asked, when it was more than one."""
    if len(job.attempts) <= 1:
        return {}
    failures = [attempt.failure for attempt in job.attempts if attempt.failure]
    return {
        "attempt_count": len(job.attempts),
        "failed_providers": [attempt.plugin for attempt in job.attempts],
        "failed_statuses": [failure.status for failure in failures],
    }


def _details(error: InvalidRequestError) -> list[dict[str, object]]:
    """The violations, and how many more there are."""
    details = [_detail(violation) for violation in error.violations]
    if error.left_out:
        more = and_more(error.left_out) if error.is_counted else f"and at least {error.left_out:,} more"
        params = {"left_out": error.left_out}
        rest = Violation(path=(), message=more, keyword="left_out", code="left_out", params=params)
        details.append(_detail(rest))
    return details


def _detail(violation: Violation) -> dict[str, object]:
    return {
        "message": violation.message,
        "path": list(violation.path),
        "keyword": violation.keyword,
        "code": violation.code,
        "params": dict(violation.params),
    }
