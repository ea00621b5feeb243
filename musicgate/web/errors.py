"""Errors as aiohttp responses. What is in them is in `musicgate.views`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.plugin import write_json
from musicgate.views import render_envelope, render_error, render_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.errors import MusicgateError
    from musicgate.model import Failure, Job
    from musicgate.views import ErrorAnswer


def error_response(generation_id: str, error: MusicgateError) -> web.Response:
    """Answer a call that raised."""
    return _response(render_error(generation_id, error))


def refusal_response(generation_id: str, failure: Failure, job: Job) -> web.Response:
    """Answer a create call that a vendor refused, or whose answer could not be read."""
    return _response(render_refusal(generation_id, failure, job))


def envelope_response(
    generation_id: str,
    code: str,
    description: str,
    *,
    reason: str | None = None,
    status: int | None = None,
    fields: Mapping[str, object] | None = None,
) -> web.Response:
    """Answer with an error that is not a `MusicgateError`."""
    return _response(
        render_envelope(generation_id, code, description, reason=reason, status=status, fields=fields)
    )


def _response(answer: ErrorAnswer) -> web.Response:
    return web.Response(
        body=write_json(answer.body),
        status=answer.status,
        headers=answer.headers,
        content_type="application/json",
    )
