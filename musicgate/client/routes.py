"""What the calls of the routes for jobs consist of. It sends nothing, and does not read their answers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from musicgate.client.calls import Call
from musicgate.errors import JobNotFoundError, RequestError
from musicgate.plugin import write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from musicgate.model import Job

_JOBS: Final = "v1/music/generate"
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")


def id_of(job: Job | str) -> str:
    """Our id of a job, or the vendor's."""
    return job if isinstance(job, str) else job.id


def job_path(job: Job | str) -> str:
    """The path of a job.

    Raises:
        JobNotFoundError: the id would be another path, such as ``..``.
    """
    job_id = id_of(job)
    if set(job_id) <= {"."}:
        raise JobNotFoundError(job_id)
    return f"{_JOBS}/{quote(job_id, safe='')}"


def create_call(
    body: Mapping[str, object],
    key: str,
    *,
    strict: bool = False,
    explain: bool = False,
    wait_s: float | None = None,
) -> Call:
    """The call that creates a job; the arguments are those of `AsyncClient.submit`.

    Raises:
        RequestError: a key cannot hold this.
    """
    hold_s = None if wait_s is None else max(0, round(wait_s))
    preferences = ["handling=strict"] if strict else []
    preferences += [] if hold_s is None else [f"wait={hold_s}"]
    headers = {"Idempotency-Key": _quoted(key)}
    headers |= {"Prefer": ", ".join(preferences)} if preferences else {}
    headers |= {"x-gateway-debug": "1"} if explain else {}
    return Call(
        method="POST",
        path=_JOBS,
        headers=headers,
        body=write_json(body),
        idempotency_key=key,
        makes="a job",
        hold_s=hold_s or 0,
    )


def held_call(job: Job | str, hold_s: int) -> Call:
    """The call that reads a job once it is final, or after so many seconds; 0 = at once."""
    headers = {"Prefer": f"wait={hold_s}"} if hold_s else {}
    return Call(path=job_path(job), headers=headers, hold_s=hold_s)


def page_call(states: Collection[str], model: str | None, limit: int, cursor: str | None) -> Call:
    """The call that reads a page of jobs."""
    query = {"limit": str(limit)}
    query |= {"state": ",".join(states)} if states else {}
    query |= {} if model is None else {"model": model}
    query |= {} if cursor is None else {"cursor": cursor}
    return Call(path=_JOBS, query=query)


def _quoted(key: str) -> str:
    """The ``Idempotency-Key`` header: a string of structured fields (RFC 9651).

    Raises:
        RequestError: a key cannot hold this.
    """
    if not _KEY.fullmatch(key):
        message = "an idempotency key has 1 to 255 printable ASCII characters"
        raise RequestError("validation_error", message, reason="invalid_idempotency_key")
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
